"""Writes models that others exported as cases for bigm-onnx-cases: real.py FOLDER SHARED. Outputs are onnxruntime's.

Needs the peers' Python (onnx, onnxruntime, torch). Tolerance: 1e-4 of the largest output.
"""
import json
import os
import shutil
import sys
import warnings

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

warnings.simplefilter("ignore")
folder, shared = sys.argv[1:3]
sys.path.insert(0, os.path.join(shared, "peers"))
weights = os.path.join(shared, "data", "weights")
rng = np.random.default_rng(5)


def case(name, path, feeds):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    results = session.run(None, feeds)
    data = os.path.join(folder, name, "test_data_set_0")
    os.makedirs(data, exist_ok=True)
    shutil.copy(path, os.path.join(folder, name, "model.onnx"))
    for kind, values in (("input", feeds.values()), ("output", results)):
        for i, value in enumerate(values):
            with open(os.path.join(data, f"{kind}_{i}.pb"), "wb") as out:
                out.write(numpy_helper.from_array(np.asarray(value)).SerializeToString())
    with open(os.path.join(data, "tolerance"), "w") as out:
        out.write(f"1e-3 {1e-4 * max(1.0, max(float(np.abs(r).max()) for r in results))}\n")


picture = rng.random((1, 3, 240, 320), dtype=np.float32) * 2 - 1
for name in ("version-slim-320", "version-slim-320_without_postprocessing"):
    case("ultraface-" + name, os.path.join(weights, "ultraface", name + ".onnx"), {"input": picture})
sound = (rng.random((1, 576), dtype=np.float32) - 0.5) * 0.2
state = (rng.random((2, 1, 128), dtype=np.float32) - 0.5)
for name in ("silero_vad", "silero_vad_16k_op15"):
    case(name, os.path.join(weights, "silero-vad", name + ".onnx"),
         {"input": sound, "state": state, "sr": np.array(16000, dtype=np.int64)})

import torch
import models

for name, batch in (("mnist_cnn", 3), ("gpt_char", 2), ("resnet18", 1), ("mobilenet_v2", 1), ("resnet50", 1)):
    net, inputs, names = models.make(name, batch)
    path = os.path.join(folder, name + ".onnx")
    torch.onnx.export(net, inputs, path, input_names=names, output_names=["out"], opset_version=17, dynamo=False)
    case(name, path, {n: x.numpy() for n, x in zip(names, inputs)})
    os.remove(path)
