"""examples/faces beside OpenCV, ONNX Runtime and PyTorch on the same weights and the same pictures.

    faces.py BIGMC PROGRAM DATA PEERS WORK

PEERS is the folder with cascade.py. Pictures: the photograph with a face, one without, and a montage of the first in many
sizes, as JPEG and as PNG. Prints the largest differences of boxes, scores and landmarks.
"""
import contextlib
import io
import json
import os
import pathlib
import runpy
import subprocess
import sys
import warnings

warnings.simplefilter("ignore")
import cv2
import numpy

bigmc, program, data, peers, work = sys.argv[1:]
work = pathlib.Path(work)
work.mkdir(parents=True, exist_ok=True)
photos = pathlib.Path(data) / "photos"
face = cv2.imread(str(photos / "astronaut.png"))

# Faces of many sizes on one canvas, some of them cut by its edge.
canvas = numpy.full((700, 1100, 3), 120, numpy.uint8)
for x, y, size in [(0, 0, 420), (430, 10, 300), (740, 0, 360), (20, 430, 260), (300, 350, 340), (660, 380, 300)]:
    piece = cv2.resize(face, (size, size))[: 700 - y, : 1100 - x]
    canvas[y:y + piece.shape[0], x:x + piece.shape[1]] = piece
cv2.imwrite(str(work / "montage.png"), canvas)
cv2.imwrite(str(work / "montage.jpg"), canvas, [cv2.IMWRITE_JPEG_QUALITY, 90])
pictures = [str(photos / "astronaut.png"), str(photos / "rocket.jpg"), str(work / "montage.png"), str(work / "montage.jpg")]

done = subprocess.run([bigmc, "predict", program, "--data", data, "--json", *pictures], stdout=subprocess.PIPE, check=True, text=True)
ours = [json.loads(line) for line in done.stdout.splitlines()]
assert len(ours) == len(pictures), done.stdout
worst = {"box": 0.0, "score": 0.0, "landmarks": 0.0}
total = 0
for picture, found in zip(pictures, ours):
    # The peer encodes its photograph anew; here it gets the file as it is.
    cv2.imencode = lambda *_, file=picture: (True, numpy.frombuffer(pathlib.Path(file).read_bytes(), numpy.uint8))
    out = io.StringIO()
    sys.argv = ["cascade.py", data, "--photo", picture]
    with contextlib.redirect_stdout(out):
        runpy.run_path(str(pathlib.Path(peers) / "cascade.py"), run_name="__main__")
    theirs = json.loads(out.getvalue())
    assert len(found) == len(theirs), f"{picture}: {len(found)} faces here, {len(theirs)} there"
    total += len(found)
    for a, b in zip(found, theirs):
        for key in worst:
            worst[key] = max(worst[key], float(abs(numpy.array(a[key]) - numpy.array(b[key])).max()))
print(f"{total} faces; largest differences: box {worst['box']:.3f} px, score {worst['score']:.1e}, landmarks {worst['landmarks']:.3f} px")
# The peer prints scores with four digits and the others with two.
print("agree" if worst["box"] <= 0.5 and worst["score"] <= 1.5e-4 and worst["landmarks"] <= 0.5 else "DIFFER")
