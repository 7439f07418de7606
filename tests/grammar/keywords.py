"""Names the keywords of the grammar that a document does not mention in backticks or a code block."""
import pathlib
import re
import sys

grammar, document = (pathlib.Path(p).read_text(encoding="utf-8") for p in sys.argv[1:3])
keywords = re.findall(r"^[A-Z]+ *: *'([a-z]+)' *;|(?<=;) *[A-Z]+ : '([a-z]+)' ;", grammar, re.M)
keywords = [a or b for a, b in keywords]
code = " ".join(re.findall(r"```.*?```|`[^`\n]+`", document, re.S))
missing = [word for word in keywords if not re.search(rf"\b{word}\b", code)]
print("not explained: " + ", ".join(missing) if missing else f"all keywords are explained ({len(keywords)})")
sys.exit(1 if missing or len(keywords) < 50 else 0)
