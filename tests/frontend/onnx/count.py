"""Runs the cases, prints what did not pass, and writes the table of docs/onnx.md between its two marks.

A case belongs to the operator that its name says; cases `..._expanded` are the same operators written out as functions of
others. Exit code 1 when the runner crashes.
"""
import argparse
import collections
import glob
import json
import os
import re
import subprocess
import sys

BEGIN, END = "<!-- made by tests/frontend/onnx/node-cases --write -->", "<!-- end -->"
def run(command, cases):
    results, at = {}, 0
    while at < len(cases):
        process = subprocess.run(command + cases[at:], capture_output=True, text=True, errors="replace")
        last = None
        for line in process.stdout.splitlines():
            record = json.loads(line)
            if "status" in record:
                results[record["case"]] = record
            else:
                last = record["case"]
        if process.returncode == 0:
            break
        results[last] = {"case": last, "status": "crashed", "why": process.stderr[-300:], "constants": 0}
        at = [os.path.basename(c) for c in cases].index(last) + 1
    return results


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runner", required=True)
    parser.add_argument("--cases", required=True)
    parser.add_argument("--docs")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--json")
    options = parser.parse_args()
    cases = sorted(glob.glob(os.path.join(options.cases, "*")))
    with open(os.path.join(options.cases, "..", "operators.json")) as f:
        facts = json.load(f)  # case -> {"operator", "kinds"}
    results = run([options.runner] + (["--cpu"] if options.cpu else []), cases)
    if options.json:
        with open(options.json, "w") as f:
            json.dump(results, f, indent=1)
    table = collections.defaultdict(collections.Counter)
    totals, main_kinds = collections.Counter(), collections.Counter()
    for name, record in sorted(results.items()):
        fact = facts[name]
        status = record["status"]
        table[fact["operator"]][status] += 1
        totals[status] += 1
        if fact["numbers"]:
            main_kinds[status] += 1
        if status in ("failed", "crashed"):
            print(f"{status}: {name}: {record['why'][:300]}")
    lines = ["| operator | cases | passed | failed | not supported |", "| --- | --- | --- | --- | --- |"]
    for op in sorted(table):
        c = table[op]
        lines.append(f"| {op} | {sum(c.values())} | {c['passed']} | {c['failed'] + c['crashed']} | {c['not supported']} |")
    all_, numbers = sum(totals.values()), sum(main_kinds.values())
    summary = (f"{totals['passed']} of {all_} cases pass, {totals['failed'] + totals['crashed']} fail, "
               f"{totals['not supported']} are not supported. Of the {numbers} cases on f32, f16, f64, integers and bool of "
               f"the default domain {main_kinds['passed']} pass ({100 * main_kinds['passed'] / max(1, numbers):.1f} %).")
    print(summary)
    if options.write:
        with open(options.docs, encoding="utf-8") as f:
            text = f.read()
        made = BEGIN + "\n" + summary + "\n\n" + "\n".join(lines) + "\n" + END
        text = re.sub(re.escape(BEGIN) + ".*?" + re.escape(END), lambda _: made, text, flags=re.S)
        with open(options.docs, "w", encoding="utf-8") as f:
            f.write(text)
    sys.exit(1 if totals["crashed"] else 0)


main()
