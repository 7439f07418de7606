"""Models of Hugging Face's families in bigm against transformers: small ones with random weights, saved as their library
saves them (in parts, as bf16 and f16 too), are read by the programs beside this file.

usage: compare.py BIGMC WORK_FOLDER
"""
import json
import os
import subprocess
import sys

import torch
import transformers as t

bigmc, work = sys.argv[1:]
here = os.path.dirname(__file__)
torch.manual_seed(3)
vocab, half = 96, dict(dtype=torch.float16)
size = dict(vocab_size=vocab, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, max_position_embeddings=40)
llama = dict(size, num_key_value_heads=2, bos_token_id=None, eos_token_id=None)
longer = {"rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 16}
FAMILIES = {
    "bert": (t.BertForSequenceClassification, t.BertConfig(**size, num_labels=3), {}),
    "bert-tags": (t.BertForTokenClassification, t.BertConfig(**size, num_labels=5), half),
    "distilbert": (t.DistilBertForSequenceClassification, t.DistilBertConfig(vocab_size=vocab, dim=32, n_layers=2, n_heads=4, hidden_dim=64, max_position_embeddings=40, num_labels=3), dict(dtype=torch.bfloat16)),
    "roberta": (t.RobertaForSequenceClassification, t.RobertaConfig(**size | {"type_vocab_size": 1}, num_labels=3, pad_token_id=1), dict(shard="30KB")),
    "gpt2": (t.GPT2LMHeadModel, t.GPT2Config(vocab_size=vocab, n_embd=32, n_layer=2, n_head=4, n_positions=40, bos_token_id=None, eos_token_id=None), {}),
    "llama": (t.LlamaForCausalLM, t.LlamaConfig(**llama, rope_theta=500000.0), dict(dtype=torch.bfloat16, shard="40KB")),
    "llama-long": (t.LlamaForCausalLM, t.LlamaConfig(**llama, rope_parameters=longer), {}),
    "mistral": (t.MistralForCausalLM, t.MistralConfig(**llama, head_dim=16, sliding_window=None), half),
    "mistral-window": (t.MistralForCausalLM, t.MistralConfig(**llama, head_dim=16, sliding_window=4), {}),
    "qwen2": (t.Qwen2ForCausalLM, t.Qwen2Config(**llama, rope_theta=1000000.0, tie_word_embeddings=True), {}),
    "qwen3": (t.Qwen3ForCausalLM, t.Qwen3Config(**llama, head_dim=16, tie_word_embeddings=True), {}),
    "gemma": (t.GemmaForCausalLM, t.GemmaConfig(**llama | {"num_key_value_heads": 1}, head_dim=16, hidden_activation="gelu_pytorch_tanh"), {}),
    "neox": (t.GPTNeoXForCausalLM, t.GPTNeoXConfig(**size, rotary_pct=0.25, bos_token_id=None, eos_token_id=None), {}),
    "t5": (t.T5EncoderModel, t.T5Config(vocab_size=vocab, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, feed_forward_proj="gated-gelu", relative_attention_num_buckets=8, relative_attention_max_distance=20), {}),
}


def flat(x):
    return [v for y in x for v in flat(y)] if isinstance(x, list) else [x]


ids = torch.randint(5, vocab, (2, 12))
mask = torch.ones(2, 12, dtype=torch.long)
mask[1, 9:] = 0
failed = False
for name, (kind, config, how) in FAMILIES.items():
    model = kind(config)
    for path, p in model.named_parameters():
        with torch.no_grad():
            p.normal_(0, 0.2) if p.dim() > 1 else p.add_(torch.randn_like(p) * 0.1)
    folder = os.path.join(work, name)
    model.to(how.get("dtype", torch.float32)).save_pretrained(folder, **{"max_shard_size": how["shard"]} if "shard" in how else {})
    model = kind.from_pretrained(folder, dtype=torch.float32).eval()
    masked = "mask: i32" in open(os.path.join(here, name + ".bigm")).read()
    with torch.no_grad():
        theirs = model(ids, attention_mask=mask) if masked else model(ids)
    theirs = theirs.logits if hasattr(theirs, "logits") else theirs.last_hidden_state
    records = [json.dumps({"ids": i, "mask": m} if masked else i) for i, m in zip(ids.tolist(), mask.tolist())]
    ours = subprocess.run([bigmc, "predict", os.path.join(here, name + ".bigm"), "--data", work, "--json", *records], capture_output=True, text=True)
    if ours.returncode != 0:
        sys.exit(f"{name}: {ours.stderr}")
    ours = torch.tensor([json.loads(line) for line in ours.stdout.splitlines()])
    if name == "bert-tags":  # what stands behind the end means nothing
        ours, theirs = ours[mask > 0], theirs[mask > 0]
    off = ((ours - theirs).abs().max() / theirs.abs().max()).item()
    failed |= ours.shape != theirs.shape or not off < 1e-5
    print(f"{name}: {off:.1e} of the largest")
print("different" if failed else f"{len(FAMILIES)} families equal")
