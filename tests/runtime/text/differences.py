"""Writes runtime/text/Differences.inc: where Hugging Face's tokenizers disagree with utf8proc about code points.

The parts of `tokenizers` carry Unicode tables of five different ages, and ids depend on them. This asks an installed
`tokenizers` about every code point and keeps what utf8proc's categories, as runtime/text/Unicode.cpp combines them, do
not say. Run it with a Python that has `tokenizers`, where libutf8proc.so.2 is installed:
  python tests/runtime/text/differences.py > runtime/text/Differences.inc
"""
import ctypes

import tokenizers
from table import print_table
from tokenizers import Regex, normalizers, pre_tokenizers

lib = ctypes.CDLL("libutf8proc.so.2")
lib.utf8proc_category_string.restype = ctypes.c_char_p
lib.utf8proc_unicode_version.restype = ctypes.c_char_p
POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
CATEGORY = {c: lib.utf8proc_category_string(c).decode() for c in POINTS}


def category(*names):
    return {c for c in POINTS if CATEGORY[c].startswith(names)}


def split_by(step, left="a", right="b"):
    return {c for c in POINTS if len(step.pre_tokenize_str(left + chr(c) + right)) != 1}


def matching(pattern):
    """Neighbours that the pattern cannot match, so that only the point in the middle splits."""
    return split_by(pre_tokenizers.Split(Regex(pattern), "removed"), "\0", "\0")


def removed_by(step):
    return {c for c in POINTS if step.normalize_str("\0" + chr(c) + "\0" if c else "a") == "\0\0"}


def bert(**on):
    flags = dict(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False)
    return normalizers.BertNormalizer(**{**flags, **on})


def decomposed(point):
    out = (ctypes.c_int32 * 32)()
    n = lib.utf8proc_decompose_char(point, out, 32, 2 | 4 | 16, None)
    return "".join(chr(out[i]) for i in range(n))


ascii_symbols = {ord(c) for c in "$+<=>^`|~"}
words = (category("L", "M", "Nd", "Nl", "Pc") | {0x200C, 0x200D} | set(range(0x24B6, 0x24EA)) | set(range(0x1F130, 0x1F14A))
         | set(range(0x1F150, 0x1F16A)) | set(range(0x1F170, 0x1F18A)))
whitespace = pre_tokenizers.Whitespace()
clean = bert(clean_text=True)
CLASSES = [
    ("Letter", category("L"), matching(r"\p{L}")),
    ("Number", category("N"), matching(r"\p{N}")),
    ("Punctuation", category("P") | ascii_symbols, split_by(pre_tokenizers.Punctuation("removed"))),
    ("Numeric", category("N"), split_by(pre_tokenizers.Digits(True))),
    ("Word", words, {c for c in POINTS if len(whitespace.pre_tokenize_str("a" + chr(c) + "b")) == 1}),
    ("Accent", category("Mn"), {c for c in POINTS if bert(strip_accents=True).normalize_str("a" + chr(c)) == "a"}),
    ("Mark", category("M"), removed_by(normalizers.StripAccents())),
    ("Control", category("Cc", "Cf", "Co") | {0xFFFD}, {c for c in POINTS if clean.normalize_str("a" + chr(c) + "b") == "ab"}),
]
whole = normalizers.NFKD()


def ranges(points):
    out = []
    for c in sorted(points):
        if out and out[-1][1] == c - 1:
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


def table(name, points):
    print_table("Range", "k" + name, [f"{{0x{a:x}, 0x{b:x}}}," for a, b in ranges(points)])


print(f"// Made by tests/runtime/text/differences.py from tokenizers {tokenizers.__version__} and utf8proc's Unicode "
      f"{lib.utf8proc_unicode_version().decode()}.")
print("// Ranges in which membership of a class is the opposite of what the categories say.")
for name, base, seen in CLASSES:
    if name == "Control":
        seen = seen - {c for c in (9, 10, 13)}
        base = base - {9, 10, 13}
    table(name, base ^ seen)
print("// Code points that their tables do not decompose yet.")
table("Whole", {c for c in POINTS if decomposed(c) != chr(c) and whole.normalize_str(chr(c)) == chr(c)})
print("// Code points that gained a lower case since: {from, to}.")
lower = normalizers.Lowercase()
pairs = [(c, lower.normalize_str(chr(c))) for c in POINTS if c != 0x130 and lower.normalize_str(chr(c)) != chr(lib.utf8proc_tolower(c))]
assert all(len(s) == 1 for _, s in pairs)
print_table("Range", "kLower", [f"{{0x{c:x}, 0x{ord(s):x}}}," for c, s in pairs])
