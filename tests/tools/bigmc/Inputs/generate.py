"""Writes with the functions prefill and decode of a built library, by its C ABI, and compares every step with the function
over whole sequences: sequences of different lengths, in slots out of order, rows that hold nothing yet being NaN."""
import ctypes as c
import json
import math
import pathlib
import random
import sys

folder, name, batch, vocab = pathlib.Path(sys.argv[1]), sys.argv[2], 3, int(sys.argv[3])
stem = json.loads((folder / "manifest.json").read_text())["name"]
library = c.CDLL(str(folder / "lib" / f"lib{stem}.so"))
manifest = json.loads((folder / "manifest.json").read_text())


class Call(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("function", c.c_int32), ("dims", c.POINTER(c.c_int64)),
                ("inputs", c.POINTER(c.c_void_p)), ("outputs", c.POINTER(c.c_void_p)), ("seed", c.c_int64),
                ("step", c.c_float), ("steps", c.c_float)]


def check(status):
    if status:
        library.bigm_last_error.restype = c.c_char_p
        sys.exit(library.bigm_last_error().decode())


module, model, context = c.c_void_p(), c.c_void_p(), c.c_void_p()
check(library.bigm_module_open(str(folder / "lib" / f"lib{stem}.so").encode(), stem.encode(), c.byref(module)))
check(library.bigm_model_create(module, c.byref(model)))
check(library.bigm_model_load(model, str(folder / "share" / stem / "weights.safetensors").encode(), None))
check(library.bigm_context_create(model, None, c.byref(context)))


def run(function, dims, values):
    """Runs a function; outputs are made here, inputs are given by name."""
    own = next(f for f in manifest["functions"] if f["name"] == function)
    sizes = [dims[s] for s in own["symbols"]]
    inputs, outputs, made = [], [], {}
    for arg in own["args"]:
        if arg["role"] == "input":
            inputs.append(c.cast(values[arg["name"]], c.c_void_p))
        elif arg["role"] == "output":
            count = math.prod(s if isinstance(s, int) else eval(s.replace("/", "//"), {}, dims) for s in arg["shape"])
            made[arg["name"]] = (c.c_float * count)()
            outputs.append(c.cast(made[arg["name"]], c.c_void_p))
    call = Call(c.sizeof(Call), library.bigm_module_find_function(module, function.encode()),
                (c.c_int64 * len(sizes))(*sizes), (c.c_void_p * len(inputs))(*inputs), (c.c_void_p * len(outputs))(*outputs),
                0, 0, 0)
    check(library.bigm_run(context, c.byref(call)))
    return made


def ints(values):
    return (c.c_int32 * len(values))(*values)


generator = random.Random(1)
lengths, total, slots, capacity = [1, 9, 4], 14, [2, 0, 3], 20
texts = [[generator.randrange(vocab) for _ in range(total)] for _ in range(batch)]
whole = run(f"{name}.forward", {"N": batch, "T": total}, {"ids": ints(sum(texts, []))})
expected = list(next(iter(whole.values())))
worst, steps = 0.0, 0


def compare(logits, ends):
    global worst, steps
    for n, end in enumerate(ends):
        want = expected[(n * total + end - 1) * vocab:][:vocab]
        largest = max(abs(x) for x in want)
        for a, b in zip(logits[n * vocab:][:vocab], want):
            error = abs(a - b) / largest
            worst = max(worst, error if error == error else math.inf)
        steps += 1


generate = next(g for g in manifest["generates"] if g["name"] == name)
decode = next(f for f in manifest["functions"] if f["name"] == generate["decode"])
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
made = run(f"{name}.prefill", {"N": batch, "T": longest}, {"ids": ints(sum(padded, [])), "count": ints(lengths)})
compare(made["logits"], lengths)
past = [0] * batch
keep(made, past, lengths, longest)
past = list(lengths)
# One token at a time, then several: as many as all sequences still have, two at most.
while min(total - p for p in past) > 0:
    many = 1 if steps < 12 else min(2, min(total - p for p in past))
    fresh = [t[p:p + many] for t, p in zip(texts, past)]
    made = run(f"{name}.decode", {"N": batch, "T": many, "B": 4, "L": capacity},
               {"ids": ints(sum(fresh, [])), "count": ints([many] * batch), "past": ints(past), "slot": ints(slots), **kept})
    compare(made["logits"], [p + many for p in past])
    keep(made, past, [many] * batch, many)
    past = [p + many for p in past]
print(f"{steps} steps, {'equal' if worst < 2e-5 else 'different'}: {worst:.2g}; "
      f"{generate['caches']} caches of rows {sorted(set(rows.values()))}, positions {generate['positions']}")
