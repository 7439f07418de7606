# What `bigmc profile --json` says agrees with itself.
import json, sys

report = json.load(open(sys.argv[1]))
kernels, lines = report["kernels"], report["lines"]
assert report["function"] == "look.all.step" and report["sizes"] == {"N": 16} and report["measured"]
assert all(k["ms"] > 0 and k["limit_share"] > 0 for k in kernels), "a kernel without a time"
assert any(k["kind"] == "contraction" and k["flops"] > 0 for k in kernels)
assert any(k["apart"] for k in kernels) and all(a["reason"] for k in kernels for a in k["apart"])
assert [l["ms"] for l in lines] == sorted((l["ms"] for l in lines), reverse=True)
total, byline = sum(k["ms"] for k in kernels if k["fuses"]), sum(l["ms"] for l in lines)
assert abs(total - byline) < 1e-6 * total, (total, byline)
own = [l for l in lines if "tiny.bigm" in l["line"]]
assert sum(l["ms"] for l in own) > 0.8 * byline, "most of the time is at lines of the user's program"
memory = report["memory"]
assert memory["arena"] >= memory["live"] > 0
for a in memory["buffers"]:
    assert a["offset"] + a["bytes"] <= memory["arena"]
    for b in memory["buffers"]:
        if a is not b and a["first"] <= b["last"] and b["first"] <= a["last"]:
            assert a["offset"] + a["bytes"] <= b["offset"] or b["offset"] + b["bytes"] <= a["offset"], (a, b)
