"""Makes inputs/exported, and inputs/tied.onnx with inputs/tied.safetensors: what PyTorch's exporters write of shifts, inverse transforms,
repeats by a list, sums of known numbers, and operators on sizes that they leave open and call by different names, with what ONNX Runtime
gives. Needs numpy, onnx, onnxruntime and safetensors; run it in this folder, the tests read its results alone."""
import numpy as np
import onnx
import onnxruntime
from make_contributed import Case, normal, rng
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

c = Case(whole=np.array([[5, -3, 1 << 40], [-(1 << 62), 7, -1]], np.int64), bins=normal(2, 5, 2), x=normal(5, 3))
# a >> 3 of what is negative: as uint64, then with the sign's bits.
c.node("Cast", "whole", domain="", to=TensorProto.UINT64)
c.node("BitShift", "y0", np.array(3, np.uint64), domain="", direction="RIGHT")
c.node("Cast", "y1", domain="", to=TensorProto.INT64)
for length in (8, 6):  # ONNX Runtime 1.32 differs from numpy where it is odd
    c.node("DFT", "bins", np.array(length, np.int64), np.array(1, np.int64), domain="", inverse=1, onesided=1)
# Rows repeated by [1, 2, 0, 3, 1]: sums of what is known are, and so is what a range ends at.
c.node("CumSum", np.array([1, 2, 0, 3, 1]), np.array(0), domain="")
c.node("Gather", "y5", np.array(-1), domain="", axis=0)
c.node("Range", np.array(0), "y6", np.array(1), domain="")
c.node("Unsqueeze", "y5", np.array([-1]), domain="")
c.node("LessOrEqual", "y8", "y7", domain="")
c.node("Cast", "y9", domain="", to=TensorProto.INT64)
c.node("ReduceSum", "y10", np.array([0]), domain="", keepdims=0)
c.node("Gather", "x", "y11", domain="", axis=0)
c.outputs = ["y2", "y3", "y4", "y12"]
c.write("exported", 1e-5, 20)

value = lambda name, *shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
nodes = [helper.make_node("MatMul", ["scores", "values"], ["mixed"], name="mix"),
         helper.make_node("ScatterElements", ["zeros", "places", "updates"], ["written"], name="write", axis=1, reduction="add"),
         helper.make_node("MaxPool", ["picture"], ["most"], name="most", kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 0], ceil_mode=1),
         helper.make_node("AveragePool", ["picture"], ["mean"], name="mean", kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 0], ceil_mode=1,
                          count_include_pad=1),
         helper.make_node("Pad", ["picture", "pads"], ["around"], name="around", mode="wrap")]
inputs = [value("scores", "n", 2, "keys"), value("values", "m", "other", 3), value("zeros", "rows", 4),
          helper.make_tensor_value_info("places", TensorProto.INT64, ["a", "b"]), value("updates", "c", "d"), value("picture", 1, 1, "h", "w")]
outputs = [value("mixed", None, 2, 3), value("written", None, 4), value("most", 1, 1, None, None), value("mean", 1, 1, None, None),
           value("around", 1, 1, None, None)]
pads = numpy_helper.from_array(np.array([0, 0, 2, 0, 0, 0, 1, 3], np.int64), "pads")
model = helper.make_model(helper.make_graph(nodes, "tied", inputs, outputs, [pads]), opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
onnx.checker.check_model(model)
onnx.save(model, "inputs/tied.onnx")
given = {"scores": normal(2, 2, 5), "values": normal(2, 5, 3), "zeros": normal(3, 4), "places": rng.integers(0, 4, (3, 6)), "updates": normal(3, 6),
         "picture": normal(1, 1, 6, 7)}
results = onnxruntime.InferenceSession(model.SerializeToString()).run(None, given)
given["places"] = given["places"].astype(np.int32)
save_file({**{f"in.{k}": v for k, v in given.items()}, **{f"out.{o.name}": v for o, v in zip(outputs, results)}}, "inputs/tied.safetensors")
