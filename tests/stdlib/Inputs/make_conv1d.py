"""Makes conv1d.safetensors: what PyTorch's Conv1d computes, for conv1d.test. Needs torch; run it in this folder when the layer
changes: the tests read its result alone."""
import torch
from safetensors.torch import save_file

torch.manual_seed(2)
plain, wide = torch.nn.Conv1d(4, 5, 3, padding=1), torch.nn.Conv1d(5, 6, 4, stride=2, padding=3, dilation=2)
halves = torch.nn.Conv1d(6, 4, 3, stride=3, padding=0, groups=2, bias=False)
tensors = {f"{name}.{key}": p.detach().clone() for name, layer in (("plain", plain), ("wide", wide), ("halves", halves))
           for key, p in layer.named_parameters()}
x = torch.randn(2, 4, 19, requires_grad=True)
y = halves(wide(plain(x)))
y.square().sum().backward()
tensors |= {"case.x": x.detach(), "case.y": y.detach(), "case.dx": x.grad, "case.dw": wide.weight.grad}
save_file({k: v.contiguous() for k, v in tensors.items()}, "conv1d.safetensors")
