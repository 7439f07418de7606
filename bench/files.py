"""Runs ONNX files in bigmc, ONNX Runtime and OpenVINO, in turns: times, and how far our results are from ONNX Runtime's.

    bench/files FILE.onnx ... [--seconds S] [--threads T] [--size 1] [--ids 1000] [--json]

A file is taken with one size (`--size` for its open ones) and random inputs: floats of a normal distribution, whole numbers below
`--ids`. Printed are the least and the median milliseconds of a call, our ratio to the faster peer by medians, and the largest difference
of a result over the largest result. Quantised files differ by what rounds to another step."""
import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.environ.get("BIGM_BUILD", os.path.join(HERE, "..", "build"))
OUT = os.path.join(HERE, "out", "files")
sys.path.insert(0, HERE)
from library import Library  # noqa: E402

ROUNDS = 5


def inputs_of(model, size, ids):
    """Random arrays by the names of the file's inputs."""
    import onnx
    stored, random = {tensor.name for tensor in model.graph.initializer}, np.random.default_rng(1)
    given = {}
    for value in model.graph.input:
        if value.name in stored:
            continue
        shape = [dim.dim_value or size for dim in value.type.tensor_type.shape.dim]
        dtype = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        given[value.name] = (random.integers(0, 2 if dtype == bool else ids, shape) if dtype.kind in "iub" else random.standard_normal(shape)).astype(dtype)
    return given


def build(path, stem):
    """Our library of the file, and the seconds that it took."""
    os.makedirs(OUT, exist_ok=True)
    program = os.path.join(OUT, stem + ".bigm")
    with open(program, "w") as text:
        text.write(f'model net from onnx("{os.path.abspath(path)}")\n\ndeploy net {{ target cpu:host }}\n')
    start = time.time()
    made = subprocess.run([os.path.join(BUILD, "bin", "bigmc"), "build", program, "-o", os.path.join(OUT, stem)], capture_output=True, text=True)
    if made.returncode:
        raise RuntimeError(made.stderr.strip().splitlines()[0])
    return os.path.join(OUT, stem, "lib", f"lib{stem}.so"), os.path.join(OUT, stem, "share", stem, "weights.safetensors"), time.time() - start


def ours(library, stem, size, threads, ids, given):
    """What times a turn of ours: bench-library, a process of its own."""
    function = next(f for f in library.manifest["functions"] if f["name"].endswith(".forward"))
    named = dict(zip([a["name"] for a in function["args"] if a["role"] == "input"], given.values()))
    ranges = [f"{name}=0:{ids}" for name, value in named.items() if value.dtype.kind in "iu"]
    process = subprocess.Popen([os.path.join(BUILD, "bin", "bench-library"), os.path.join(OUT, stem, "lib", f"lib{stem}.so"), function["name"], str(threads),
                                ",".join(str(size) for _ in function["symbols"]) or "1", *ranges], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    if process.stdout.readline().strip() != "ready":
        raise RuntimeError("bench-library does not run it")

    def turn(seconds):
        process.stdin.write(f"turn {seconds}\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())["times_ms"]
    return turn, lambda: library.run(function["name"], named)


def calls(run):
    def turn(seconds):
        for _ in range(3):
            run()
        times, end = [], time.perf_counter() + seconds
        while not times or time.perf_counter() < end:
            start = time.perf_counter()
            run()
            times.append(1e3 * (time.perf_counter() - start))
        return times
    return turn


def measure(path, options):
    import onnx
    import onnxruntime as ort
    import openvino as ov
    stem = re.sub(r"\W", "_", os.path.splitext(os.path.basename(path))[0])
    given = inputs_of(onnx.load(path, load_external_data=False), options.size, options.ids)
    code, weights, seconds = build(path, stem)
    library = Library(code)
    library.load(weights)
    turn, results = ours(library, stem, options.size, options.threads, options.ids, given)
    settings = ort.SessionOptions()
    settings.intra_op_num_threads, settings.log_severity_level = options.threads, 3
    session = ort.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
    turns = {"bigmc": turn, "ONNX Runtime": calls(lambda: session.run(None, given))}
    try:
        compiled = ov.Core().compile_model(path, "CPU", {"INFERENCE_NUM_THREADS": options.threads, "INFERENCE_PRECISION_HINT": "f32",
                                                        "PERFORMANCE_HINT": "LATENCY"})
        request, values = compiled.create_infer_request(), list(given.values())
        request.infer(values)
        turns["OpenVINO"] = calls(lambda: request.infer(values, share_inputs=True, share_outputs=True))
    except Exception as error:  # it does not read every file
        print(f"OpenVINO does not run {path}: {str(error).strip().splitlines()[-1]}", file=sys.stderr)
    off = 0.0
    for want, got in zip(session.run(None, given), results().values()):
        want, got = np.asarray(want, np.float64), np.asarray(got, np.float64)
        off = max(off, float(np.abs(want - got).max() / max(np.abs(want).max(), 1e-30))) if want.size else off
    times = {name: [] for name in turns}
    for _ in range(ROUNDS):
        for name, one in turns.items():
            times[name] += one(options.seconds / ROUNDS)
    medians = {name: statistics.median(own) for name, own in times.items()}
    return {"file": stem, "least_ms": {name: min(own) for name, own in times.items()}, "median_ms": medians,
            "ratio": medians["bigmc"] / min(value for name, value in medians.items() if name != "bigmc"), "difference": off, "build_s": seconds}


def main():
    parser = argparse.ArgumentParser(description="ONNX files in bigmc, ONNX Runtime and OpenVINO, side by side")
    parser.add_argument("files", nargs="+", metavar="FILE.onnx")
    parser.add_argument("--seconds", type=float, default=2, help="for each contestant and file")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--size", type=int, default=1, help="for every open size")
    parser.add_argument("--ids", type=int, default=1000, help="whole numbers are below this")
    parser.add_argument("--json", action="store_true", help="one object a file")
    options = parser.parse_args()
    failed = False
    for path in options.files:
        try:
            row = measure(path, options)
        except Exception as error:
            failed = True
            print(f"{path}: {str(error).strip().splitlines()[0]}", file=sys.stderr)
            continue
        if options.json:
            print(json.dumps(row), flush=True)
            continue
        cells = "  ".join(f"{name} {row['least_ms'][name]:.3f} / {row['median_ms'][name]:.3f}" for name in row["median_ms"])
        print(f"{row['file']:24} {cells} ms (least / median)  ratio {row['ratio']:.2f}  difference {row['difference']:.1e}", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
