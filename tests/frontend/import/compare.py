"""Compares programs that `bigmc import` writes with what ONNX Runtime makes of the file: compare.py BIGMC FOLDER [--ids N] [--size NAME=NUMBER]... FILE.onnx...

Each file is imported, its program checked, formatted as it is, and built; prints a line each, and exits 1 when one differs by more
than 1e-5 of the largest result.
"""
import argparse
import os
import subprocess
import sys

import numpy as np
import onnxruntime

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "bench"))
import library

arguments = argparse.ArgumentParser()
arguments.add_argument("bigmc")
arguments.add_argument("folder")
arguments.add_argument("files", nargs="+")
arguments.add_argument("--ids", type=int, default=2)
arguments.add_argument("--size", action="append", default=[])
options = arguments.parse_args()
sizes = dict(s.split("=") for s in options.size)
onnxruntime.set_default_logger_severity(3)
rng = np.random.default_rng(3)
bad = 0
for path in options.files:
    name = "".join(c if c.isalnum() else "_" for c in os.path.splitext(os.path.basename(path))[0])
    name = "net_" + name if name[0].isdigit() else name.lower()
    folder = os.path.join(options.folder, name)
    os.makedirs(folder, exist_ok=True)
    program = os.path.join(folder, name + ".bigm")
    run = lambda *words: subprocess.run([options.bigmc, *words], check=True, stdout=subprocess.DEVNULL)
    run("import", path, "-o", program)
    run("check", program)
    run("fmt", "--check", program)
    run("build", program, "-o", os.path.join(folder, "lib"))
    made = library.Library(os.path.join(folder, "lib", "lib", f"lib{name}.so"))
    made.load(os.path.join(folder, "lib", "share", name, "weights.safetensors"))
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    feeds = {}
    for i in session.get_inputs():
        shape = [d if isinstance(d, int) else int(sizes.get(d, 2)) for d in i.shape]
        feeds[i.name] = rng.standard_normal(shape).astype(np.float32) if i.type == "tensor(float)" else rng.integers(1, options.ids, shape)
    want = session.run(None, feeds)
    got = list(made.run(name + ".forward", {"".join(c if c.isalnum() else "_" for c in k): v for k, v in feeds.items()}).values())
    worst = max(float(np.abs(g - w).max() / np.abs(w).max()) if g.shape == w.shape else np.inf for g, w in zip(got, want, strict=True))
    bad += worst > 1e-5
    with open(program) as f:
        lines = len(f.read().splitlines())
    print(f"{name}: {'agrees' if worst <= 1e-5 else 'DIFFERS'}, {worst:.1g} apart, {lines} lines", flush=True)
sys.exit(1 if bad else 0)
