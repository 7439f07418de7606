"""Makes inputs/said.onnx: the mean of rows of a table for padded ids, with a Dropout that says it trains, as a file that was exported
in training mode does. Needs numpy and onnx; run it in this folder, the tests read its result alone."""
import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

table = numpy.arange(40, dtype=numpy.float32).reshape(10, 4) / 8
nodes = [
    helper.make_node("Gather", ["table", "ids"], ["rows"]),
    helper.make_node("Dropout", ["rows", "ratio", "training"], ["kept"]),
    helper.make_node("Cast", ["mask"], ["real"], to=TensorProto.FLOAT),
    helper.make_node("Unsqueeze", ["real", "last"], ["column"]),
    helper.make_node("Mul", ["kept", "column"], ["seen"]),
    helper.make_node("ReduceSum", ["seen", "first"], ["sum"], keepdims=0),
    helper.make_node("ReduceSum", ["column", "first"], ["count"], keepdims=0),
    helper.make_node("Div", ["sum", "count"], ["mean"]),
]
constants = {"table": table, "ratio": numpy.float32(0.5), "training": numpy.bool_(True),
             "last": numpy.array([2]), "first": numpy.array([1])}
value = lambda name, kind, *shape: helper.make_tensor_value_info(name, kind, shape)
graph = helper.make_graph(nodes, "g", [value("ids", TensorProto.INT64, "batch", "seq"), value("mask", TensorProto.INT64, "batch", "seq")],
                          [value("mean", TensorProto.FLOAT, "batch", 4)],
                          [numpy_helper.from_array(numpy.asarray(v), k) for k, v in constants.items()])
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), "inputs/said.onnx")
