"""Writes runtime/text/Scripts.inc: which code points the pre-tokenizer UnicodeScripts of Hugging Face's tokenizers holds
to be of one script. Run it with a Python that has `tokenizers`:
  python tests/runtime/text/scripts.py > runtime/text/Scripts.inc
"""
import tokenizers
from table import print_table
from tokenizers import pre_tokenizers

step = pre_tokenizers.UnicodeScripts()
seen = []  # a code point of each script
ranges = []
for c in range(0x110000):
    if 0xD800 <= c < 0xE000 or step.pre_tokenize_str(chr(c)) == []:  # those of none vanish at the beginning of a text
        continue
    together = lambda script: len(step.pre_tokenize_str(chr(seen[script - 1]) + chr(c))) == 1
    last = ranges[-1][2:] if ranges else []
    script = next((s for s in [*last, *range(1, len(seen) + 1)] if together(s)), None)
    if script is None:
        seen.append(c)
        script = len(seen)
    if last == [script] and ranges[-1][1] == c - 1:
        ranges[-1][1] = c
    else:
        ranges.append([c, c, script])

print(f"// Made by tests/runtime/text/scripts.py from tokenizers {tokenizers.__version__}: {{first, last, script}}.")
print_table("Script", "kScripts", [f"{{0x{a:x}, 0x{b:x}, {script}}}," for a, b, script in ranges])
