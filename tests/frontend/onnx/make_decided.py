"""Makes inputs/decided.onnx and inputs/decided.safetensors: Scan and Loop over as many steps as the input has, rounds that the data end,
and a branch that the data choose, with what ONNX Runtime gives. Needs numpy, onnx, onnxruntime and safetensors; run it in this folder,
the tests read its results alone."""
import numpy
import onnx
import onnxruntime
from onnx import TensorProto, helper
from safetensors.numpy import save_file


def value(name, *shape, type=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, type, shape)


def graph(text, inputs, outputs):
    """Nodes by lines `op a b -> c key=value`."""
    nodes = []
    for line in filter(None, map(str.strip, text.split("\n"))):
        left, right = line.split(" -> ")
        op, *operands = left.split()
        outs = [w for w in right.split() if "=" not in w]
        attributes = {k: eval(v) for k, v in (w.split("=") for w in right.split() if "=" in w)}
        nodes.append(helper.make_node(op, operands, outs, name=f"{op}_{outs[0]}", **attributes))
    return helper.make_graph(nodes, "g", inputs, outputs)


number = lambda name: value(name, type=TensorProto.INT64)
flag = lambda name: value(name, type=TensorProto.BOOL)
step = graph("""
    MatMul h w -> hw
    Add hw row -> sum
    Tanh sum -> next
    Mul next next -> square
""", [value("h", "N", 3), value("row", "N", 3)], [value("next", "N", 3), value("square", "N", 3)])
# The running sum of i * x[:, i]: the number of the round is used, and all of x is seen from inside.
summed = graph("""
    Gather x i -> now axis=1
    Cast i -> by to=1
    Mul now by -> scaled
    Add s scaled -> s2
    Identity going -> on
    Identity s2 -> row2
""", [number("i"), flag("going"), value("s", "N", 3)], [flag("on"), value("s2", "N", 3), value("row2", "N", 3)])
# Newton's square root of the mean of squares: until it changes little, five rounds at most.
root = graph("""
    Div energy g -> other
    Add g other -> both
    Mul both half -> better
    Sub better g -> change
    Abs change -> far
    Greater far little -> more
    Add j j -> j2
""", [number("i2"), flag("going2"), value("g"), number("j")], [flag("more"), value("better"), number("j2")])
doubled = graph("""
    Add d d -> d2
    ReduceMax d2 -> top keepdims=0
    Less top bound -> small
""", [number("i3"), flag("going3"), value("d", "N", 3)], [flag("small"), value("d2", "N", 3)])
high = graph("Mul start two -> up\n", [], [value("up", "N", 3)])
low = graph("Sub start two -> down\n", [], [value("down", "N", 3)])
main = graph("""
    Scan start x -> last squares body=step num_scan_inputs=1 scan_input_axes=[1] scan_input_directions=[1] scan_output_axes=[1]
    Shape x -> T start=1 end=2
    Loop T yes start -> total rows body=summed
    Mul x x -> xx
    ReduceMean xx -> energy keepdims=0
    Loop five yes one seven -> rms doublings body=root
    Cast doublings -> count to=1
    Abs start -> away
    ReduceMax away -> top0 keepdims=0
    Less top0 bound -> first
    Loop T first away -> grown body=doubled
    ReduceSum start -> balance keepdims=0
    Greater balance nought -> positive
    If positive -> chosen then_branch=high else_branch=low
""", [value("x", "N", "T", 3), value("start", "N", 3)],
             [value("last", "N", 3), value("squares", "N", "T", 3), value("total", "N", 3), value("rows", None, "N", 3), value("rms"),
              value("count"), value("grown", "N", 3), value("chosen", "N", 3)])
random = numpy.random.default_rng(3)
constants = {"w": random.normal(0, 1, (3, 3)).astype(numpy.float32), "yes": numpy.array(True), "five": numpy.array(5, numpy.int64),
             "seven": numpy.array(7, numpy.int64), **{k: numpy.array(v, numpy.float32) for k, v in (
                 ("one", 1), ("half", 0.5), ("little", 1e-3), ("bound", 12), ("nought", 0), ("two", 2))}}
main.initializer.extend(onnx.numpy_helper.from_array(v, k) for k, v in constants.items())
model = helper.make_model(main, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
onnx.checker.check_model(model, full_check=True)
onnx.save(model, "inputs/decided.onnx")
inputs = {"x": random.normal(0, 1, (2, 6, 3)).astype(numpy.float32), "start": random.normal(0, 1, (2, 3)).astype(numpy.float32)}
session = onnxruntime.InferenceSession(model.SerializeToString())
outputs = dict(zip((o.name for o in session.get_outputs()), session.run(None, inputs)))
save_file({**{f"in.{k}": v for k, v in inputs.items()}, **{f"out.{k}": numpy.asarray(v) for k, v in outputs.items()}}, "inputs/decided.safetensors")
print({k: v for k, v in outputs.items() if v.ndim < 2}, outputs["grown"].max(), numpy.abs(inputs["start"]).max())
