"""PyTorch's exports for compare.py, with open sizes: export.py FOLDER SHARED NAME... `encoder` is a small sentence encoder."""
import os
import sys
import warnings

import torch
from torch import nn

warnings.simplefilter("ignore")
folder, shared, *names = sys.argv[1:]
sys.path.insert(0, os.path.join(shared, "peers"))
import models


class Layer(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-12), nn.LayerNorm(width, eps=1e-12)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x, mask):
        n, t, d = x.shape
        heads = [part(x).view(n, t, self.heads, d // self.heads).transpose(1, 2) for part in (self.query, self.key, self.value)]
        a = nn.functional.scaled_dot_product_attention(*heads, attn_mask=mask)
        x = self.norm1(x + self.out(a.transpose(1, 2).reshape(n, t, d)))
        return self.norm2(x + self.down(nn.functional.gelu(self.up(x))))


class Encoder(nn.Module):
    def __init__(self, vocab=500, width=48, depth=3, heads=4):
        super().__init__()
        self.token, self.position, self.norm = nn.Embedding(vocab, width), nn.Embedding(64, width), nn.LayerNorm(width)
        self.layers = nn.ModuleList([Layer(width, heads) for _ in range(depth)])

    def forward(self, input_ids, attention_mask):
        x = self.norm(self.token(input_ids) + self.position(torch.arange(input_ids.shape[1])))
        for layer in self.layers:
            x = layer(x, attention_mask[:, None, None, :].bool())
        kept = attention_mask[..., None].float()
        return nn.functional.normalize((x * kept).sum(1) / kept.sum(1), dim=-1)


os.makedirs(folder, exist_ok=True)
for name in names:
    if name == "encoder":
        torch.manual_seed(0)
        net, inputs = Encoder().eval(), (torch.randint(0, 500, (2, 9)), torch.ones(2, 9, dtype=torch.int64))
        words, axes = ["input_ids", "attention_mask"], {0: "N", 1: "T"}
    else:
        net, inputs, words = models.make(name, 1)
        axes = {0: "N"}
    torch.onnx.export(net, inputs, os.path.join(folder, name + ".onnx"), input_names=words, output_names=["out"], opset_version=17,
                      dynamo=False, dynamic_axes={w: axes for w in words})
