"""The face cascade as a contestant of bench/compare: answers each line `turn SECONDS` with {"times_ms": [...]}.

    cascade.py ours LIBRARY FLOW TOP PHOTO THREADS a flow of a library of ours, by its C API; the bytes of the file are decoded
                                                   in every call
    cascade.py opencv TOP DATA PEERS THREADS       ../shared/peers/cascade.py in this process
    cascade.py photo DATA OUT                      the photograph as the JPEG that the peer decodes
"""
import contextlib
import ctypes
import io
import json
import os
import pathlib
import runpy
import sys
import time


def ours(library, flow, top, photo, threads):
    stem = pathlib.Path(library).name[3:-3]
    share = pathlib.Path(library).parent.parent / "share" / stem
    lib = ctypes.CDLL(library)
    lib.bigm_last_error.restype = ctypes.c_char_p

    def need(status):
        if status != 0:
            raise RuntimeError(lib.bigm_last_error().decode())

    class Source(ctypes.Structure):
        _fields_ = [("struct_size", ctypes.c_size_t), ("manifest", ctypes.c_void_p), ("manifest_size", ctypes.c_uint64),
                    ("entries", ctypes.c_void_p)]

    class Options(ctypes.Structure):
        _fields_ = [("struct_size", ctypes.c_size_t), ("threads", ctypes.c_int32)]

    symbol = lambda name: ctypes.addressof(ctypes.c_char.in_dll(lib, f"{stem}_bigm_{name}"))
    source = Source(ctypes.sizeof(Source), symbol("manifest"), ctypes.c_uint64.in_dll(lib, f"{stem}_bigm_manifest_size"), symbol("entries"))
    module, model, context, handle = (ctypes.c_void_p() for _ in range(4))
    need(lib.bigm_module_create(ctypes.byref(source), ctypes.byref(module)))
    need(lib.bigm_model_create(module, ctypes.byref(model)))
    need(lib.bigm_model_load(model, str(share / "weights.safetensors").encode(), None))
    need(lib.bigm_context_create(model, ctypes.byref(Options(ctypes.sizeof(Options), threads)), ctypes.byref(context)))
    need(lib.bigm_flow_create(module, model, context, flow.encode(), None, ctypes.byref(handle)))
    data = pathlib.Path(photo).read_bytes()
    answer = ctypes.c_char_p()

    def call():
        lib.bigm_flow_clear(handle)
        need(lib.bigm_flow_give_encoded(handle, b"photo", data, ctypes.c_uint64(len(data))))
        need(lib.bigm_flow_record(handle))
        need(lib.bigm_flow_run(handle))
    call()
    need(lib.bigm_flow_json(handle, ctypes.c_int64(0), ctypes.byref(answer)))
    assert len(json.loads(answer.value)) == top
    return call


def opencv(top, data, peers, threads):
    sys.argv = ["cascade.py", data, "--top", top, "--threads", threads]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        run = runpy.run_path(os.path.join(peers, "cascade.py"), run_name="__main__")["run"]
    stages = {}

    def stage(name, t):
        now = time.perf_counter()
        stages.setdefault(name, []).append(1e3 * (now - t))
        return time.perf_counter()
    call = lambda: run(stage)
    call.stages = stages
    return call


def main():
    kind, *rest = sys.argv[1:]
    if kind == "photo":
        import cv2
        image = cv2.imread(os.path.join(rest[0], "photos", "astronaut.png"))
        cv2.imwrite(rest[1], image, [cv2.IMWRITE_JPEG_QUALITY, 95])
        return
    call = ours(rest[0], rest[1], int(rest[2]), rest[3], int(rest[4])) if kind == "ours" else opencv(*rest)
    for _ in range(3):
        call()
    print("ready", flush=True)
    for line in sys.stdin:
        seconds, times, begin = float(line.split()[1]), [], time.perf_counter()
        while time.perf_counter() - begin < seconds or not times:
            start = time.perf_counter()
            call()
            times.append(1e3 * (time.perf_counter() - start))
        answer = {"times_ms": times}
        if getattr(call, "stages", None):
            answer["stages_ms"] = {name: sum(v) / len(v) for name, v in call.stages.items()}
        print(json.dumps(answer), flush=True)


main()
