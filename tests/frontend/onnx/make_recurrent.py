"""Makes inputs/recurrent.onnx and inputs/recurrent.safetensors: LSTM, GRU and RNN over an open number of steps, and what ONNX
Runtime gives. Needs numpy, onnx, onnxruntime and safetensors; run it in this folder, the tests read its results alone."""
import numpy
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

random = numpy.random.default_rng(4)
H, D = 5, 3


def weights(prefix, gates, directions, bias=True):
    shapes = {"w": (directions, gates * H, D), "r": (directions, gates * H, H), "b": (directions, 2 * gates * H)}
    return [numpy_helper.from_array(random.normal(0, 0.5, shape).astype(numpy.float32), f"{prefix}_{name}")
            for name, shape in shapes.items() if bias or name != "b"]


initialisers = weights("lstm", 4, 2) + weights("gru", 3, 1) + weights("rnn", 1, 1, bias=False)
initialisers.append(numpy_helper.from_array(random.normal(0, 0.5, (2, 3 * H)).astype(numpy.float32), "lstm_p"))
nodes = [
    helper.make_node("LSTM", ["x", "lstm_w", "lstm_r", "lstm_b", "lengths", "", "", "lstm_p"], ["y", "h", "c"], name="lstm",
                     direction="bidirectional", hidden_size=H),
    helper.make_node("GRU", ["x", "gru_w", "gru_r", "gru_b", "lengths", "start"], ["g", "gh"], name="gru", direction="reverse",
                     hidden_size=H),
    helper.make_node("RNN", ["x", "rnn_w", "rnn_r"], ["n", "nh"], name="rnn", hidden_size=H),
]


def value(name, *shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


graph = helper.make_graph(
    nodes, "recurrent",
    [value("x", "T", "N", D), value("lengths", "N", kind=TensorProto.INT32), value("start", 1, "N", H)],
    [value("y", "T", 2, "N", H), value("h", 2, "N", H), value("c", 2, "N", H), value("g", "T", 1, "N", H), value("gh", 1, "N", H),
     value("n", "T", 1, "N", H), value("nh", 1, "N", H)], initialisers)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
onnx.checker.check_model(model)
onnx.save(model, "inputs/recurrent.onnx")
inputs = {"x": random.normal(0, 1, (6, 4, D)).astype(numpy.float32), "lengths": numpy.array([6, 1, 4, 5], numpy.int32),
          "start": random.normal(0, 1, (1, 4, H)).astype(numpy.float32)}
session = onnxruntime.InferenceSession(model.SerializeToString())
outputs = dict(zip((o.name for o in session.get_outputs()), session.run(None, inputs)))
save_file({**{f"in.{k}": v for k, v in inputs.items()}, **{f"out.{k}": v for k, v in outputs.items()}},
          "inputs/recurrent.safetensors")
