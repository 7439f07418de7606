"""A library that `bigmc build` made, through its C ABI, with numpy arrays in and out."""
import ctypes as c
import json

import numpy as np

DTYPES = {"f32": np.float32, "i32": np.int32, "u8": np.uint8, "i64": np.int64, "bool": np.bool_}


class Call(c.Structure):
    """bigm_call of bigm/bigm.h."""
    _fields_ = [("struct_size", c.c_size_t), ("function", c.c_int32), ("dims", c.POINTER(c.c_int64)),
                ("inputs", c.POINTER(c.c_void_p)), ("outputs", c.POINTER(c.c_void_p)), ("seed", c.c_int64),
                ("step", c.c_float), ("steps", c.c_float)]


class Library:
    def __init__(self, path):
        self.api = c.CDLL(path)
        self.api.bigm_last_error.restype = c.c_char_p
        self.api.bigm_module_manifest.restype = c.c_char_p
        self.api.bigm_model_load.argtypes = [c.c_void_p, c.c_char_p, c.c_void_p]
        self.module, self.model, self.context = c.c_void_p(), c.c_void_p(), c.c_void_p()
        self.need(self.api.bigm_module_open(path.encode(), None, c.byref(self.module)))
        self.need(self.api.bigm_model_create(self.module, c.byref(self.model)))
        self.need(self.api.bigm_context_create(self.model, None, c.byref(self.context)))
        self.manifest = json.loads(self.api.bigm_module_manifest(self.module, None))

    def need(self, status):
        if status:
            raise RuntimeError(self.api.bigm_last_error().decode())

    def load(self, path):
        self.need(self.api.bigm_model_load(self.model, path.encode(), None))

    def tensor(self, name):
        """A copy of a parameter, state or slot."""
        index = next(i for i, t in enumerate(self.manifest["tensors"]) if t["name"] == name)
        info = self.manifest["tensors"][index]
        out = np.empty(info["shape"], DTYPES[info["dtype"]])
        self.need(self.api.bigm_model_read(self.model, c.c_int32(index), out.ctypes.data_as(c.c_void_p), c.c_uint64(out.nbytes)))
        return out

    def run(self, name, inputs):
        """The outputs by name. `inputs` are arrays by name; open sizes are taken from their shapes."""
        number, function = next((i, f) for i, f in enumerate(self.manifest["functions"]) if f["name"] == name)
        sizes = {}
        given = [a for a in function["args"] if a["role"] == "input"]
        arrays = [np.ascontiguousarray(inputs[a["name"]], DTYPES[a["dtype"]]) for a in given]
        for a, array in zip(given, arrays):
            for want, size in zip(a["shape"], array.shape):
                name = want.split("*")[-1] if isinstance(want, str) else want  # `4*H`
                times = int(want[:-len(name) - 1] or 1) if isinstance(want, str) else 1
                if name in function["symbols"] and size % times == 0:
                    sizes[name] = size // times
                elif want != size:
                    raise ValueError(f"{a['name']} is {array.shape}, and {name} takes {a['shape']}")
        results = [a for a in function["args"] if a["role"] == "output"]
        size = lambda d: eval(d.replace("/", "//"), {}, sizes) if isinstance(d, str) else d  # `T/4 + 1`: division rounds down
        outputs = [np.empty([size(d) for d in a["shape"]], DTYPES[a["dtype"]]) for a in results]
        pointers = lambda list: (c.c_void_p * max(1, len(list)))(*[x.ctypes.data for x in list])
        call = Call(struct_size=c.sizeof(Call), function=number,
                    dims=(c.c_int64 * max(1, len(function["symbols"])))(*[sizes[s] for s in function["symbols"]]),
                    inputs=pointers(arrays), outputs=pointers(outputs), seed=1, step=0, steps=1)
        self.need(self.api.bigm_run(self.context, c.byref(call)))
        return {a["name"]: value for a, value in zip(results, outputs)}
