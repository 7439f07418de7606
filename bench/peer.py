"""One peer on one work, in a process of its own: answers each line `turn SECONDS` with {"times_ms": [...]}.

usage: peer.py PEER WORK THREADS    (in the environment of bench/setup; the first line says "ready")
The models are those of shared/peers/models.py, the ways to run them those of its measure.py.
"""
import json
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SHARED = os.environ.get("BIGM_SHARED", os.path.join(HERE, "..", "..", "shared"))
sys.path.insert(0, os.path.join(SHARED, "peers"))
THREADS = int(sys.argv[3])
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = str(THREADS)
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
CACHE = os.path.join(HERE, "out", "peers")


def make(work):
    from models import make
    return make(work.model, work.batch)


def inferring(work, compiled):
    import torch
    torch.set_num_threads(THREADS)
    model, inputs, _ = make(work)
    run = torch.compile(model) if compiled else model

    def call():
        with torch.inference_mode():
            run(*inputs)
    return call


def training(work, compiled):
    import torch
    from models import Gpt, MnistCnn
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    if work.model == "mnist_cnn":
        model, x, y = MnistCnn().train(), torch.randn(work.batch, 1, 28, 28), torch.randint(0, 10, (work.batch,))
    else:
        model, length = (Gpt(), 64) if work.model == "gpt_char" else (Gpt(65, 384, 6, 6, 256), 256)
        model = model.train()
        x, y = (torch.randint(0, 65, (work.batch, length)) for _ in range(2))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)

    def loss(x, y):
        z = model(x)
        return torch.nn.functional.cross_entropy(z.reshape(-1, z.shape[-1]), y.reshape(-1))
    forward = torch.compile(loss) if compiled else loss

    def step():
        optimizer.zero_grad(set_to_none=True)
        forward(x, y).backward()
        optimizer.step()
    return step


def torch_peer(compiled):
    return lambda work: (training if work.name.startswith("train") else inferring)(work, compiled)


def matmul(work):
    import torch
    torch.set_num_threads(THREADS)
    m, n, k = work.gemm
    dtype = getattr(torch, work.dtype)
    a, b = torch.randn(m, k).to(dtype), torch.randn(k, n).to(dtype)
    return lambda: torch.mm(a, b)


def onnx_file(work):
    path = os.path.join(CACHE, f"{work.model}_b{work.batch}.onnx")
    if not os.path.exists(path):
        import torch
        os.makedirs(CACHE, exist_ok=True)
        model, inputs, names = make(work)
        with torch.no_grad():
            torch.onnx.export(model, inputs, path + ".tmp", input_names=names, output_names=["out"], opset_version=17,
                              dynamo=False)
        os.replace(path + ".tmp", path)
    return path


def feeds(work):
    _, inputs, names = make(work)
    return {name: value.numpy() for name, value in zip(names, inputs)}


def onnxruntime(work):
    import onnxruntime as ort
    options = ort.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = ort.InferenceSession(onnx_file(work), options, providers=["CPUExecutionProvider"])
    given = feeds(work)
    return lambda: session.run(None, given)


def openvino(work):
    import openvino as ov
    compiled = ov.Core().compile_model(onnx_file(work), "CPU", {
        "INFERENCE_NUM_THREADS": THREADS, "INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"})
    request = compiled.create_infer_request()
    request.infer(feeds(work))
    return request.infer


def iree(work):
    """IREE's own timer, which has no Python in it: a turn is one run of iree-benchmark-module."""
    import numpy as np
    path, tools = onnx_file(work), os.path.dirname(sys.executable)
    mlir, code = path + ".mlir", path + ".vmfb"
    if not os.path.exists(code):
        subprocess.run([sys.executable, "-m", "iree.compiler.tools.import_onnx", path, "-o", mlir], check=True, capture_output=True)
        subprocess.run([os.path.join(tools, "iree-compile"), mlir, "-o", code + ".tmp", "--iree-hal-target-device=local",
                        "--iree-hal-local-target-device-backends=llvm-cpu", "--iree-llvmcpu-target-cpu=host",
                        "--iree-opt-level=O3"], check=True, capture_output=True)
        os.replace(code + ".tmp", code)
    command = [os.path.join(tools, "iree-benchmark-module"), f"--module={code}", "--device=local-task",
               f"--task_topology_max_group_count={THREADS}", "--benchmark_format=json"]
    with open(mlir) as text:
        command.append("--function=" + text.read().split("func.func @")[1].split("(")[0])
    for i, value in enumerate(feeds(work).values()):
        file = f"{path}.{i}.npy"
        np.save(file, value)
        command.append(f"--input=@{file}")

    def turn(seconds):
        out = subprocess.run(command + [f"--benchmark_min_time={seconds}s"], capture_output=True, text=True).stdout
        measured = json.loads(out[out.index("{"):])["benchmarks"][0]
        return [measured["real_time"] * {"ns": 1e-6, "us": 1e-3, "ms": 1, "s": 1e3}[measured["time_unit"]]]
    return turn


def tensorflow(work):
    """The digits CNN as Keras has it, its step compiled by tf.function; channels last, which is its fast way on CPU."""
    import tensorflow as tf
    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(THREADS)
    layers = tf.keras.layers
    block = lambda width: [layers.Conv2D(width, 3, padding="same"), layers.BatchNormalization(), layers.ReLU(), layers.MaxPool2D(2)]
    model = tf.keras.Sequential([layers.Input((28, 28, 1))] + block(32) + block(64) + [
        layers.Flatten(), layers.Dense(128, activation="relu"), layers.Dropout(0.3), layers.Dense(10)])
    optimizer = tf.keras.optimizers.AdamW(1e-3)
    entropy = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    x = tf.random.normal((work.batch, 28, 28, 1))
    y = tf.random.uniform((work.batch,), 0, 10, tf.int32)

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = entropy(y, model(x, training=True))
        optimizer.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
        return loss
    return lambda: step(x, y).numpy()


def llama(kind):
    """llama.cpp on the weights of our library, which bench/compare has built: one token behind `past` others."""
    def make(work):
        import ctypes
        import llama_cpp as cpp
        from gguf_file import write
        stem = os.path.splitext(os.path.basename(work.program))[0]
        path = os.path.join(CACHE, f"{stem}_{kind}.gguf")
        os.makedirs(CACHE, exist_ok=True)
        write(os.path.join(HERE, "out", "libraries", stem, "share", stem, "weights.safetensors"), kind, path)
        quiet = cpp.llama_log_callback(lambda level, text, data: None)
        cpp.llama_log_set(quiet, ctypes.c_void_p(0))
        cpp.llama_backend_init()
        model = cpp.llama_model_load_from_file(path.encode(), cpp.llama_model_default_params())
        options = cpp.llama_context_default_params()
        options.n_ctx = work.dims[-1]
        options.n_threads = options.n_threads_batch = THREADS
        context = cpp.llama_init_from_model(model, options)
        if not context:
            sys.exit(f"llama.cpp does not load {path}")
        memory = cpp.llama_get_memory(context)

        def decode(ids):
            tokens = (cpp.llama_token * len(ids))(*ids)
            if cpp.llama_decode(context, cpp.llama_batch_get_one(tokens, len(ids))):
                sys.exit("llama.cpp does not decode")
            return cpp.llama_get_logits_ith(context, -1)
        decode([i % 97 for i in range(work.past)])

        def call(token=5):
            cpp.llama_memory_seq_rm(memory, 0, work.past, -1)
            return decode([token])
        call.keep = quiet
        return call
    return make


PEERS = {"eager": torch_peer(False), "inductor": torch_peer(True), "mm": matmul, "ort": onnxruntime, "openvino": openvino,
         "iree": iree, "tensorflow": tensorflow, **{f"llama_{kind}": llama(kind) for kind in ("f16", "bf16", "q8_0")}}


def main():
    sys.path.insert(0, HERE)
    from works import WORKS
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    peer = sys.argv[1]
    work = next(w for w in WORKS if w.name == sys.argv[2])
    call = PEERS[peer](work)

    def turn(seconds):
        for _ in range(3):
            call()
        times, end = [], time.perf_counter() + seconds
        while len(times) < 3 or time.perf_counter() < end:
            start = time.perf_counter()
            call()
            times.append(1e3 * (time.perf_counter() - start))
        return times
    if peer == "iree":
        turn = call
    turn(0.5)
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps({"times_ms": turn(float(line.split()[1]))}), file=answers, flush=True)


main()
