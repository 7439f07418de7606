"""Do the models of examples/zoo compute what PyTorch's do? Same weights into both; outputs and gradients compared.

usage: agree.py [MODEL...]    (in the environment of bench/setup)

Outputs are compared with those of the peer in f32: sentences by the cosine of their vectors, at least 0.99999; logits
within 1e-4, or within 1e-5 of the largest where random weights make logits above 10.

Gradients in training mode (statistics of the batch, no dropout) are compared with PyTorch in f64, so that only our
rounding counts: the largest difference within a tensor over the largest element of the tensor, or over 1e-3 of the
largest gradient of the whole model where the tensor is smaller (a bias in front of a batch norm has the gradient 0).
They agree when the difference is at most 1e-3 on one of up to TRIES inputs (1e-6 to 3e-4 is what f32 gives, the more
the deeper), and the error of all together, |ours - exact| over |exact|, is at most 0.2 on every input tried. For
rounding may put a value on the other side of a relu's kink or a pool's tie, and that alone changes a gradient by a
whole summand, PyTorch's in f32 as well (its error is printed); a wrong formula is wrong on every input.
"""
import copy
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
SHARED = os.environ.get("BIGM_SHARED", os.path.join(ROOT, "..", "shared"))
BIGMC = os.path.join(os.environ.get("BIGM_BUILD", os.path.join(ROOT, "build")), "bin", "bigmc")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path[:0] = [HERE, os.path.join(SHARED, "peers")]

import numpy as np  # noqa: E402
import torch  # noqa: E402
from safetensors.numpy import save_file  # noqa: E402
from library import Library  # noqa: E402
from models import Gpt, make  # noqa: E402

TRIES = 12
MODELS = ["mnist_cnn", "resnet18", "resnet50", "mobilenet_v2", "minilm", "gpt_char", "gpt384"]


def renamed(name, tensors):
    """The tensors under our names by the rules of same/NAME.names; those that get one name are joined along rows."""
    rules = []
    for line in open(os.path.join(HERE, "same", name + ".names")):
        if line.strip() and not line.startswith("#"):
            pattern, replacement = line.split()
            rules.append((re.compile(pattern), replacement))
    groups = {}
    for key, value in tensors.items():
        for pattern, replacement in rules:
            if replacement == "-" and pattern.search(key):
                key = None
                break
            key = pattern.sub(replacement, key)
            key = re.sub(r"\{(\d+)\+1\}", lambda m: str(int(m[1]) + 1), key)
        if key:
            groups.setdefault(key, []).append(value)
    return {key: values[0] if len(values) == 1 else np.concatenate(values) for key, values in groups.items()}


def peer(name):
    """The peer's model, evaluating, without dropout."""
    torch.manual_seed(0)
    if name == "gpt384":
        model = Gpt(65, 384, 6, 6, 256)
    else:
        model, _, _ = make(name)
    for part in model.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
    # Norms at their initial 1, 0, 0, 1 would hide a mistake in them.
    for key, value in model.state_dict().items():
        if name != "minilm" and re.search(r"running_mean|running_var|(bn\d|norm\d?|\.\d)\.(weight|bias)$", key) and value.dim() == 1:
            value += 0.1 * torch.rand_like(value)
    return model.eval()


def batch(name, seed):
    """Random inputs by our names."""
    torch.manual_seed(100 + seed)
    if name == "mnist_cnn":
        return {"image": torch.randn(6, 1, 28, 28), "kind": torch.randint(0, 10, (6,))}
    if name == "minilm":
        mask = torch.ones(3, 48, dtype=torch.int64)
        mask[1, 20:] = 0
        mask[2, 5:] = 0
        return {"input_ids": torch.randint(1000, 30000, (3, 48)), "attention_mask": mask, "direction": torch.randn(3, 384)}
    if name.startswith("gpt"):
        length = 64 if name == "gpt_char" else 256
        return {"ids": torch.randint(0, 65, (2, length)), "next": torch.randint(0, 65, (2, length))}
    return {"image": torch.randn(2, 3, 64, 64), "kind": torch.randint(0, 1000, (2,))}


def call(model, inputs):
    images = [inputs[k] for k in ("image", "ids", "input_ids", "attention_mask") if k in inputs]
    return model(*images)


def loss_of(out, inputs):
    if "direction" in inputs:
        return (out * inputs["direction"].to(out.dtype)).sum()
    target = inputs["kind"] if "kind" in inputs else inputs["next"]
    return torch.nn.functional.cross_entropy(out.reshape(-1, out.shape[-1]), target.reshape(-1))


def gradients(model, inputs, dtype):
    """By our names, in training mode; and the states after the step."""

    twin = copy.deepcopy(model).to(dtype).train()
    cast = {k: v.to(dtype) if v.is_floating_point() else v for k, v in inputs.items()}
    loss = loss_of(call(twin, cast), cast)
    loss.backward()
    grads = {k: p.grad.double().numpy() for k, p in twin.named_parameters() if p.grad is not None}
    states = {k: v.double().numpy() for k, v in twin.named_buffers() if v.is_floating_point() and "running" in k}
    return float(loss.detach()), grads, states


def worst(ours, reference):
    """The largest relative difference, and where."""
    largest = max(np.abs(r).max() for r in reference.values())
    found = {k: np.abs(ours[k] - r).max() / max(np.abs(r).max(), 1e-3 * largest) for k, r in reference.items()}
    where = max(found, key=found.get)
    return found[where], where


def length(tensors):
    return np.sqrt(sum((value ** 2).sum() for value in tensors.values()))


def agree_outputs(name, got, expected):
    if name == "minilm":
        cosine = (got * expected).sum(1) / np.linalg.norm(got, axis=1) / np.linalg.norm(expected, axis=1)
        print(f"{name}: cosine at least {cosine.min():.7f}", end="")
        return bool((cosine >= 0.99999).all())
    difference, largest = np.abs(got - expected).max(), np.abs(expected).max()
    print(f"{name}: logits up to {largest:.3g} differ by {difference:.1e}", end="")
    return bool(difference <= max(1e-4, 1e-5 * largest))


def agree_gradients(name, ours, weights, model):
    for attempt in range(1, TRIES + 1):
        inputs = batch(name, attempt)
        ours.load(weights)
        taken = float(ours.run(f"{name}.all.step", {k: v.numpy() for k, v in inputs.items()})["loss"])
        loss, exact, states = gradients(model, inputs, torch.float64)
        _, rounded, _ = gradients(model, inputs, torch.float32)
        exact, rounded, states = renamed(name, exact), renamed(name, rounded), renamed(name, states)
        slots = {k: ours.tensor(k + "/value").astype(np.float64) for k in exact}
        error, where = worst(slots, exact)
        theirs, _ = worst(rounded, exact)
        together = length({k: slots[k] - exact[k] for k in exact}) / length(exact)
        running = worst({k: ours.tensor(k) for k in states}, states)[0] if states else 0
        if together > 0.2 or running > 1e-4 or abs(taken - loss) > 1e-4 * max(1, abs(loss)):
            print(f"; on input {attempt} loss {taken:.6f} and {loss:.6f}, gradients off by {together:.1e} together, "
                  f"running statistics by {running:.1e}", end="")
            return False
        if error <= 1e-3:
            print(f"; {len(exact)} gradients agree to {error:.1e}, PyTorch's f32 to {theirs:.1e}, on input {attempt}; "
                  f"{len(states)} running statistics to {running:.1e}", end="")
            return True
    print(f"; gradients differ by {error:.1e} ({where}), PyTorch's f32 by {theirs:.1e}", end="")
    return False


def agree(name, folder):
    model = peer(name)
    place = os.path.join(folder, name)
    subprocess.run([BIGMC, "build", os.path.join(folder, f"same_{name}.bigm"), "-o", place], check=True)
    ours = Library(os.path.join(place, "lib", f"libsame_{name}.so"))
    weights = os.path.join(folder, name + ".safetensors")
    values = renamed(name, {k: v.numpy() for k, v in model.state_dict().items()})
    save_file({k: np.ascontiguousarray(v) for k, v in values.items()}, weights)
    ours.load(weights)
    inputs = batch(name, 0)
    with torch.no_grad():
        expected = call(model, inputs).numpy()
    got = next(iter(ours.run(f"{name}.forward", {k: v.numpy() for k, v in inputs.items()}).values()))
    ok = agree_outputs(name, got, expected)
    ok = agree_gradients(name, ours, weights, model) and ok
    print("" if ok else "  NOT WITHIN THE TOLERANCE", flush=True)
    return ok


def main():
    names = sys.argv[1:] or MODELS
    unknown = [n for n in names if n not in MODELS]
    if unknown:
        sys.exit(f"no model {', '.join(unknown)}; there are {', '.join(MODELS)}")
    with tempfile.TemporaryDirectory() as folder:
        for file in glob.glob(os.path.join(ROOT, "examples", "zoo", "*.bigm")) + glob.glob(os.path.join(HERE, "same", "*.bigm")):
            shutil.copy(file, folder)
        results = [agree(name, folder) for name in names]
    print(f"{sum(results)} of {len(results)} models agree")
    return 0 if all(results) else 1


sys.exit(main())
