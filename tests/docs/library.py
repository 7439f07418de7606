"""docs/library.md lists what stands in the library, stdlib/*.bigm, with the comment above each declaration.

    library.py ROOT            checks that the page is up to date
    library.py ROOT --write    writes the page

A declaration without a comment of its own that follows another without an empty line between shares the other's.
"""
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
page = root / "docs/library.md"
OPEN, CLOSE = "([{", ")]}"


def signature(text, begin):
    """From `begin` to the brace of the body, on one line."""
    depth, at = 0, begin
    while at < len(text):
        c = text[at]
        if c == "{" and depth == 0 and not text[:at].rstrip().endswith("->"):
            break
        depth += (c in OPEN) - (c in CLOSE)
        at += 1
    lines = re.sub(r"(?<=[^\s{(,])\n\s*(?=\w)", ", ", text[begin:at])  # fields of a record that lines part
    return re.sub(r"\s+", " ", lines).replace("( ", "(").replace(") (", ")(").strip()


def declarations(text):
    shared = ""
    for match in re.finditer(r"((?:^#[^\n]*\n)*)^((?:model|fn|fit) \w+)|^\n", text, re.M):
        if match.group(2) is None:
            shared = ""
            continue
        comment = " ".join(line.lstrip("# ").strip() for line in match.group(1).splitlines()) or shared
        shared = comment
        yield signature(text, match.start(2)), comment


def cell(text):
    return text.replace("|", "\\|")


out = ["# The library", "",
       "What `use std.nn` and its like make visible, all written in the language ([stdlib](../stdlib)). A model has "
       "settings, then inputs; settings with a default may be left out ([language.md](language.md#settings-inputs-and-instances)). "
       "This page is written from the library (`tests/docs/library.py . --write`)."]
for path in sorted((root / "stdlib").glob("*.bigm")):
    text = path.read_text(encoding="utf-8")
    head = re.match(r"(?:#[^\n]*\n)+(?=\n|use )", text)
    out += ["", f"## std.{path.stem}", ""]
    if head:
        out += [" ".join(line.lstrip("# ").strip() for line in head.group(0).splitlines()), ""]
    out += ["| declaration | what it is |", "| --- | --- |"]
    for declared, comment in declarations(text):
        out.append(f"| `{cell(declared)}` | {cell(comment)} |")
text = "\n".join(out) + "\n"

if "--write" in sys.argv:
    page.write_text(text, encoding="utf-8")
    sys.exit(0)
if not page.exists() or page.read_text(encoding="utf-8") != text:
    sys.exit("docs/library.md is not what the library says: run tests/docs/library.py . --write")
print("the page lists the library")
