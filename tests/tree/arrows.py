"""Checks who includes whom: data flows left to right through the house, and so do includes.

Each rule names the folders whose files a folder may include with quotes, and the outside libraries it may not see.
Prints every line that breaks a rule and exits 1.
"""
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1]).resolve()
OURS = ("grammar", "frontend", "ir", "passes", "backends", "runtime", "tools")
MLIR = ("mlir/", "llvm/", "llvm-c/", "mlir-c/")
ANTLR = ("antlr4-runtime", "antlr4", "BigmLexer", "BigmParser", "BigmBaseVisitor", "BigmVisitor")
HALIDE = ("Halide",)
PROTOBUF = ("google/protobuf", "onnx/")

# The longest matching prefix of a file's path decides. `sees`: our folders it may include. `bans`: outside headers.
RULES = {
    "frontend": {"sees": ("frontend",), "bans": MLIR + ANTLR + HALIDE + PROTOBUF, "not": ("frontend/emit", "frontend/parse/")},
    "frontend/parse": {"sees": ("frontend", "grammar"), "bans": MLIR + HALIDE},
    "frontend/onnx": {"sees": ("frontend",), "bans": MLIR + ANTLR + HALIDE,
                      "not": ("frontend/emit", "frontend/parse/", "frontend/sema/")},
    "frontend/emit": {"sees": ("frontend", "ir"), "bans": ANTLR + HALIDE},
    "ir": {"sees": ("ir",), "bans": ANTLR + HALIDE},
    "passes": {"sees": ("passes", "ir"), "bans": ANTLR + HALIDE},
    "backends": {"sees": ("backends", "passes", "ir"), "bans": ANTLR + HALIDE},
    "backends/halide": {"sees": ("backends/halide", "runtime/include"), "bans": MLIR + ANTLR},
    "backends/artifact": {"sees": ("backends/artifact", "runtime"), "bans": ANTLR + HALIDE},
    "runtime": {"sees": ("runtime",), "bans": MLIR + ANTLR + HALIDE},
    "tools": {"sees": OURS, "bans": ANTLR + HALIDE},
    "tools/draw-portraits": {"sees": ("runtime", "tools/draw-portraits"), "bans": MLIR + ANTLR + HALIDE},
}
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]')

sources = [p for top in OURS for p in (root / top).rglob("*") if p.suffix in (".h", ".hpp", ".cpp", ".c", ".inc", ".td")]
by_name = {}
for p in sources:
    by_name.setdefault(p.name, []).append(p)

def folder_of(header, includer):
    """The path, relative to the root, of the file of ours that an include names; None when it is none of ours."""
    beside = (includer.parent / header).resolve()
    if beside.is_file() and root in beside.parents:
        return beside.relative_to(root).as_posix()
    for candidate in by_name.get(pathlib.PurePosixPath(header).name, []):
        relative = candidate.relative_to(root).as_posix()
        if relative.endswith("/" + header) or relative == header:
            return relative
    return None

broken = []
for path in sources:
    relative = path.relative_to(root).as_posix()
    key = max((k for k in RULES if relative.startswith(k + "/")), key=len, default=None)
    if key is None:
        continue
    rule = RULES[key]
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        header = match.group(2)
        if header.startswith(tuple(rule["bans"])):
            broken.append(f"{relative}:{number}: {key} may not include {header}")
            continue
        target = folder_of(header, path)
        if target is None:
            continue
        allowed = target.startswith(tuple(s + "/" for s in rule["sees"]))
        if target.startswith(tuple(rule.get("not", ("\0",)))) and not target.startswith("frontend/parse/Parse"):
            allowed = False
        if not allowed:
            broken.append(f"{relative}:{number}: {key} may not include {target}")

print("\n".join(broken) if broken else f"{len(sources)} files keep to the arrows")
sys.exit(1 if broken or not sources else 0)
