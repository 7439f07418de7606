"""Checks the memory plan of every function of a program: the arena is at most 1.1 times what must be alive at once.

usage: memory.py FUSED_IR..., as `bigmc emit --stage fused` prints it. The sizes are polynomials of the symbols, so they are
compared at several values of all symbols.
"""
import re
import sys

TERM = re.compile(r"\[(\d+), array<i64(?::\s*([\d, ]+))?>\]")
checked = 0
worst = 0.0
for path in sys.argv[1:]:
    text = open(path).read()
    for function in re.split(r"(?m)^\s*func\.func ", text)[1:]:
        head = function[: function.index("{\n")]
        sizes = {}
        for name in ("kernel.arena", "kernel.live_bound"):
            at = head.index(name + " = [")
            end = head.find("kernel.", at + len(name))
            terms = TERM.findall(head[at : end if end > 0 else None])
            sizes[name] = [(int(b), len(s.split(",")) if s else 0) for b, s in terms]
        for n in (1, 7, 64, 1000):
            arena, bound = (sum(b * n**power for b, power in sizes[k]) for k in ("kernel.arena", "kernel.live_bound"))
            checked += 1
            # A cache line for each buffer may be lost to alignment.
            if arena > 1.1 * bound + 4096:
                sys.exit(f"{path}: {head.split('(')[0]} takes {arena} bytes at {n}, and {bound} must be alive at once")
            worst = max(worst, arena / bound if bound else 1)
if not checked:
    sys.exit("no function was found")
print(f"checked {checked}, at most {worst:.3f} times the bound")
