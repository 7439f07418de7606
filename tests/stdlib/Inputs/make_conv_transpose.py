"""Writes conv_transpose.safetensors: weights of two ConvTranspose2d in a row, a picture, PyTorch's results and gradients.

Needs torch and safetensors; run once, in this folder."""
import torch
from safetensors.torch import save_file

torch.manual_seed(0)
wide, even = torch.nn.ConvTranspose2d(3, 6, 5, 3, 2, 1), torch.nn.ConvTranspose2d(6, 4, 4, 2, 1, bias=False)
x = torch.randn(2, 3, 5, 4, requires_grad=True)
y = even(torch.tanh(wide(x)))
loss = (y * y).sum()
dx, dw, dv = torch.autograd.grad(loss, [x, wide.weight, even.weight])
save_file({"wide.weight": wide.weight, "wide.bias": wide.bias, "even.weight": even.weight, "case.x": x, "case.y": y, "case.dx": dx, "case.dw": dw, "case.dv": dv},
          "conv_transpose.safetensors")
