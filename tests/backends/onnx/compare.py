"""Compares what `bigmc build --format onnx` writes with the library that `bigmc build` makes, on random inputs.

compare.py BIGMC FOLDER PROGRAM [--only NAME,NAME] [--size NAME=NUMBER]... [--ids NUMBER] [--run RUN]

Each model of the program is written as ONNX, checked by onnx.checker, run by ONNX Runtime, and imported again with
`from onnx` into a library. Prints one line a model; the numbers are the largest difference over the largest result. Exits 1
where one is above 1e-5. Needs the peers' Python (onnx, onnxruntime).
"""
import argparse
import os
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "bench"))
import library

library.DTYPES |= {"f64": np.float64, "i8": np.int8, "f16": np.float16}
LIMIT = 1e-5

arguments = argparse.ArgumentParser()
arguments.add_argument("bigmc")
arguments.add_argument("folder")
arguments.add_argument("program")
arguments.add_argument("--only", default="")
arguments.add_argument("--size", action="append", default=[])
arguments.add_argument("--ids", type=int, default=9)
arguments.add_argument("--run")
options = arguments.parse_args()
only = set(filter(None, options.only.split(",")))
sizes = {"N": 3, "T": 7, "H": 19, "W": 14} | {k: int(v) for k, v in (s.split("=") for s in options.size)}
os.makedirs(options.folder, exist_ok=True)
# Initial weights are those of the most portable code, whatever the machine.
target = ["--target", "cpu:x86-64-v2"]


def build(program, out, *more):
    made = subprocess.run([options.bigmc, "build", program, "-o", out, *more], capture_output=True, text=True)
    if made.returncode:
        raise SystemExit(f"{program} -o {out}: {made.stderr}")


def opened(out, stem):
    made = library.Library(os.path.join(out, "lib", f"lib{stem}.so"))
    made.load(os.path.join(out, "share", stem, "weights.safetensors"))
    return made


def apart(got, want):
    if got.shape != want.shape:
        return np.inf
    if got.size == 0:
        return 0
    got, want = got.astype(np.float64), want.astype(np.float64)
    both = np.isfinite(got) & np.isfinite(want)
    if not np.array_equal(got[~both], want[~both], equal_nan=True):
        return np.inf
    return float(np.abs(got - want)[both].max(initial=0) / max(1e-30, np.abs(want[both]).max(initial=0)))


stem = os.path.splitext(os.path.basename(options.program))[0]
run = ["--run", options.run] if options.run else []
build(options.program, os.path.join(options.folder, stem), *run, *target)
whole = opened(os.path.join(options.folder, stem), stem)
bad = 0
rng = np.random.default_rng(4)
for function in whole.manifest["functions"]:
    model, _, kind = function["name"].rpartition(".")
    if kind != "forward" or (only and model not in only):
        continue
    path = os.path.join(options.folder, model + ".onnx")
    build(options.program, path, "--format", "onnx", "--function", model, *run)
    # The file says the names of the program, and how large what it takes is.
    file = onnx.load(path)
    onnx.checker.check_model(file, full_check=True)
    given = [a for a in function["args"] if a["role"] == "input"]
    results = [a["name"] for a in function["args"] if a["role"] == "output"]
    for proto, a in zip(file.graph.input, given, strict=True):
        dims = [d.dim_param or d.dim_value for d in proto.type.tensor_type.shape.dim]
        assert (proto.name, dims) == (a["name"], a["shape"]), (proto, a)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    again = os.path.join(options.folder, "again.bigm")
    with open(again, "w") as out:
        out.write(f'model again from onnx("{model}.onnx")\ndeploy again {{ target cpu:x86-64-v2 }}\n')
    build(again, os.path.join(options.folder, model))
    imported = opened(os.path.join(options.folder, model), "again")
    worst = [0.0, 0.0]
    for shift in (0, 3):  # other sizes, the same file
        feeds = {}
        for a in given:
            shape = [sizes[d] + shift if isinstance(d, str) else d for d in a["shape"]]
            kind = library.DTYPES[a["dtype"]]
            feeds[a["name"]] = (rng.standard_normal(shape).astype(kind) if np.issubdtype(kind, np.floating)
                                else rng.integers(0, options.ids, shape).astype(kind))
        want = list(whole.run(function["name"], feeds).values())
        for i, (got, value) in enumerate(zip(session.run(None, feeds), want, strict=True)):
            worst[0] = max(worst[0], apart(got, value))
        renamed = {"".join(c if c.isalnum() or c == "_" else "_" for c in n): x for n, x in feeds.items()}
        for got, value in zip(imported.run("again.forward", renamed).values(), want, strict=True):
            worst[1] = max(worst[1], apart(got, value))
    fine = max(worst) <= LIMIT
    bad += not fine
    ops = sorted({n.op_type for n in file.graph.node})
    print(f"{model}: {'agrees' if fine else 'DIFFERS'}, onnxruntime {worst[0]:.1g}, imported again {worst[1]:.1g} apart; {len(file.graph.node)} nodes: {' '.join(ops)}", flush=True)
sys.exit(1 if bad else 0)
