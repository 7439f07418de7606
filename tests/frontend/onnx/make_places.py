"""Makes inputs/places.onnx and inputs/places.safetensors: parts of a table and of rows whose places follow from an open number of rows,
as PyTorch's exporter writes them, Fourier transforms of as many; and what ONNX Runtime gives. Needs numpy, onnx, onnxruntime and
safetensors; run it in this folder, the tests read its results alone."""
import numpy
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

random = numpy.random.default_rng(4)
numbers = {"zero": 0, "one": 1, "minus": -1, "two": 2, "six": 6, "far": 2**63 - 1}
constants = [numpy_helper.from_array(numpy.array([n], numpy.int64), name) for name, n in numbers.items()]
constants.append(numpy_helper.from_array(numpy.array(1, numpy.int64), "axis"))
constants.append(numpy_helper.from_array(random.normal(0, 1, (6, 3)).astype(numpy.float32), "table"))
node = helper.make_node
nodes = [
    node("Shape", ["x"], ["rows"], start=1, end=2),
    # The last rows of the table, counted from its end and from its beginning.
    node("Neg", ["rows"], ["back"]), node("Slice", ["table", "back", "far", "zero"], ["last"]), node("Add", ["x", "last"], ["from_end"]),
    node("Sub", ["six", "rows"], ["left"]), node("Max", ["left", "zero"], ["place"]),
    node("Slice", ["table", "place", "far", "zero"], ["end"]), node("Add", ["x", "end"], ["from_start"]),
    # The second half, which is the larger one.
    node("Div", ["rows", "two"], ["middle"]), node("Slice", ["x", "middle", "far", "one"], ["half"]),
    node("Unsqueeze", ["x", "minus"], ["parts"]),
    node("DFT", ["parts", "", "axis"], ["both"]), node("DFT", ["parts", "", "axis"], ["side"], onesided=1),
    node("DFT", ["both", "", "axis"], ["again"], inverse=1)]


def value(name, *shape):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


graph = helper.make_graph(nodes, "places", [value("x", "N", "T", 3)],
                          [value(n, None, None, 3) for n in ("from_end", "from_start", "half")] +
                          [value(n, None, None, 3, 2) for n in ("both", "side", "again")], constants)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
onnx.checker.check_model(model)
onnx.save(model, "inputs/places.onnx")
inputs = {"x": random.normal(0, 1, (2, 5, 3)).astype(numpy.float32)}
session = onnxruntime.InferenceSession(model.SerializeToString())
outputs = dict(zip((o.name for o in session.get_outputs()), session.run(None, inputs)))
save_file({**{f"in.{k}": v for k, v in inputs.items()}, **{f"out.{k}": v for k, v in outputs.items()}}, "inputs/places.safetensors")
