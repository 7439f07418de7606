"""What bench/compare times: one record a row of the targets' table "Speed on CPU".

Multiply-adds are those that no algorithm of the same kind can do without (two flops each); a training step counts three
times its forward pass. `bytes` are what must be read or written at least once when the caches are cold: weights and
inputs. Where they take longer than the flops, memory is the limit.
"""
from dataclasses import dataclass, field

F32 = 4


def transformer(tokens, width, depth, vocab=0, causal=False):
    """Multiply-adds of one sequence: 12 width^2 a token and layer, scores and their use, logits."""
    attention = 2 * tokens * tokens * width // (2 if causal else 1)
    return depth * (12 * tokens * width * width + attention) + tokens * width * vocab


@dataclass
class Work:
    name: str
    program: str  # file, from the root of the project
    function: str
    dims: list  # values of the function's open sizes
    macs: float
    bytes: float
    peers: list
    model: str = ""  # in the peers' models.py
    batch: int = 1
    ratio: float = None  # target: ours over the best peer, at most
    share: float = None  # target: share of the machine's limit, at least
    ranges: dict = field(default_factory=dict)  # of whole-number inputs
    gemm: tuple = ()  # m, n, k
    dtype: str = "float32"
    flow: str = ""  # of the program, in place of `function`; timed by bench/cascade.py
    top: int = 0  # faces of the cascade: the best ones, whatever their scores, so that there are as many
    past: int = 0  # positions before the one that is decoded

    @property
    def settings(self):
        """What `bigmc` is told besides, `--set PATH=VALUE`."""
        values = {"score": -1, "iou": 1, "most": self.top} if self.flow else {}
        return [word for name, value in values.items() for word in ("--set", f"flow.{self.flow}.{name}={value}")]

    @property
    def target(self):
        return f"<= {self.ratio:.3g} of the best peer" if self.ratio else f">= {self.share:.0%} of the limit"


MNIST = 28 * 28 * 32 * 9 + 14 * 14 * 64 * 32 * 9 + 3136 * 128 + 128 * 10
# Multiply-adds of a picture of 224 x 224 and weights, as torchvision lists them.
RESNET18, RESNET50, MOBILENET = 1.814e9, 4.089e9, 0.301e9
W_MNIST, W_RESNET18, W_RESNET50, W_MOBILENET = 421_642, 11_689_512, 25_557_032, 3_504_872
MINILM, W_MINILM = transformer(128, 384, 6), 6 * 12 * 384 * 384
GPT, W_GPT = transformer(64, 128, 4, 65, True), 4 * 12 * 128 * 128
GPT384, W_GPT384 = transformer(256, 384, 6, 65, True), 6 * 12 * 384 * 384

# UltraFace slim on 320 x 240, and face-api's 68 landmarks of one face on 112 x 112.
DETECTOR, LANDMARKS = 81_410_560, 51_571_840

INFER = ["eager", "inductor", "ort", "openvino", "iree"]
TRAIN = ["eager", "inductor"]


def gemm(name, m, n, k, **targets):
    return Work(f"sgemm {m}x{n}x{k}", "bench/gemm.bigm", f"{name}.forward", [], m * n * k,
                F32 * (m * k + k * n + m * n), ["mm"], gemm=(m, n, k), **targets)


def infer(model, batch, macs, weights, ratio, **more):
    ranges = more.pop("ranges", {})
    dims = more.pop("dims", [])
    return Work(f"{model} b{batch}", f"examples/zoo/{model}.bigm", f"{model}.forward", [batch] + dims, batch * macs,
                F32 * weights, INFER, model, batch, ratio=ratio, ranges=ranges)


def train(name, model, batch, macs, weights, ratio, peers=TRAIN, **more):
    # Weights and the two moments of AdamW are read and written.
    return Work(name, f"examples/zoo/{model}.bigm", f"{model}.all.step", [batch], 3 * batch * macs, F32 * weights * 6,
                peers, model, batch, ratio=ratio, **more)


# examples/zoo/llama.bigm: a token reads every weight once; the embedding is that of the logits too.
LLAMA, PAST = 49152 * 576 + 30 * (2 * 576 * (576 + 192) + 3 * 576 * 1536), 128


def decode(kind, width, peers):
    return Work(f"decode llama 134M {kind}", f"bench/llama_{kind}.bigm", f"llama_{kind}.decode", [1, 1, 1, 512], LLAMA,
                width * LLAMA, peers, ratio=1 / 1.4, past=PAST, dtype=kind,
                ranges={"ids": (0, 49152), "past": (PAST, PAST + 1), "slot": (0, 1), "count": (1, 2)})


CHARACTERS = {"ids": (0, 65), "next": (0, 65)}
SENTENCE = {"input_ids": (1000, 30000), "attention_mask": (1, 2)}
WORKS = [
    gemm("gemm_512", 512, 512, 512, share=0.9),
    gemm("gemm_1024", 1024, 1024, 1024, share=0.9),
    gemm("gemm_2048", 2048, 2048, 2048, share=0.9),
    gemm("gemm_odd", 100, 300, 77, ratio=0.5),
    Work("bf16 gemm 1024x1024x1024", "bench/gemm_bf16.bigm", "gemm_bf16_1024.forward", [], 1024**3, 3 * 2 * 1024**2,
         ["mm"], gemm=(1024, 1024, 1024), dtype="bfloat16", ratio=1.0),
    infer("mnist_cnn", 1, MNIST, W_MNIST, 0.8),
    infer("mnist_cnn", 128, MNIST, W_MNIST, 0.95),
    infer("mobilenet_v2", 1, MOBILENET, W_MOBILENET, 0.8),
    infer("resnet18", 1, RESNET18, W_RESNET18, 0.95),
    infer("resnet50", 1, RESNET50, W_RESNET50, 0.95),
    infer("resnet50", 8, RESNET50, W_RESNET50, 0.95),
    infer("minilm", 1, MINILM, W_MINILM, 0.75, dims=[128], ranges=SENTENCE),
    infer("minilm", 8, MINILM, W_MINILM, 0.85, dims=[128], ranges=SENTENCE),
    infer("gpt_char", 1, GPT, W_GPT, 0.6, ranges=CHARACTERS),
    train("train mnist_cnn b128", "mnist_cnn", 128, MNIST, W_MNIST, 0.45, TRAIN + ["tensorflow"]),
    train("train gpt_char b12 T64", "gpt_char", 12, GPT, W_GPT, 0.45, ranges=CHARACTERS),
    train("train gpt384 b16 T256", "gpt384", 16, GPT384, W_GPT384, 0.4, ranges=CHARACTERS),
    # 1.4 times as many tokens.
    decode("bf16", 2, ["llama_f16", "llama_bf16"]),
    decode("int8", 1, ["llama_q8_0"]),
    # Decoding, resampling and cutting are no multiply-adds, so the limit is that of the two networks alone.
    Work("cascade, 10 faces", "examples/faces/faces.bigm", "", [], DETECTOR + 10 * LANDMARKS, 0, ["opencv"], ratio=0.5, flow="marked", top=10),
    Work("cascade, 50 faces", "examples/faces/faces.bigm", "", [], DETECTOR + 50 * LANDMARKS, 0, ["opencv"], ratio=0.4, flow="marked", top=50),
]
