"""Makes blocks.gguf, random blocks of each encoding that the package `gguf` can decode, and blocks.safetensors, what it decodes
them to. Needs gguf, numpy and safetensors; run it in this folder, the tests read its results alone."""
import gguf
import numpy
from safetensors.numpy import save_file

types = gguf.GGMLQuantizationType
# How many bytes of a block begin with numbers of 16 bits that are scales, and where those are.
SCALES = {types.Q4_0: (0,), types.Q4_1: (0, 2), types.Q5_0: (0,), types.Q5_1: (0, 2), types.Q8_0: (0,), types.Q2_K: (80, 82),
          types.Q3_K: (108,), types.Q4_K: (0, 2), types.Q5_K: (0, 2), types.Q6_K: (208,), types.IQ4_NL: (0,), types.IQ4_XS: (0,), types.MXFP4: ()}
rng = numpy.random.default_rng(11)
writer = gguf.GGUFWriter("blocks.gguf", "llama")
decoded = {}
for kind, places in SCALES.items():
    elements, size = gguf.GGML_QUANT_SIZES[kind]
    count = 512 // elements * 3
    blocks = rng.integers(0, 256, (count, size), dtype=numpy.uint8)
    for at in places:
        blocks[:, at:at + 2] = rng.normal(0, 0.1, count).astype(numpy.float16).view(numpy.uint8).reshape(count, 2)
    if kind == types.MXFP4:  # an exponent: of numbers about one
        blocks[:, 0] = rng.integers(118, 130, count)
        blocks[:3, 0] = 0, 1, 2
    rows = blocks.reshape(3, -1)
    writer.add_tensor(kind.name.lower(), rows, raw_dtype=kind)
    decoded[kind.name.lower()] = gguf.quants.dequantize(rows, kind).astype(numpy.float32)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
save_file(decoded, "blocks.safetensors")
