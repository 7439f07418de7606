"""Makes recurrent.safetensors: what PyTorch's LSTM and GRU compute on rows of different lengths, for recurrent.test. Needs
torch; run it in this folder when a layer changes: the tests read its result alone."""
import torch
from safetensors.torch import save_file
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

torch.manual_seed(5)
N, T, D, H = 3, 7, 6, 5
lengths = torch.tensor([7, 2, 4])
lstm, gru = torch.nn.LSTM(D, H, batch_first=True, bidirectional=True), torch.nn.GRU(D, H, batch_first=True, bidirectional=True)
tensors = {}
for name, layer in (("lstm", lstm), ("gru", gru)):
    for key, p in layer.named_parameters():
        p.data.copy_(torch.randn_like(p) * 0.5)
        tensors[f"{name}.{key}"] = p.detach().clone()


def run(layer, x):
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    y, last = layer(packed)
    return pad_packed_sequence(y, batch_first=True)[0], last


x = torch.randn(N, T, D, requires_grad=True)
w = torch.randn(N, T, 2 * H)
a, (h, c) = run(lstm, x)
b, g = run(gru, x)
# Of what both give, with the last states in it.
loss = (a * b * w).sum() + (h * h).sum() + (c * g).sum()
loss.backward()
mask = torch.arange(T)[None] < lengths[:, None]
tensors |= {"case.x": x.detach(), "case.w": w, "case.mask": mask.int(), "case.a": a.detach(), "case.b": b.detach(),
            "case.h": h.detach(), "case.c": c.detach(), "case.g": g.detach(), "case.dx": x.grad,
            "case.dhh": lstm.weight_hh_l0_reverse.grad, "case.dih": gru.weight_ih_l0.grad,
            "case.dbias": gru.bias_hh_l0_reverse.grad}
save_file({k: v.contiguous() for k, v in tensors.items()}, "recurrent.safetensors")
