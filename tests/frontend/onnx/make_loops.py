"""Makes inputs/loops.onnx and inputs/loops.safetensors: recurrences whose number of rounds is a size that the file leaves open,
and what ONNX Runtime gives. `Loop` with what each round hands out, one that the run ends, one whose condition never holds, and
`Scan` along another axis, in two directions at once. Needs numpy, onnx, onnxruntime and safetensors; run it in this folder, the
tests read its results alone."""
import numpy
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

FLOAT, INT, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


def value(name, kind=FLOAT, *shape):
    return helper.make_tensor_value_info(name, kind, shape)


def constant(name, array):
    return numpy_helper.from_array(numpy.array(array), name)


node = helper.make_node
# h = tanh(h + x[i]) for each i; each round hands out h * i.
collecting = helper.make_graph(
    [node("Gather", ["x", "i"], ["row"], axis=0), node("Add", ["h", "row"], ["sum"]), node("Tanh", ["sum"], ["h_next"]),
     node("Cast", ["i"], ["i_f"], to=FLOAT), node("Mul", ["h_next", "i_f"], ["out"]), node("Identity", ["go"], ["go_on"])],
    "collecting", [value("i", INT), value("go", BOOL), value("h", FLOAT, 3)],
    [value("go_on", BOOL), value("h_next", FLOAT, 3), value("out", FLOAT, 3)])
# Doubles until the sum of the magnitudes is above 20, and counts the rounds.
ending = helper.make_graph(
    [node("Add", ["g", "g"], ["g_next"]), node("Abs", ["g_next"], ["g_abs"]), node("ReduceSum", ["g_abs"], ["g_sum"], keepdims=0),
     node("Less", ["g_sum", "twenty"], ["go_on2"]), node("Add", ["n", "one"], ["n_next"])],
    "ending", [value("j", INT), value("go2", BOOL), value("g", FLOAT, 3), value("n", INT)],
    [value("go_on2", BOOL), value("g_next", FLOAT, 3), value("n_next", INT)])
# The same body by other names, and a condition that is false from the start.
never = helper.make_graph(
    [node("Add", ["k", "k"], ["k_next"]), node("Identity", ["go3"], ["go_on3"])],
    "never", [value("l", INT), value("go3", BOOL), value("k", FLOAT, 3)], [value("go_on3", BOOL), value("k_next", FLOAT, 3)])
# Both directions of x at once, along axis 1 of its transpose; handed out along the last axis, the second one backwards.
both = helper.make_graph(
    [node("Mul", ["s", "half"], ["s_half"]), node("Add", ["s_half", "ahead"], ["s_mid"]), node("Sub", ["s_mid", "behind"], ["s_next"]),
     node("Identity", ["s_next"], ["first"]), node("Mul", ["s_next", "ahead"], ["second"])],
    "both", [value("s", FLOAT, 3), value("ahead", FLOAT, 3), value("behind", FLOAT, 3)],
    [value("s_next", FLOAT, 3), value("first", FLOAT, 3), value("second", FLOAT, 3)])
nodes = [
    node("Shape", ["x"], ["shape"]), node("Gather", ["shape", "zero"], ["rounds"], axis=0),
    node("ReduceMax", ["x"], ["largest"], keepdims=0), node("Greater", ["largest", "million"], ["false"]),
    node("ReduceSum", ["x", "axis"], ["start"], keepdims=0),
    node("Loop", ["rounds", "", "start"], ["last", "handed"], name="collect", body=collecting),
    node("Loop", ["rounds", "true", "start", "none"], ["grown", "counted"], name="end", body=ending),
    node("Cast", ["counted"], ["count"], to=FLOAT),
    node("Loop", ["rounds", "false", "start"], ["same"], name="never", body=never),
    node("Transpose", ["x"], ["turned"], perm=[1, 0]),
    node("Scan", ["start", "turned", "x"], ["mixed", "forth", "back"], name="both", body=both, num_scan_inputs=2,
         scan_input_axes=[1, 0], scan_input_directions=[0, 1], scan_output_axes=[1, 0], scan_output_directions=[0, 1])]
numbers = [constant("zero", numpy.int64(0)), constant("million", numpy.float32(1e6)), constant("twenty", numpy.float32(20)),
           constant("one", numpy.int64(1)), constant("none", numpy.int64(0)), constant("true", True), constant("half", numpy.float32(0.5)),
           constant("axis", numpy.array([0], numpy.int64))]
outputs = [value("last", FLOAT, 3), value("handed", FLOAT, None, 3), value("grown", FLOAT, 3), value("count"), value("same", FLOAT, 3),
           value("mixed", FLOAT, 3), value("forth", FLOAT, 3, None), value("back", FLOAT, None, 3)]
graph = helper.make_graph(nodes, "loops", [value("x", FLOAT, "T", 3)], outputs, numbers)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
onnx.checker.check_model(model)
onnx.save(model, "inputs/loops.onnx")
session = onnxruntime.InferenceSession(model.SerializeToString())
cases = {}
for t in (1, 9):
    x = numpy.random.default_rng(t).normal(0, 1, (t, 3)).astype(numpy.float32)
    cases[f"{t}.in.x"] = x
    for o, got in zip(session.get_outputs(), session.run(None, {"x": x})):
        cases[f"{t}.out.{o.name}"] = numpy.asarray(got)
save_file(cases, "inputs/loops.safetensors")
