"""Writes ONNX's backend node test cases as folders: generate.py FOLDER. Needs the `onnx` package.

Beside FOLDER, operators.json says of each case its operator, and whether it is about numbers in the default domain: all
that it takes and gives are tensors of f32, f16, f64, integers of 8 to 64 bits or bools.
"""
import json
import os
import re
import sys
import warnings

import onnx
from onnx import numpy_helper
from onnx.backend.test.case.node import collect_testcases

warnings.simplefilter("ignore")


def stored(value, info):
    if isinstance(value, onnx.TensorProto):
        return value
    if isinstance(value, list):
        return numpy_helper.from_list(value, info.name)
    if value is None:
        return numpy_helper.from_optional(None, info.name)
    return numpy_helper.from_array(value, info.name)


NUMBERS = {onnx.TensorProto.DataType.Value(n) for n in (
    "FLOAT", "FLOAT16", "DOUBLE", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64", "BOOL")}


def about_numbers(model):
    def plain(info):
        return info.type.HasField("tensor_type") and info.type.tensor_type.elem_type in NUMBERS
    graph = model.graph
    return (all(plain(i) for i in list(graph.input) + list(graph.output))
            and all(node.domain in ("", "ai.onnx") for node in graph.node)
            and all(a.t.data_type in NUMBERS for node in graph.node for a in node.attribute if a.HasField("t")))


def main(folder):
    cases = [case for case in collect_testcases(None) if case.data_sets]
    own = {case.name: case.model.graph.node[0].op_type for case in cases}
    facts = {}
    for case in cases:
        # `test_relu_expanded_ver18` is Relu, written out.
        base = re.sub(r"_expanded.*$", "", case.name)
        facts[case.name] = {"operator": own.get(base, own[case.name]), "numbers": about_numbers(case.model)}
    with open(os.path.join(os.path.dirname(os.path.abspath(folder)), "operators.json"), "w") as out:
        json.dump(facts, out)
    for case in cases:
        data = os.path.join(folder, case.name, "test_data_set_0")
        os.makedirs(data, exist_ok=True)
        onnx.save(case.model, os.path.join(folder, case.name, "model.onnx"))
        inputs, outputs = case.data_sets[0]
        for kind, values, infos in (("input", inputs, case.model.graph.input), ("output", outputs, case.model.graph.output)):
            for i, (value, info) in enumerate(zip(values, infos)):
                try:
                    message = stored(value, info)
                except Exception:  # a kind of value that no reader of tensors takes: the case is not supported anyway
                    message = onnx.TensorProto(data_type=onnx.TensorProto.STRING, dims=[0])
                with open(os.path.join(data, f"{kind}_{i}.pb"), "wb") as out:
                    out.write(message.SerializeToString())
        with open(os.path.join(data, "tolerance"), "w") as out:
            out.write(f"{case.rtol} {case.atol}\n")


main(sys.argv[1])
