"""Writes runtime/text/Young.inc: the characters that patterns of Hugging Face's tokenizers know and Debian's PCRE2 does not.

Patterns run on Oniguruma there, which carries Unicode 16, and on PCRE2 here, which carries Unicode 14 in Debian 12. Run it
with Python 3.11, whose `unicodedata` is as old as PCRE2, and `tokenizers`:
  python tests/runtime/text/young.py > runtime/text/Young.inc
"""
import unicodedata

import tokenizers
from table import print_table
from tokenizers import Regex, pre_tokenizers

assert unicodedata.unidata_version == "14.0.0", "needs Python 3.11"
NEW = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000 and unicodedata.category(chr(c)) == "Cn"]
CATEGORIES = "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Cf".split()
# Scripts that characters came to in Unicode 15 and 16.
SCRIPTS = {"Arabic": "Arab", "Balinese": "Bali", "Common": "Zyyy", "Cyrillic": "Cyrl", "Devanagari": "Deva",
           "Egyptian_Hieroglyphs": "Egyp", "Gara": "Gara", "Gurung_Khema": "Gukh", "Han": "Hani", "Hiragana": "Hira",
           "Inherited": "Zinh", "Kannada": "Knda", "Katakana": "Kana", "Kawi": "Kawi", "Khitan_Small_Script": "Kits",
           "Khojki": "Khoj", "Kirat_Rai": "Krai", "Lao": "Laoo", "Latin": "Latn", "Myanmar": "Mymr", "Nag_Mundari": "Nagm",
           "Ol_Onal": "Onao", "Sunuwar": "Sunu", "Todhri": "Todr", "Tulu_Tigalari": "Tutg"}


def matching(pattern, points):
    kept = pre_tokenizers.Split(Regex(pattern), "removed").pre_tokenize_str("\0".join(points))
    return set(points) - {c for part, _ in kept for c in part}


# In parts, as the library's time grows faster than the text.
KNOWN = sorted(c for i in range(0, len(NEW), 4096) for c in matching(r"[^\p{Cn}\0]", NEW[i:i + 4096]))
MEMBERS = {name: matching(rf"\p{{{name}}}", KNOWN)
           for name in [*CATEGORIES, *SCRIPTS, "Emoji", "Emoji_Presentation", "Extended_Pictographic", "Alphabetic"]}
assert all(unicodedata.category(c) == "Cn" for c in KNOWN)
rows = []
for c in KNOWN:
    category = next(k for k in CATEGORIES if c in MEMBERS[k])
    script = next(k for k in SCRIPTS if c in MEMBERS[k])
    alphabetic = "true" if c in MEMBERS["Alphabetic"] else "false"
    assert (c in MEMBERS["Emoji"]) == (c in MEMBERS["Emoji_Presentation"])
    emoji = "true" if c in MEMBERS["Emoji"] else "false"
    cells = [f'"{category}"', f'"{script}"', f'"{SCRIPTS[script]}"', alphabetic, emoji]
    if rows and rows[-1][1] == ord(c) - 1 and rows[-1][2] == cells:
        rows[-1][1] = ord(c)
    else:
        rows.append([ord(c), ord(c), cells])

print(f"// Made by tests/runtime/text/young.py from tokenizers {tokenizers.__version__}.")
print_table("Young", "kYoung", [f"{{0x{first:x}, 0x{last:x}, {', '.join(cells)}}}," for first, last, cells in rows])
