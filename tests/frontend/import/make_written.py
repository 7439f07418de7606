"""Makes inputs/recurrent.onnx, primitives.onnx, scans.onnx, shared.onnx and zeros.onnx, each with a safetensors file of what ONNX
Runtime gives: layers with PyTorch's transpositions around them, operators that the language has no form for, recurrences that are no
layer, and layers that share some of their tensors. Needs numpy, onnx, onnxruntime and safetensors; run it in this folder, the tests read its results alone."""
import numpy
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

random = numpy.random.default_rng(8)
node = helper.make_node


def constant(name, value, kind=numpy.float32):
    return numpy_helper.from_array(numpy.array(value, kind), name)


def weights(name, *shape):
    return constant(name, random.normal(0, 0.5, shape))


def save(name, nodes, inputs, outputs, initialisers, feeds):
    value = lambda n, shape, kind=TensorProto.FLOAT: helper.make_tensor_value_info(n, kind, shape)
    graph = helper.make_graph(nodes, name, [value(n, *i) for n, i in inputs.items()], [value(n, s) for n, s in outputs.items()], initialisers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, f"inputs/{name}.onnx")
    session = onnxruntime.InferenceSession(model.SerializeToString())
    found = dict(zip((o.name for o in session.get_outputs()), session.run(None, feeds)))
    save_file({**{f"in.{k}": v for k, v in feeds.items()}, **{f"out.{k}": v for k, v in found.items()}}, f"inputs/{name}.safetensors")


H, D = 5, 3
save("recurrent",
     [node("Transpose", ["x"], ["steps"], perm=[1, 0, 2]),
      node("LSTM", ["steps", "lw", "lr", "lb"], ["y", "yh", "yc"], direction="bidirectional", hidden_size=H),
      node("Transpose", ["y"], ["turned"], perm=[0, 2, 1, 3]), node("Reshape", ["turned", "joined"], ["z"]),
      node("GRU", ["z", "gw", "gr", "gb", "counts", "start"], ["g", "gh"], direction="reverse", hidden_size=H, linear_before_reset=1),
      node("Squeeze", ["g", "one"], ["s"]), node("Transpose", ["s"], ["gru"], perm=[1, 0, 2]),
      node("RNN", ["steps", "rw", "rr"], ["rnn", "rnnh"], hidden_size=H)],
     {"x": (["N", "T", D],), "counts": (["N"], TensorProto.INT32), "start": ([1, "N", H],)},
     {"gru": ["N", "T", H], "gh": [1, "N", H], "yh": [2, "N", H], "yc": [2, "N", H], "rnn": ["T", 1, "N", H], "rnnh": [1, "N", H]},
     [weights("lw", 2, 4 * H, D), weights("lr", 2, 4 * H, H), weights("lb", 2, 8 * H), weights("gw", 1, 3 * H, 2 * H),
      weights("gr", 1, 3 * H, H), weights("gb", 1, 6 * H), weights("rw", 1, H, D), weights("rr", 1, H, H),
      constant("joined", [0, 0, -1], numpy.int64), constant("one", [1], numpy.int64)],
     {"x": random.normal(0, 1, (4, 6, D)).astype(numpy.float32), "counts": numpy.array([6, 1, 4, 5], numpy.int32),
      "start": random.normal(0, 1, (1, 4, H)).astype(numpy.float32)})

sizes = {"up": ["N", 6, 9, 13], "norm": ["N", 4, 5, 6], "largest": ["N", 4, 5, 2], "every": ["N", 4, 2, 6], "edge": ["N", 4, 8, 6],
         "wide": ["N", 4, 7, 4], "sums": ["N", 4, 5, 6], "eight": ["N", 4, 5, 6], "columns": ["N", 4, 5, 2]}
save("primitives",
     [node("ConvTranspose", ["x", "w", "b"], ["up"], strides=[2, 2], pads=[1, 0, 0, 1], output_padding=[0, 1]),
      node("InstanceNormalization", ["x", "scale", "shift"], ["norm"]),
      node("TopK", ["x", "two"], ["largest", "places"], axis=3),
      node("Slice", ["x", "from", "to", "rows", "by"], ["every"]),
      node("Pad", ["x", "around"], ["edge"], mode="reflect"),
      node("Resize", ["x", "", "", "size"], ["wide"], mode="cubic", axes=[2, 3],
          coordinate_transformation_mode="align_corners"),
      node("CumSum", ["x", "last"], ["sums"]),
      node("QuantizeLinear", ["x", "step", "zero"], ["q"]), node("DequantizeLinear", ["q", "step", "zero"], ["eight"]),
      node("Gather", ["x", "picks"], ["columns"], axis=3)],
     {"x": (["N", 4, 5, 6],)}, sizes,
     [weights("w", 4, 6, 2, 3), weights("b", 6), weights("scale", 4), weights("shift", 4), constant("two", [2], numpy.int64),
      constant("from", [3], numpy.int64), constant("to", [-6], numpy.int64), constant("rows", [2], numpy.int64),
      constant("by", [-2], numpy.int64), constant("around", [0, 0, 1, 0, 0, 0, 2, 0], numpy.int64),
      constant("size", [7, 4], numpy.int64), constant("last", 3, numpy.int64), constant("step", 0.05),
      constant("zero", 120, numpy.uint8), constant("picks", [4, 1], numpy.int64)],
     {"x": random.normal(0, 1, (2, 4, 5, 6)).astype(numpy.float32)})

# Recurrences that are no layer of std.sequence, an input that is called as a letter of index notation, and a pool that keeps a size
# that is not known.
save("scans",
     [node("LSTM", ["x", "lw", "lr", "lb", "", "h", "", "lp"], ["y", "yh", "yc"], direction="bidirectional", hidden_size=H, clip=0.8),
      node("GRU", ["x", "gw", "gr", "gb", "counts"], ["g", "gh"], direction="reverse", hidden_size=H),
      node("RNN", ["x", "rw", "rr"], ["r", "rh"], hidden_size=H, activations=["Softsign"]),
      node("Einsum", ["h", "rr"], ["e"], equation="Bnh,ahq->Bnq"),
      node("MaxPool", ["p"], ["m"], kernel_shape=[2, 3], auto_pad="SAME_UPPER")],
     {"p": (["N", 2, "H", "W"],), "x": (["T", "N", D],), "h": ([2, "N", H],), "counts": (["N"], TensorProto.INT32)},
     {"y": ["T", 2, "N", H], "yc": [2, "N", H], "g": ["T", 1, "N", H], "gh": [1, "N", H], "rh": [1, "N", H], "e": [2, "N", H], "m": ["N", 2, "H", "W"]},
     [weights("lw", 2, 4 * H, D), weights("lr", 2, 4 * H, H), weights("lb", 2, 8 * H), weights("lp", 2, 3 * H), weights("gw", 1, 3 * H, D),
      weights("gr", 1, 3 * H, H), weights("gb", 1, 6 * H), weights("rw", 1, H, D), weights("rr", 1, H, H)],
     {"x": random.normal(0, 1, (6, 4, D)).astype(numpy.float32), "h": random.normal(0, 1, (2, 4, H)).astype(numpy.float32),
      "counts": numpy.array([6, 1, 4, 5], numpy.int32), "p": random.normal(-3, 1, (4, 2, 5, 7)).astype(numpy.float32)})

# Exporters write equal tensors once: two norms with one scale and shift, each with its own statistics; two products with one matrix.
spread = lambda name: constant(name, random.uniform(0.5, 2, 4))
save("shared",
     [node("BatchNormalization", ["x", "scale", "shift", "m1", "v1"], ["a"]), node("BatchNormalization", ["a", "scale", "shift", "m2", "v2"], ["b"]),
      node("BatchNormalization", ["b", "scale", "shift", "m1", "v1"], ["y"]),
      node("Gemm", ["u", "w", "c1"], ["t"], transB=1), node("Gemm", ["t", "w", "c2"], ["z"], transB=1)],
     {"x": (["N", 4, 3, 2],), "u": (["N", 4],)}, {"y": ["N", 4, 3, 2], "z": ["N", 4]},
     [spread("scale"), weights("shift", 4), weights("m1", 4), spread("v1"), weights("m2", 4), spread("v2"), weights("w", 4, 4),
      weights("c1", 4), weights("c2", 4)],
     {"x": random.normal(0, 1, (2, 4, 3, 2)).astype(numpy.float32), "u": random.normal(0, 1, (2, 4)).astype(numpy.float32)})

# Zeros of the batch's size that a layer begins with anyway, as PyTorch's exporter makes them once for both states.
save("zeros",
     [node("Shape", ["x"], ["n"], start=1, end=2), node("Concat", ["one", "n", "h"], ["size"], axis=0), node("Expand", ["nought", "size"], ["z"]),
      node("LSTM", ["x", "lw", "lr", "", "", "z", "z"], ["y", "yh"], hidden_size=H)],
     {"x": (["T", "N", D],)}, {"y": ["T", 1, "N", H], "yh": [1, "N", H]},
     [constant("one", [1], numpy.int64), constant("h", [H], numpy.int64), constant("nought", 0.0), weights("lw", 1, 4 * H, D),
      weights("lr", 1, 4 * H, H)],
     {"x": random.normal(0, 1, (6, 4, D)).astype(numpy.float32)})
