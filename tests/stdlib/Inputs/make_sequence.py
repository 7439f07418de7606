"""Makes sequence.safetensors: what PyTorch and Hugging Face's Llama and GPT-J compute, for sequence.test. Needs torch and
transformers; run it in this folder when a layer is added: the tests read its result alone."""
import torch
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.models.gptj.modeling_gptj import apply_rotary_pos_emb, create_sinusoidal_positions

torch.manual_seed(3)
config = LlamaConfig(vocab_size=19, hidden_size=16, intermediate_size=20, num_hidden_layers=2, num_attention_heads=4,
                     num_key_value_heads=2, rms_norm_eps=1e-5, rope_theta=10000.0, max_position_embeddings=64)
llama = LlamaForCausalLM(config).eval()
with torch.no_grad():
    for p in llama.parameters():
        p.copy_(torch.randn_like(p) * (0.3 if p.dim() > 1 else 0.2) + (0 if p.dim() > 1 else 1))
tensors = {name: p.detach().clone().contiguous() for name, p in llama.named_parameters()}
ids = torch.randint(0, 19, (2, 7))
tensors["case.ids"] = ids.int()
tensors["case.logits"] = llama(ids).logits.detach()

# The gradient through one block, to its input.
x = torch.randn(2, 7, 16, requires_grad=True)
w = torch.randn(2, 7, 16)
cos, sin = llama.model.rotary_emb(x, torch.arange(7)[None])
causal = torch.full((7, 7), float("-inf")).triu(1)[None, None]
y = llama.model.layers[0](x, attention_mask=causal, position_embeddings=(cos, sin))
y = y[0] if isinstance(y, tuple) else y
(y * w).sum().backward()
tensors |= {"case.x": x.detach(), "case.w": w, "case.y": y.detach(), "case.dx": x.grad}

# GPT-J's rotary positions, and sines and cosines as the paper interleaves them.
heads = torch.randn(2, 7, 3, 8)
table = create_sinusoidal_positions(7, 8)
sin, cos = table[:, :4], table[:, 4:]
tensors["case.heads"] = heads
tensors["case.turned"] = apply_rotary_pos_emb(heads, sin[None], cos[None])
tensors["case.waves"] = torch.stack([sin, cos], dim=2).reshape(7, 8)
save_file({k: v.contiguous() for k, v in tensors.items()}, "sequence.safetensors")
