"""Continues texts with a built library's function over whole sequences, one call for each token, and prints what `generate`
must print: the most probable token each time, or with beams the most probable text of all that a search so wide finds.

usage: written.py LIBRARY NAME VOCABULARY AT_MOST BEAMS PROMPT..."""
import math
import sys

from library import Library, ints

library, name, vocab, most, width = Library(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5])


def logs(rows):
    """Log probabilities of the next token of rows of one length."""
    made = library.run(f"{name}.forward", {"N": len(rows), "T": len(rows[0])}, {"ids": ints(sum(rows, []))})
    all_logits, out = list(next(iter(made.values()))), []
    for n, row in enumerate(rows):
        logits = all_logits[((n + 1) * len(row) - 1) * vocab:][:vocab]
        top = max(logits)
        total = top + math.log(sum(math.exp(x - top) for x in logits))
        out.append([x - total for x in logits])
    return out


for prompt in sys.argv[6:]:
    ids = [ord(letter) - ord("a") for letter in prompt.split()]
    beams = [(0.0, ids)]
    for _ in range(most):
        steps = [(p + q, row + [token]) for (p, row), next_ones in zip(beams, logs([row for _, row in beams])) for token, q in enumerate(next_ones)]
        beams = sorted(steps, key=lambda step: -step[0])[:width]
    print(" ".join(chr(ord("a") + token) for token in beams[0][1][len(ids):]))
