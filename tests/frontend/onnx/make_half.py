"""Makes inputs/half.onnx: x times whether the half of its length, rounded down, is above 0. Needs onnx; run it in this folder."""
import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", "T"])
number = lambda name, of: numpy_helper.from_array(numpy.array([of], numpy.int64), name)
nodes = [helper.make_node("Shape", ["x"], ["length"], start=1, end=2), helper.make_node("Div", ["length", "two"], ["half"]),
         helper.make_node("Greater", ["half", "zero"], ["some"]), helper.make_node("Cast", ["some"], ["factor"], to=TensorProto.FLOAT),
         helper.make_node("Mul", ["x", "factor"], ["y"])]
graph = helper.make_graph(nodes, "half", [value("x")], [value("y")], [number("two", 2), number("zero", 0)])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
onnx.checker.check_model(model)
onnx.save(model, "inputs/half.onnx")
