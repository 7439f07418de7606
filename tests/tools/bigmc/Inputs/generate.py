"""Writes with the functions prefill and decode of a built library, by its C ABI, and compares every step with the function
over whole sequences: sequences of different lengths, in slots out of order, rows that hold nothing yet being NaN."""
import ctypes as c
import math
import random
import sys

from library import Library, difference, ints

library, name, batch, vocab = Library(sys.argv[1]), sys.argv[2], 3, int(sys.argv[3])
manifest = library.manifest
generator = random.Random(1)
lengths, total, slots, capacity = [1, 9, 4], 14, [2, 0, 3], 20
texts = [[generator.randrange(vocab) for _ in range(total)] for _ in range(batch)]
whole = library.run(f"{name}.forward", {"N": batch, "T": total}, {"ids": ints(sum(texts, []))})
expected = list(next(iter(whole.values())))
worst, steps = 0.0, 0


def compare(logits, ends):
    global worst, steps
    for n, end in enumerate(ends):
        want = expected[(n * total + end - 1) * vocab:][:vocab]
        worst = max(worst, difference(list(logits[n * vocab:(n + 1) * vocab]), want))
        steps += 1


generate = next(g for g in manifest["generates"] if g["name"] == name)
decode = library.function(generate["decode"])
rows = {a["name"]: a["shape"][2] * a["shape"][3] for a in decode["args"] if a["name"].startswith("cache.")}
assert len(rows) == generate["caches"]
kept = {r: (c.c_float * (4 * capacity * width))(*[math.nan] * (4 * capacity * width)) for r, width in rows.items()}


def keep(made, past, count, longest):
    for r, width in rows.items():
        fresh = made[r.replace("cache.", "new.")]
        for n in range(batch):
            at = (slots[n] * capacity + past[n]) * width
            kept[r][at:at + count[n] * width] = fresh[n * longest * width:][:count[n] * width]


longest = max(lengths)
padded = [t[:l] + [0] * (longest - l) for t, l in zip(texts, lengths)]
made = library.run(f"{name}.prefill", {"N": batch, "T": longest}, {"ids": ints(sum(padded, [])), "count": ints(lengths)})
compare(made["logits"], lengths)
past = [0] * batch
keep(made, past, lengths, longest)
past = list(lengths)
# One token at a time, then several: as many as all sequences still have, two at most.
while min(total - p for p in past) > 0:
    many = 1 if steps < 12 else min(2, min(total - p for p in past))
    fresh = [t[p:p + many] for t, p in zip(texts, past)]
    made = library.run(f"{name}.decode", {"N": batch, "T": many, "B": 4, "L": capacity},
               {"ids": ints(sum(fresh, [])), "count": ints([many] * batch), "past": ints(past), "slot": ints(slots), **kept})
    compare(made["logits"], [p + many for p in past])
    keep(made, past, [many] * batch, many)
    past = [p + many for p in past]
print(f"{steps} steps, {'equal' if worst < 2e-5 else 'different'}: {worst:.2g}; "
      f"{generate['caches']} caches of rows {sorted(set(rows.values()))}, positions {generate['positions']}")
