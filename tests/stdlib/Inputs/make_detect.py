"""Makes detect.safetensors: what torchvision computes of boxes, for detect.test. Needs torch, torchvision and safetensors; run
it in this folder when std.detect changes: the tests read its result alone."""
import torch
from safetensors.torch import save_file
from torchvision import ops
from torchvision.models.detection._utils import BoxCoder

torch.manual_seed(4)


def boxes(*shape):
    low, side = torch.rand(*shape, 2) * 30, torch.rand(*shape, 2) * 20 + 1
    return torch.cat([low, low + side], -1)


N, A, B, C = 2, 6, 3, 3
a, b, other = boxes(N, A), boxes(N, B), boxes(N, A)
b[1, 2] = 0  # a list that is shorter
other[0, 0] = torch.tensor([60.0, 60, 70, 65])  # apart from its partner
a.requires_grad_()
out = {"a": a.detach(), "b": b, "other": other}
out["overlaps"] = torch.stack([ops.box_iou(x, y).nan_to_num() for x, y in zip(a.detach(), b)])
giou = torch.stack([torch.diagonal(ops.generalized_box_iou(x, y)) for x, y in zip(a, other)])
out["giou"] = giou.detach()
(1 - giou).sum().backward()
out["giou_da"] = a.grad.clone()

logits, target = torch.randn(N, A, C) * 3, (torch.rand(N, A, C) < 0.2).float()
logits.requires_grad_()
loss = ops.sigmoid_focal_loss(logits, target, alpha=0.25, gamma=2, reduction="sum")
loss.backward()
out |= {"logits": logits.detach(), "target": target, "focal": loss.detach().reshape(1), "focal_d": logits.grad}
loss = torch.nn.functional.smooth_l1_loss(out["a"], other, reduction="sum", beta=2.0)
out["smooth"] = loss.reshape(1)

x = torch.randn(N, 4, 40, 50, requires_grad=True)
crops = ops.roi_align(x, list(b), (5, 7), spatial_scale=0.5, sampling_ratio=1, aligned=True)
crops.square().sum().backward()
out |= {"x": x.detach(), "crops": crops.detach(), "crops_dx": x.grad}

anchors = boxes(A)
coder = BoxCoder((1.0, 1, 1, 1))
out["anchors"] = anchors
out["offsets"] = torch.stack([coder.encode_single(o, anchors) for o in other])
out["decoded"] = torch.stack([coder.decode_single(o, anchors) for o in out["offsets"]])


def assigned(points, truth, reach):
    """FCOS, a location at a time: the smallest box that holds it near its middle."""
    which = torch.zeros(N, len(points), B)
    for n in range(N):
        for p, (px, py) in enumerate(points.tolist()):
            best = None
            for k, (l, t, r, d) in enumerate(truth[n].tolist()):
                mx, my = (l + r) / 2, (t + d) / 2
                if l < px < r and t < py < d and abs(px - mx) < reach and abs(py - my) < reach:
                    if best is None or (r - l) * (d - t) < best[0]:
                        best = ((r - l) * (d - t), k)
            if best:
                which[n, p, best[1]] = 1
    return which


points = torch.tensor([[(j + 0.5) * 4, (i + 0.5) * 4] for i in range(8) for j in range(10)])
out["assigned"] = assigned(points, b, 6.0)


def matched(anchors, truth, high, low):
    """Faster R-CNN's rule, an anchor at a time."""
    which, ignored = torch.zeros(N, len(anchors), B), torch.zeros(N, len(anchors))
    for n in range(N):
        met = ops.box_iou(anchors, truth[n]).nan_to_num()
        for k in range(B):
            if met[:, k].max() > 0:
                which[n, met[:, k].argmax(), k] = 1
        for i in range(len(anchors)):
            if which[n, i].sum() > 1:  # stands for several: the one it overlaps most
                keep = (met[i] * which[n, i]).argmax()
                which[n, i] = 0
                which[n, i, keep] = 1
            elif which[n, i].sum() == 0 and met[i].max() >= high:
                which[n, i, met[i].argmax()] = 1
            if which[n, i].sum() == 0 and met[i].max() >= low:
                ignored[n, i] = 1
    return which, ignored


out["matched"], out["ignored"] = matched(anchors, b, 0.3, 0.1)
save_file({f"case.{k}": v.detach().contiguous().float() for k, v in out.items()}, "detect.safetensors")
