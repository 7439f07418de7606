"""Checks every ```bigm block of a document with `bigmc check`: what the documents show must hold.

A block marked ```bigm-fragment is a part of a program and is only parsed (`bigmc emit --stage ast` of it must
succeed); a block marked ```bigm-error must be refused, and the text block after it must be what bigmc prints.
"""
import pathlib
import re
import subprocess
import sys
import tempfile

document = pathlib.Path(sys.argv[1])
blocks = re.findall(r"^```([a-z-]*)\n(.*?)^```", document.read_text(encoding="utf-8"), re.M | re.S)
failures = count = 0
for index, (kind, text) in enumerate(blocks):
    if not kind.startswith("bigm"):
        continue
    count += 1
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "example.bigm"
        path.write_text(text, encoding="utf-8")
        command = ["emit", path.name, "--stage", "ast"] if kind == "bigm-fragment" else ["check", path.name]
        done = subprocess.run(["bigmc", *command], cwd=folder, capture_output=True, text=True)
    if kind == "bigm-error":
        expected = blocks[index + 1][1] if index + 1 < len(blocks) else ""
        ok = done.returncode == 1 and done.stderr.strip() == expected.strip()
    else:
        ok = done.returncode == 0
    if not ok:
        failures += 1
        print(f"{document.name}: block {count} ({kind}):\n{text}--- printed:\n{done.stderr}")
print(f"{document.name}: {count} examples, {failures} wrong")
sys.exit(1 if failures or not count else 0)
