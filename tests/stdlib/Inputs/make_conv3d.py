"""Makes conv3d.safetensors: convolutions and pools of volumes and their gradients by PyTorch. Needs torch; run it here."""
import torch
from safetensors.torch import save_file
from torch import nn

torch.manual_seed(4)
plain = nn.Conv3d(4, 6, 3, padding=1, groups=2)
wide = nn.Conv3d(6, 5, 2, stride=2, padding=1, dilation=2, bias=False)
norm = nn.BatchNorm3d(6).eval()
norm.running_mean.uniform_(-0.5, 0.5), norm.running_var.uniform_(0.5, 2)
x = torch.randn(2, 4, 7, 9, 8, requires_grad=True)
h = torch.tanh(norm(plain(x)))
y = nn.functional.avg_pool3d(wide(h), 3, stride=1, padding=1)
z = nn.functional.max_pool3d(h, 3, stride=2, padding=1)
loss = (y * y).sum() + (z * z).sum()
loss.backward()
tensors = {f"plain.{k}": v for k, v in plain.state_dict().items()} | {f"wide.{k}": v for k, v in wide.state_dict().items()}
tensors |= {f"norm.{k}": v for k, v in norm.state_dict().items() if k != "num_batches_tracked"}
tensors |= {"case.x": x, "case.y": y, "case.z": z, "case.dx": x.grad, "case.dw": plain.weight.grad, "case.dv": wide.weight.grad}
save_file({k: v.detach().contiguous().clone() for k, v in tensors.items()}, "conv3d.safetensors")
