"""Makes inputs/attention-{bert,gpt,t5,stored}.onnx and .safetensors: one layer each as exporters write encoders with a mask, decoders and
encoders with a bias by distance, and three with masks kept among the weights, of open batch and length, with what ONNX Runtime gives. Needs numpy, onnx, onnxruntime and safetensors;
run it in this folder, the tests read its results alone."""
import numpy as np
import onnx
import onnxruntime
from make_contributed import Case, normal, rng
from onnx import TensorProto, helper
from safetensors.numpy import save_file

HEADS, WIDTH = 2, 8
LOWEST = np.array(np.finfo(np.float32).min)
whole = lambda *numbers: np.array(numbers, np.int64)
inputs = {"ids": rng.integers(0, 11, (2, 6)).astype(np.int32), "mask": np.array([[1] * 6, [1] * 4 + [0] * 2], np.int32)}


class Layer(Case):
    def op(self, name, *operands, **attributes):
        return self.node(name, *operands, domain="", **attributes)

    def heads(self, x, turn):
        return self.op("Transpose", self.op("Reshape", x, whole(0, 0, HEADS, -1)), perm=turn)

    def linear(self, x, width=WIDTH, bias=True):
        product = self.op("MatMul", x, 0.4 * normal(WIDTH, width))
        return self.op("Add", normal(width), product) if bias else product

    def embedded(self):
        return self.op("Gather", normal(11, WIDTH), "ids")

    def places(self):
        length = self.op("Gather", self.op("Shape", "ids"), np.array(1))
        return self.op("Range", np.array(0), length, np.array(1))

    def hidden(self):
        """[N, 1, 1, T]: 0, or the lowest number where the mask is 0."""
        mask = self.op("Cast", self.op("Unsqueeze", self.op("Unsqueeze", "mask", whole(1)), whole(2)), to=TensorProto.FLOAT)
        return self.op("Mul", self.op("Sub", np.array(1, np.float32), mask), LOWEST)

    def mixed(self, scores, v, x):
        y = self.op("MatMul", self.op("Softmax", scores, axis=-1), v)
        y = self.linear(self.op("Reshape", self.op("Transpose", y, perm=[0, 2, 1, 3]), whole(0, 0, WIDTH)))
        return self.op("LayerNormalization", self.op("Add", x, y), normal(WIDTH), normal(WIDTH), axis=-1)

    def save(self, name, result):
        values = {n: inputs[n] for n in self.inputs}
        infos = [helper.make_tensor_value_info(n, TensorProto.INT32, ["N", "T"]) for n in values]
        self.nodes.append(helper.make_node("Identity", [result], ["y"]))
        out = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", "T", WIDTH])
        model = helper.make_model(helper.make_graph(self.nodes, name, infos, [out], self.constants),
                                  opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, f"inputs/attention-{name}.onnx")
        y, = onnxruntime.InferenceSession(model.SerializeToString()).run(None, values)
        save_file({**{f"in.{k}": v for k, v in values.items()}, "out.y": y}, f"inputs/attention-{name}.safetensors")


def bert():
    c = Layer(ids=None, mask=None)
    x = c.embedded()
    q, k, v = c.heads(c.linear(x), [0, 2, 1, 3]), c.heads(c.linear(x), [0, 2, 3, 1]), c.heads(c.linear(x), [0, 2, 1, 3])
    scores = c.op("Div", c.op("MatMul", q, k), np.array(2, np.float32))
    c.save("bert", c.mixed(c.op("Add", scores, c.hidden()), v, x))


def gpt():
    c = Layer(ids=None)
    x = c.embedded()
    c.node("Split", c.linear(x, 3 * WIDTH), whole(WIDTH, WIDTH, WIDTH), outputs=3, domain="", axis=2)
    q, k, v = c.outputs[-3:]
    q, k, v = c.heads(q, [0, 2, 1, 3]), c.heads(k, [0, 2, 3, 1]), c.heads(v, [0, 2, 1, 3])
    at = c.places()
    seen = c.op("LessOrEqual", c.op("Unsqueeze", at, whole(0)), c.op("Unsqueeze", at, whole(1)))
    scores = c.op("Div", c.op("MatMul", q, k), np.array(2, np.float32))
    c.save("gpt", c.mixed(c.op("Where", seen, scores, LOWEST), v, x))


def stored():
    """Masks for 9 positions, of which the first T are taken: ones to be compared with 0, what is added, and one that is not causal."""
    c = Layer(ids=None)
    x = c.embedded()
    shape = c.op("Shape", "ids", start=1)
    first = lambda mask: c.op("Slice", mask, whole(0, 0), c.op("Concat", shape, shape, axis=0), whole(-2, -1))
    ones = np.tril(np.ones((1, 1, 9, 9), np.float32))
    low = np.where(ones[0, 0] == 1, 0, -np.inf).astype(np.float32)
    almost = ones == 1
    almost[0, 0, 3, 1] = False
    for mask in ("ones", "low", "almost"):
        q, k, v = (c.heads(c.linear(x), turn) for turn in ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]))
        scores = c.op("Div", c.op("MatMul", q, k), np.array(2, np.float32))
        if mask == "ones":
            hidden = c.op("Equal", first(ones), np.array(0, np.float32))
            scores = c.op("Where", hidden, np.array(-np.inf, np.float32), scores)
        elif mask == "low":
            scores = c.op("Add", scores, first(low))
        else:
            scores = c.op("Where", first(almost), scores, LOWEST)
        x = c.mixed(scores, v, x)
    c.save("stored", x)


def t5():
    c = Layer(ids=None, mask=None)
    x = c.embedded()
    linear = lambda: c.linear(x, bias=False)
    q, k, v = c.heads(linear(), [0, 2, 1, 3]), c.heads(linear(), [0, 2, 3, 1]), c.heads(linear(), [0, 2, 1, 3])
    at = c.places()
    apart = c.op("Sub", c.op("Unsqueeze", at, whole(0)), c.op("Unsqueeze", at, whole(1)))
    bucket = c.op("Add", c.op("Min", c.op("Abs", apart), np.array(3)),
                  c.op("Mul", c.op("Cast", c.op("Greater", apart, np.array(0)), to=TensorProto.INT64), np.array(4)))
    bias = c.op("Unsqueeze", c.op("Transpose", c.op("Gather", normal(8, HEADS), bucket), perm=[2, 0, 1]), whole(0))
    c.save("t5", c.mixed(c.op("Add", c.op("MatMul", q, k), c.op("Add", bias, c.hidden())), v, x))


if __name__ == "__main__":
    bert()
    gpt()
    t5()
    stored()
