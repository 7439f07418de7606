"""Makes inputs/dynamo: a small transformer as PyTorch's exporter of today (torch.onnx.export, dynamo) writes it, with what ONNX Runtime
gives. Needs onnx, onnxruntime, onnxscript and torch (2.9 or later); run it in this folder, the tests read its results alone."""
import os

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import numpy_helper
from torch import nn

torch.manual_seed(0)


class Layer(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm, self.heads, self.out = nn.LayerNorm(width), nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        n, t, d = x.shape
        q, k, v = (part.view(n, t, 2, d // 2).transpose(1, 2) for part in self.heads(self.norm(x)).chunk(3, -1))
        y = nn.functional.scaled_dot_product_attention(q, k, v)
        return x + self.out(y.transpose(1, 2).reshape(n, t, d))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.layers = nn.Embedding(11, 8), nn.ModuleList(Layer(8) for _ in range(2))

    def forward(self, ids):
        x = self.table(ids)
        for layer in self.layers:
            x = layer(x)
        return x.mean(1)


path = "inputs/dynamo/model.onnx"
data = "inputs/dynamo/test_data_set_0"
os.makedirs(data, exist_ok=True)
ids = torch.randint(0, 11, (2, 5))
sizes = {0: torch.export.Dim("batch")}
net = Net().eval()
for parameter in net.parameters():  # weights that are equal are one in the file
    nn.init.normal_(parameter, std=0.4)
torch.onnx.export(net, (ids,), path, input_names=["ids"], output_names=["y"], dynamo=True, dynamic_shapes=(sizes,), external_data=False)
model = onnx.load(path)
for node in model.graph.node:  # what the exporter says of lines of source
    kept = [(p.key, p.value) for p in node.metadata_props if p.key == "pkg.torch.onnx.name_scopes"]
    del node.metadata_props[:]
    for key, value in kept:
        node.metadata_props.add(key=key, value=value)
for value in list(model.graph.value_info) + list(model.graph.input) + list(model.graph.output) + list(model.graph.initializer):
    del value.metadata_props[:]
del model.graph.metadata_props[:]
onnx.save(model, path)
results = onnxruntime.InferenceSession(path).run(None, {"ids": ids.numpy()})
for kind, values in (("input", [ids.numpy()]), ("output", results)):
    for i, value in enumerate(values):
        with open(f"{data}/{kind}_{i}.pb", "wb") as out:
            out.write(numpy_helper.from_array(value).SerializeToString())
with open(f"{data}/tolerance", "w") as out:
    out.write("1e-4 1e-5\n")
