"""A built library by its C ABI: weights loaded, functions run on lists and arrays of ctypes."""
import ctypes as c
import json
import math
import pathlib
import struct
import sys


class Call(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("function", c.c_int32), ("dims", c.POINTER(c.c_int64)),
                ("inputs", c.POINTER(c.c_void_p)), ("outputs", c.POINTER(c.c_void_p)), ("seed", c.c_int64),
                ("step", c.c_float), ("steps", c.c_float)]


class Library:
    def __init__(self, folder):
        folder = pathlib.Path(folder)
        self.manifest = json.loads((folder / "manifest.json").read_text())
        stem = self.manifest["name"]
        path = str(folder / "lib" / f"lib{stem}.so")
        self.library = c.CDLL(path)
        self.module, self.model, self.context = c.c_void_p(), c.c_void_p(), c.c_void_p()
        self.check(self.library.bigm_module_open(path.encode(), stem.encode(), c.byref(self.module)))
        self.check(self.library.bigm_model_create(self.module, c.byref(self.model)))
        weights = str(folder / "share" / stem / "weights.safetensors")
        self.check(self.library.bigm_model_load(self.model, weights.encode(), None))
        self.check(self.library.bigm_context_create(self.model, None, c.byref(self.context)))

    def check(self, status):
        if status:
            self.library.bigm_last_error.restype = c.c_char_p
            sys.exit(self.library.bigm_last_error().decode())

    def function(self, name):
        return next(f for f in self.manifest["functions"] if f["name"] == name)

    def run(self, function, dims, values):
        """Inputs by name; outputs, all f32, are made here and come back by name."""
        own = self.function(function)
        sizes = [dims[s] for s in own["symbols"]]
        inputs, outputs, made = [], [], {}
        for arg in own["args"]:
            if arg["role"] == "input":
                inputs.append(c.cast(values[arg["name"]], c.c_void_p))
            elif arg["role"] == "output":
                count = math.prod(s if isinstance(s, int) else eval(s.replace("/", "//"), {}, dims) for s in arg["shape"])
                made[arg["name"]] = (c.c_float * count)()
                outputs.append(c.cast(made[arg["name"]], c.c_void_p))
        number = self.library.bigm_module_find_function(self.module, function.encode())
        call = Call(c.sizeof(Call), number, (c.c_int64 * len(sizes))(*sizes), (c.c_void_p * len(inputs))(*inputs),
                    (c.c_void_p * len(outputs))(*outputs), 0, 0, 0)
        self.check(self.library.bigm_run(self.context, c.byref(call)))
        return made


def floats(values):
    return (c.c_float * len(values))(*values)


def ints(values):
    return (c.c_int32 * len(values))(*values)


def safetensors(path):
    """The tensors of a file, f32 and i32, as arrays of ctypes."""
    data = pathlib.Path(path).read_bytes()
    start = 8 + struct.unpack("<Q", data[:8])[0]
    tensors = {}
    for name, entry in json.loads(data[8:start]).items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            kind = {"F32": c.c_float, "I32": c.c_int32}[entry["dtype"]]
            tensors[name] = (kind * ((end - begin) // 4)).from_buffer_copy(data[start + begin:start + end])
    return tensors


def difference(found, expected):
    """The largest difference, as a part of the largest number; inf where something is no number."""
    if len(found) != len(expected):
        return math.inf
    largest = max(abs(x) for x in expected) or 1
    errors = [abs(a - b) / largest for a, b in zip(found, expected)]
    return math.inf if any(e != e for e in errors) else max(errors)
