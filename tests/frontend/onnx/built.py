"""Builds a library from each case of real.py and compares its outputs with the case's: built.py BIGMC FOLDER CASE...

Prints one line a case, and exits 1 when one differs by more than its tolerance. Needs the peers' Python.
"""
import os
import subprocess
import sys

import numpy as np
import onnx
from onnx import numpy_helper

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "bench"))
from library import Library


def stored(path):
    tensor = onnx.TensorProto()
    with open(path, "rb") as f:
        tensor.ParseFromString(f.read())
    return numpy_helper.to_array(tensor)


bigmc, folder, *cases = sys.argv[1:]
wrong = 0
for case in cases:
    data = os.path.join(folder, case, "test_data_set_0")
    out = os.path.join(folder, case, "library")
    program = os.path.join(folder, case, "net.bigm")
    with open(program, "w") as f:
        f.write('model net from onnx("model.onnx")\ndeploy net { target cpu:host }\n')
    subprocess.run([bigmc, "build", program, "-o", out], check=True, stdout=subprocess.DEVNULL)
    library = Library(os.path.join(out, "lib", "libnet.so"))
    library.load(os.path.join(out, "share", "net", "weights.safetensors"))
    function = next(f for f in library.manifest["functions"] if f["name"] == "net.forward")
    names = [a["name"] for a in function["args"] if a["role"] == "input"]
    results = library.run("net.forward", {n: stored(f"{data}/input_{i}.pb") for i, n in enumerate(names)})
    with open(f"{data}/tolerance") as f:
        relative, absolute = map(float, f.read().split())
    worst, same = 0.0, True
    for i, value in enumerate(results.values()):
        want = stored(f"{data}/output_{i}.pb")
        same &= value.shape == want.shape and bool(np.allclose(value, want, relative, absolute))
        worst = max(worst, float(np.abs(value - want).max()) if value.shape == want.shape else np.inf)
    print(f"{case}: {'agrees' if same else 'DIFFERS'}, at most {worst:.2g} apart")
    wrong += not same
sys.exit(1 if wrong else 0)
