"""Makes inputs/regions, inputs/bent and inputs/regions-small.onnx: regions of interest (samples by their size, outside of the picture, of two pictures) and
convolutions with offsets, with what ONNX Runtime gives. Needs numpy, onnx and onnxruntime; run it in this folder, the tests read
its results alone."""
import numpy as np
import onnx
from make_contributed import Case, normal, rng
from onnx import TensorProto, helper, numpy_helper


def regions():
    corners = rng.random((6, 2)).astype(np.float32) * 12 - 2
    places = np.concatenate([corners, corners + rng.random((6, 2)).astype(np.float32) * 14], 1)
    places[4] = [3, 3, 3.2, 3.1]
    places[5] = [-30, -20, 50, 60]  # far more than the picture
    c = Case(x=normal(2, 3, 9, 11), one=normal(1, 3, 9, 11), places=places)
    which = np.array([0, 1, 1, 0, 1, 0], np.int64)
    for mode in ("half_pixel", "output_half_pixel"):
        how = dict(output_height=3, output_width=2, coordinate_transformation_mode=mode)
        c.node("RoiAlign", "x", "places", which, domain="", spatial_scale=0.75, sampling_ratio=0, **how)
        c.node("RoiAlign", "one", "places", which * 0, domain="", sampling_ratio=0, **how)
        c.node("RoiAlign", "x", "places", which, domain="", sampling_ratio=3, **how)
    c.node("RoiAlign", "x", "places", which, domain="", sampling_ratio=2, mode="max", output_height=2, output_width=4)
    c.write("regions", 2e-5)


def bent():
    c = Case(x=normal(2, 4, 7, 8), offset=normal(2, 24, 4, 4), offset3=normal(2, 36, 7, 8), mask=rng.random((2, 12, 4, 4), np.float32))
    c.node("DeformConv", "x", normal(6, 2, 2, 3), "offset", normal(6), "mask", domain="", strides=[2, 2], pads=[1, 0, 0, 2], group=2,
           offset_group=2)
    c.node("DeformConv", "x", normal(5, 4, 3, 3), "offset3", domain="", pads=[2, 2, 2, 2], dilations=[2, 2], offset_group=2)
    c.write("bent", 2e-5, 19)


def small():
    """Files with inputs alone, for gradients."""
    value = lambda n, *s: helper.make_tensor_value_info(n, TensorProto.FLOAT, s)
    how = dict(output_height=2, output_width=3)
    nodes = [helper.make_node("RoiAlign", ["x", "boxes", "which"], ["fixed"], name="fixed", sampling_ratio=2, **how),
             helper.make_node("RoiAlign", ["x", "boxes", "which"], ["by_size"], name="by_size", sampling_ratio=0, **how),
             helper.make_node("DeformConv", ["x", "w", "offset"], ["bent"], name="bent", pads=[1, 1, 1, 1])]
    graph = helper.make_graph(nodes, "small", [value("x", 1, 2, 7, 8), value("boxes", 2, 4), value("w", 3, 2, 3, 3), value("offset", 1, 18, 7, 8)],
                              [value("fixed", 2, 2, 2, 3), value("by_size", 2, 2, 2, 3), value("bent", 1, 3, 7, 8)],
                              [numpy_helper.from_array(np.zeros(2, np.int64), "which")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=8), "inputs/regions-small.onnx")


if __name__ == "__main__":
    regions()
    bent()
    small()
