"""Makes inputs/open.onnx and inputs/open.safetensors: a picture of open height and width that is halved, resized back in
each way and joined with itself, and a second input whose batch has another name; and what ONNX Runtime gives. Needs numpy, onnx,
onnxruntime and safetensors; run it in this folder, the tests read its results alone."""
import numpy
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

scales = numpy_helper.from_array(numpy.array([1, 1, 2, 2], numpy.float32), "scales")
nodes = [helper.make_node("AveragePool", ["x"], ["half"], name="half", kernel_shape=[2, 2], strides=[2, 2]),
         helper.make_node("Shape", ["x"], ["whole"], name="whole")]
joined = ["x"]
for i, (mode, where, nearest) in enumerate([("nearest", "asymmetric", "floor"), ("nearest", "half_pixel", "round_prefer_ceil"),
                                            ("linear", "half_pixel", "floor"), ("linear", "align_corners", "floor"),
                                            ("cubic", "pytorch_half_pixel", "floor")]):
    by = ["half", "", "scales"] if i % 2 else ["half", "", "", "whole"]
    nodes.append(helper.make_node("Resize", by, [f"up{i}"], name=f"up{i}", mode=mode, coordinate_transformation_mode=where,
                                  nearest_mode=nearest))
    joined.append(f"up{i}")
nodes += [helper.make_node("Concat", joined, ["all"], name="join", axis=1),
          helper.make_node("Add", ["all", "shift"], ["shifted"], name="shift"),
          # Its own shape again, out of three parts of which one is empty.
          helper.make_node("Shape", ["shifted"], ["shape"]), helper.make_node("Slice", ["shape", "zero", "two"], ["first"]),
          helper.make_node("Slice", ["shape", "four", "end"], ["none"]), helper.make_node("Slice", ["shape", "two", "end"], ["last"]),
          helper.make_node("Concat", ["first", "none", "last"], ["again"], axis=0),
          helper.make_node("Reshape", ["shifted", "again"], ["y"], name="again")]
numbers = [numpy_helper.from_array(numpy.array([n], numpy.int64), name)
           for name, n in (("zero", 0), ("two", 2), ("four", 4), ("end", 2**63 - 1))]


def value(name, *shape):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


graph = helper.make_graph(nodes, "open", [value("x", "batch", 2, "height", "width"), value("shift", "other", 12, 1, 1)],
                          [value("y", None, 12, None, None)], [scales] + numbers)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
onnx.checker.check_model(model)
onnx.save(model, "inputs/open.onnx")
random = numpy.random.default_rng(6)
inputs = {"x": random.normal(0, 1, (3, 2, 6, 10)).astype(numpy.float32), "shift": random.normal(0, 1, (3, 12, 1, 1)).astype(numpy.float32)}
session = onnxruntime.InferenceSession(model.SerializeToString())
outputs = dict(zip((o.name for o in session.get_outputs()), session.run(None, inputs)))
save_file({**{f"in.{k}": v for k, v in inputs.items()}, **{f"out.{k}": v for k, v in outputs.items()}}, "inputs/open.safetensors")
