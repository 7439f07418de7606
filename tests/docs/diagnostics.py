"""docs/diagnostics.md is the catalogue, frontend/Diagnostics.def, for people to read.

    diagnostics.py ROOT            checks that the page is up to date and that every message has a test
    diagnostics.py ROOT --write    writes the page

A message has a test when a line that a `fail_*` test expects has its form.
"""
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
catalogue = (root / "frontend/Diagnostics.def").read_text(encoding="utf-8")
page = root / "docs/diagnostics.md"

sections, entries = [], []
for line in catalogue.splitlines():
    if match := re.match(r"// ---- (.*)", line):
        sections.append((match.group(1), []))
    elif match := re.match(r'BIGM_DIAG\((\w+), "(.*)"\)', line):
        text = match.group(2).replace('\\"', '"').replace("\\\\", "\\")
        sections[-1][1].append((match.group(1), text))
        entries.append((match.group(1), text))

tests = {}  # file -> the messages it expects
for path in sorted((root / "tests").rglob("fail_*")):
    if path.suffix in (".bigm", ".test"):
        found = re.findall(r"error: (.*)", path.read_text(encoding="utf-8", errors="replace"))
        tests[path.relative_to(root).as_posix()] = found


def form(text):
    """A pattern of a message: its holes match anything, also what a check leaves open."""
    return re.compile(re.sub(r"\\\{\d\\\}", ".*", re.escape(text)) + "$")


def tests_of(text):
    pattern = form(text)
    return [path for path, found in tests.items() if any(pattern.match(line.strip()) for line in found)]


def hole(match):
    return "…"


out = ["# Diagnostics", "",
       "Every message that a program can get from the frontend. `…` stands for what the program says. A message looks so:",
       "", "```text", "digits.bigm:14:19: error: `Linear` needs its input's last dimension to be 128, and here it is 64",
       "   14 |   logits = h2 |> Linear(10, in: 128)", "      |            --    ^^^^^^",
       "      |            `h2` is f32[N, 64], from line 13", "hint: leave `in` out: it is taken from the input", "```", "",
       "First the place; then what was seen and the rule; the line, with `^` under the cause and `-` under what it relates "
       "to; last, often, what to do. All errors of a file come in one run, in source order. Each message is worded once, in "
       "`frontend/Diagnostics.def`, from which this page is written (`tests/docs/diagnostics.py . --write`)."]
for name, members in sections:
    out += ["", f"## {name[0].upper() + name[1:]}", "", "| message | name |", "| --- | --- |"]
    for ident, text in members:
        out.append("| " + re.sub(r"\{\d\}", hole, text).replace("|", "\\|") + f" | {ident} |")
text = "\n".join(out) + "\n"

if "--write" in sys.argv:
    page.write_text(text, encoding="utf-8")
    sys.exit(0)
wrong = []
if not page.exists() or page.read_text(encoding="utf-8") != text:
    wrong.append("docs/diagnostics.md is not what the catalogue says: run tests/docs/diagnostics.py . --write")
for ident, message in entries:
    if not tests_of(message):
        wrong.append(f"{ident} has no fail_ test: {message}")
print("\n".join(wrong) if wrong else f"{len(entries)} messages, each documented and tested")
sys.exit(1 if wrong else 0)
