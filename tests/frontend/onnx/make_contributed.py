"""Makes inputs/fused, inputs/fused-attention and inputs/fused-quantized: operators of ONNX Runtime's own domain, with what it gives.
Needs numpy, onnx and onnxruntime; run it in this folder, the tests read its results alone."""
import os

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

rng = np.random.default_rng(4)


def normal(*shape):
    return rng.standard_normal(shape).astype(np.float32)


class Case:
    """A graph whose nodes each give one output or more; operands are inputs (arrays by name) or constants (arrays)."""

    def __init__(self, **inputs):
        self.inputs, self.nodes, self.constants, self.outputs = inputs, [], [], []

    def node(self, op, *operands, outputs=1, domain="com.microsoft", **attributes):
        names = []
        for x in operands:
            if isinstance(x, np.ndarray):
                self.constants.append(numpy_helper.from_array(x, f"c{len(self.constants)}"))
                x = self.constants[-1].name
            names.append(x)
        made = [f"y{len(self.outputs) + i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, names, made, domain=domain, name=f"{op}_{len(self.nodes)}", **attributes))
        self.outputs += made
        return made[0]

    def write(self, folder, tolerance=1e-5, opset=17):
        types = {np.dtype(t): n for t, n in ((np.float32, 1), (np.int32, 6), (np.int64, 7), (np.uint8, 2), (np.int8, 3), (np.bool_, 9))}
        infos = [helper.make_tensor_value_info(n, types[v.dtype], v.shape) for n, v in self.inputs.items()]
        opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1), helper.make_opsetid("ai.onnx.ml", 3)]
        model = lambda outputs: helper.make_model(helper.make_graph(self.nodes, "g", infos, outputs, self.constants),
                                                  opset_imports=opsets, ir_version=8 if opset < 19 else 10)
        run = onnxruntime.InferenceSession(model([onnx.ValueInfoProto(name=n) for n in self.outputs]).SerializeToString())
        results = run.run(None, self.inputs)
        file = model([helper.make_tensor_value_info(n, types[np.asarray(v).dtype], v.shape) for n, v in zip(self.outputs, results)])
        data = os.path.join("inputs", folder, "test_data_set_0")
        os.makedirs(data, exist_ok=True)
        onnx.save(file, os.path.join("inputs", folder, "model.onnx"))
        for kind, values in (("input", self.inputs.values()), ("output", results)):
            for i, value in enumerate(values):
                with open(os.path.join(data, f"{kind}_{i}.pb"), "wb") as out:
                    out.write(numpy_helper.from_array(np.asarray(value)).SerializeToString())
        with open(os.path.join(data, "tolerance"), "w") as out:
            out.write(f"1e-4 {tolerance}\n")


def fused():
    c = Case(x=normal(2, 5, 6), picture=normal(2, 4, 5, 7), ids=rng.integers(0, 9, (2, 5)).astype(np.int32))
    for op in ("Gelu", "FastGelu", "QuickGelu"):
        c.node(op, "x")
    c.node("QuickGelu", "x", alpha=1.0)
    c.node("FastGelu", "x", normal(6))
    c.node("BiasGelu", "x", normal(6))
    kinds = (("Clip", [-0.25, 0.5]), ("LeakyRelu", [0.1]), ("HardSigmoid", [0.25, 0.4]))
    for how in ({}, {"activation": "Relu"}, *({"activation": name, "activation_params": numbers} for name, numbers in kinds)):
        c.node("FusedConv", "picture", normal(3, 4, 3, 3), normal(3), pads=[1, 0, 0, 1], **how)
    c.node("FusedConv", "picture", normal(3, 4, 3, 3), normal(3), normal(2, 3, 3, 5), activation="Relu")
    c.node("FusedGemm", normal(5, 3), normal(4, 5), normal(4), transA=1, transB=1, alpha=0.5, activation="LeakyRelu", activation_alpha=0.2)
    c.node("FusedMatMul", "x", normal(2, 3, 6), transB=1, alpha=0.25)
    c.node("FusedMatMul", "x", normal(2, 5, 3), transA=1)
    c.node("FusedMatMul", normal(5, 2, 3, 4), normal(2, 3, 4, 6), transBatchA=1, transA=0)
    skip = normal(2, 5, 6)
    c.node("SkipLayerNormalization", "x", skip, normal(6), normal(6), normal(6), epsilon=1e-3)
    c.node("SkipSimplifiedLayerNormalization", "x", skip, normal(6), epsilon=1e-3)
    c.node("SimplifiedLayerNormalization", "x", normal(6), domain="", epsilon=1e-3, axis=-1)
    mask = (rng.random((2, 5)) > 0.4).astype(np.int32)
    c.node("EmbedLayerNormalization", "ids", np.zeros((2, 5), np.int32), normal(9, 8), normal(7, 8), normal(2, 8), normal(8), normal(8), mask,
           outputs=2)
    c.node("CDist", normal(3, 4), normal(5, 4), metric="euclidean")
    c.node("CDist", normal(3, 4), normal(5, 4), metric="sqeuclidean")
    c.write("fused")


def attention():
    x, wide = normal(2, 5, 8), normal(2, 7, 8)
    c = Case(x=x, wide=wide, raw=np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], np.int32))
    weights, bias = normal(8, 24), normal(24)
    c.node("Attention", "x", weights, bias, num_heads=2)
    c.node("Attention", "x", weights, bias, "raw", num_heads=2)
    c.node("Attention", "x", weights, bias, np.array([3, 5], np.int32), num_heads=4)
    c.node("Attention", "x", weights, bias, np.array([4, 5, 1, 0], np.int32), num_heads=4)
    c.node("Attention", "x", weights, bias, "", normal(2, 2, 2, 3, 4), outputs=2, num_heads=2, unidirectional=1)
    c.node("Attention", "x", weights, bias, "", "", normal(1, 2, 5, 5), num_heads=2, scale=0.3)
    c.node("MultiHeadAttention", "x", "wide", "wide", bias, num_heads=2)
    c.node("MultiHeadAttention", "x", "wide", "wide", "", (rng.random((2, 7)) > 0.3).astype(np.int32), num_heads=4)
    c.node("RotaryEmbedding", "x", np.array([2], np.int64), normal(9, 2), normal(9, 2), num_heads=2)
    c.node("RotaryEmbedding", "x", rng.integers(0, 9, (2, 5)), normal(9, 2), normal(9, 2), interleaved=1)
    # Two sequences that have seen 3 of 4, and a prompt.
    length, width, table = np.array([4, 3], np.int32), 16, (normal(16, 8), normal(16, 8))
    pasts, steps = (normal(2, 2, 4, width), normal(2, 2, 4, width)), normal(2, 1, 4 * width)
    c.node("GroupQueryAttention", steps, normal(2, 1, 2 * width), normal(2, 1, 2 * width), *pasts, length, np.array(5, np.int32), *table, outputs=3,
           num_heads=4, kv_num_heads=2, do_rotary=1)
    c.node("GroupQueryAttention", normal(2, 5, 8 * width), "", "", "", "", np.array([4, 4], np.int32), np.array(5, np.int32), *table,
           outputs=3, num_heads=4, kv_num_heads=2, do_rotary=1, rotary_interleaved=1, local_window_size=3, softcap=2.0)
    c.write("fused-attention")


def quantized():
    def byte(*shape):
        return rng.integers(0, 256, shape).astype(np.uint8)

    def scale(x):
        return np.array(x, np.float32)

    def zero(x):
        return np.array(x, np.uint8)

    c = Case(a=byte(2, 3, 6, 7), b=byte(2, 3, 6, 7), x=normal(3, 8), steps=normal(4, 2, 5))
    a, b, to = ("a", scale(0.0213), zero(120)), ("b", scale(0.0317), zero(100)), (scale(0.0471), zero(90))
    c.node("QLinearAdd", *a, *b, *to)
    c.node("QLinearMul", *a, *b, *to)
    c.node("QLinearLeakyRelu", *a, *to, alpha=0.1)
    c.node("QLinearSigmoid", *a, scale(1 / 256), zero(0))
    c.node("QLinearConcat", *to, *a, *b, axis=1)
    c.node("QLinearAveragePool", *a, *to, kernel_shape=[2, 3], strides=[2, 1])
    c.node("QLinearGlobalAveragePool", *a, *to)
    c.node("QLinearWhere", rng.random((2, 3, 6, 7)) > 0.5, *a, *b, *to)
    weights, columns = rng.integers(-60, 60, (8, 5)).astype(np.int8), (rng.random(5) / 50).astype(np.float32)
    c.node("DynamicQuantizeMatMul", "x", weights, columns, np.zeros(5, np.int8), normal(5))
    c.node("MatMulIntegerToFloat", byte(3, 8), weights, scale(0.02), columns, zero(128), np.zeros(5, np.int8), normal(5))
    c.node("QGemm", byte(3, 8), scale(0.02), zero(128), weights, columns, np.zeros(5, np.int8),
           rng.integers(-99, 99, 5).astype(np.int32), scale(0.05), zero(130), alpha=1.0)
    c.node("QGemm", byte(8, 3), scale(0.02), zero(128), weights.T.copy(), columns, np.zeros(5, np.int8), transA=1, transB=1)
    c.node("MatMulNBits", normal(2, 40), byte(3, 3, 8), (rng.random((3, 3)) / 9).astype(np.float32), K=40, N=3, bits=4, block_size=16)
    c.node("MatMulNBits", normal(2, 40), byte(3, 3, 8), (rng.random((3, 3)) / 9).astype(np.float32), byte(3, 2), K=40, N=3, bits=4,
           block_size=16)
    c.node("QAttention", byte(2, 5, 8), rng.integers(-60, 60, (8, 24)).astype(np.int8), normal(24), scale(0.01), scale(0.02),
           np.array([3, 5], np.int32), zero(128), np.array(0, np.int8), num_heads=2)
    one = lambda *shape: rng.integers(-60, 60, shape).astype(np.int8)
    c.node("DynamicQuantizeLSTM", "steps", one(2, 5, 12), one(2, 3, 12), normal(2, 24), "", "", "", "", scale([0.01, 0.02]),
           np.zeros(2, np.int8), scale([0.01, 0.015]), np.zeros(2, np.int8), outputs=3, hidden_size=3, direction="bidirectional")
    c.node("DequantizeLinear", np.array([3, 250], np.uint8), scale(0.1), zero(7), domain="", axis=1)  # an axis that says nothing
    # Where a state is quantised at each step, what ONNX Runtime's sigmoid leaves out in the seventh digit may cost some of 255 steps.
    c.write("fused-quantized", 1e-3)


if __name__ == "__main__":
    fused()
    attention()
    quantized()
