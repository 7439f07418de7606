"""The weights of one of our Llama-like libraries as a GGUF file, for llama.cpp.

usage: gguf_file.py WEIGHTS.safetensors KIND OUT.gguf    (KIND: f16, bf16 or q8_0)
Weights of 8 bits are read with their scales. Sizes are those of examples/zoo/llama.bigm.
"""
import sys

VOCAB, WIDTH, DEPTH, HEADS, GROUPS, HIDDEN, BASE, EPSILON, CONTEXT = 49152, 576, 30, 9, 3, 1536, 10000.0, 1e-5, 2048
NAMES = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
         "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
         "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}


def read(path):
    """Our tensors by name without that of the model, as f32."""
    from safetensors.torch import load_file  # numpy has no bf16
    raw = {name.split(".", 1)[1]: value.float().numpy() for name, value in load_file(path).items()}
    return {name: value * raw[name + ".scale"][:, None] if name + ".scale" in raw else value
            for name, value in raw.items() if not name.endswith(".scale")}


def theirs(name):
    """The name in GGUF, and how many heads share a matrix whose rows llama.cpp wants in pairs of angles."""
    if name == "embed_tokens.weight":
        return "token_embd.weight", 0
    if name == "norm.weight":
        return "output_norm.weight", 0
    block, part = name.removeprefix("llama_block_").removesuffix(".weight").split(".", 1)
    return f"blk.{int(block) - 1}.{NAMES[part]}.weight", {"self_attn.q_proj": HEADS, "self_attn.k_proj": GROUPS}.get(part, 0)


def write(weights, kind, out):
    import gguf
    types = gguf.GGMLQuantizationType
    number = {"f16": types.F16, "bf16": types.BF16, "q8_0": types.Q8_0}[kind]
    files = {"f16": gguf.LlamaFileType.MOSTLY_F16, "bf16": gguf.LlamaFileType.MOSTLY_BF16, "q8_0": gguf.LlamaFileType.MOSTLY_Q8_0}
    writer = gguf.GGUFWriter(out, "llama")
    writer.add_file_type(files[kind])
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(DEPTH)
    writer.add_feed_forward_length(HIDDEN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(GROUPS)
    writer.add_layer_norm_rms_eps(EPSILON)
    writer.add_rope_freq_base(BASE)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_vocab_size(VOCAB)
    writer.add_tokenizer_model("no_vocab")
    for name, value in read(weights).items():
        to, heads = theirs(name)
        if heads:  # elements j and j + D/2 of a head are turned together: theirs are neighbours
            value = value.reshape(heads, 2, -1, value.shape[1]).swapaxes(1, 2).reshape(value.shape)
        if value.ndim == 1:
            writer.add_tensor(to, value)
        else:
            writer.add_tensor(to, gguf.quants.quantize(value, number), raw_dtype=number)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    write(*sys.argv[1:])
