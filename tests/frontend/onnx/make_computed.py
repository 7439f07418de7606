"""Makes inputs/computed.onnx and a safetensors file of what ONNX Runtime gives: sizes that a graph computes from open ones. Needs numpy,
onnx, onnxruntime and safetensors; run it in this folder, the tests read its results alone."""
import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper
from safetensors.numpy import save_file

node = helper.make_node
constants = {"two": [2], "one": np.array([1], np.int64), "none": [0], "all": [1000000000], "rest": [-1], "half": np.float32(1.5),
             "zero": np.float32(0), "step": np.float32(1), "scales": np.array([1, 1, 1.5, 1], np.float32)}
nodes = [node("Shape", ["x"], ["shape"]), node("Gather", ["shape", "two"], ["height"]), node("Squeeze", ["height"], ["h"]),
         node("Cast", ["h"], ["real"], to=1), node("Range", ["zero", "real", "step"], ["count"]),  # a range in floating point
         node("Mul", ["real", "half"], ["more"]), node("Floor", ["more"], ["whole"]), node("Cast", ["whole"], ["size"], to=7),
         node("Unsqueeze", ["size", "none"], ["sizes"]), node("Expand", ["step", "sizes"], ["ones"]),  # as many as 1.5 times the height
         node("Resize", ["x", "", "scales"], ["wide"], mode="linear"),
         node("Slice", ["x", "one", "all", "two"], ["lower"]),  # to the end, as TensorFlow's converter says it
         node("Transpose", ["lower"], ["turned"], perm=[0, 2, 1, 3]), node("Shape", ["turned"], ["full"]),
         node("Slice", ["full", "none", "two"], ["front"]), node("Concat", ["front", "rest"], ["to"], axis=0),
         node("Reshape", ["turned", "to"], ["joined"]),  # what is left of N * (H - 1) * 6
         node("Sub", ["one", "height"], ["before"]), node("Max", ["before", "none"], ["from"]),  # max(1 - H, 0) is 0
         node("Slice", ["x", "from", "all", "two"], ["kept"]),
         node("Gather", ["shape", "none"], ["batch"]), node("TopK", ["v", "batch"], ["sorted", "places"], axis=0)]
outputs = {"count": ["H"], "ones": ["S"], "wide": ["N", 3, "S", 2], "joined": ["N", "R", 6], "sorted": ["N"], "kept": ["N", 3, "H", 2]}
value = lambda name, shape: helper.make_tensor_value_info(name, 1, shape)
graph = helper.make_graph(nodes, "computed", [value("x", ["N", 3, "H", 2]), value("v", ["N"])], [value(n, s) for n, s in outputs.items()],
                          [numpy_helper.from_array(np.asarray(v), n) for n, v in constants.items()])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
onnx.save(model, "inputs/computed.onnx")
random = np.random.default_rng(2)
feeds = {"x": random.standard_normal((4, 3, 5, 2)).astype(np.float32), "v": random.standard_normal(4).astype(np.float32)}
found = onnxruntime.InferenceSession(model.SerializeToString()).run(list(outputs), feeds)
save_file({**{f"in.{k}": v for k, v in feeds.items()}, **{f"out.{k}": v for k, v in zip(outputs, found)}}, "inputs/computed.safetensors")
