"""What OpenCV and Pillow make of small pictures, as tables for ResampleTest.cpp.

    golden.py FOLDER        writes Golden.inc, GoldenCuts.inc, GoldenWarps.inc and GoldenBlurs.inc; needs opencv-python-headless, Pillow, numpy

Pixel (c, y, x) of a picture is (c * 67 + y * 31 + x * 47 + x * y * 13) mod 256.
"""
import pathlib
import sys

import cv2
import numpy
from PIL import Image


def picture(channels, height, width):
    c, y, x = numpy.mgrid[:channels, :height, :width]
    return ((c * 67 + y * 31 + x * 47 + x * y * 13) % 256).astype(numpy.uint8)


def opencv(flag):
    def run(planes, height, width):
        out = cv2.resize(planes.transpose(1, 2, 0), (width, height), interpolation=flag)
        return out.reshape(height, width, -1).transpose(2, 0, 1)
    return run


def pillow(planes, height, width):
    return numpy.stack([numpy.asarray(Image.fromarray(p).resize((width, height), Image.BILINEAR)) for p in planes])


MODES = {"Bilinear": opencv(cv2.INTER_LINEAR), "Nearest": opencv(cv2.INTER_NEAREST), "Bicubic": opencv(cv2.INTER_CUBIC),
         "Area": opencv(cv2.INTER_AREA), "Antialiased": pillow}
SIZES = [(1, 5, 7, 3, 4), (3, 9, 4, 5, 6), (1, 1, 1, 3, 2), (1, 8, 8, 4, 4), (3, 2, 3, 5, 7), (1, 13, 11, 2, 3), (1, 1, 6, 1, 4), (1, 1, 6, 1, 34)]

HEAD = "// Made by golden.py. Do not edit.\n"
text = HEAD
for mode, run in MODES.items():
    for channels, h, w, height, width in SIZES:
        if mode == "Area" and (height > h or width > w):
            continue  # where nothing shrinks it is bilinear here
        out = run(picture(channels, h, w), height, width)
        values = ", ".join(str(v) for v in out.reshape(-1))
        text += f"{{Mode::{mode}, {channels}, {h}, {w}, {height}, {width}, {{{values}}}}},\n"
folder = pathlib.Path(sys.argv[1])
(folder / "Golden.inc").write_text(text)
text = HEAD
for channels, h, w, box in [(1, 9, 9, (1, 1, 5, 5)), (3, 8, 10, (2.25, 1.5, 6.25, 4.5)), (1, 6, 6, (-3.5, -2, 3.5, 3)), (1, 5, 5, (3, 3, 9.75, 8.5))]:
    size = (round(box[2] - box[0]), round(box[3] - box[1]))
    out = cv2.getRectSubPix(picture(channels, h, w).transpose(1, 2, 0), size, ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2))
    values = ", ".join(str(v) for v in out.reshape(size[1], size[0], -1).transpose(2, 0, 1).reshape(-1))
    sides = ", ".join(f"{float(v)}f" for v in box)
    text += f"{{{channels}, {h}, {w}, {{{sides}}}, {size[1]}, {size[0]}, {{{values}}}}},\n"
(folder / "GoldenCuts.inc").write_text(text)

# Maps from the new picture to the old: turned, sheared and moved, enlarged, mirrored.
MATRICES = [(0.8, -0.3, 1.2, 0.25, 0.9, -0.7), (0.5, 0, 0, 0, 0.5, 0), (-1, 0, 7, 0, 1.5, -2), (1, 0.4, -1.5, 0, 1, 0.25)]
text = HEAD
for (channels, h, w, height, width), m in zip([(1, 9, 8, 7, 10), (3, 4, 5, 8, 10), (1, 6, 7, 6, 7), (3, 5, 6, 5, 9)], MATRICES):
    planes = [numpy.asarray(Image.fromarray(p).transform((width, height), Image.AFFINE, m, Image.BILINEAR, fillcolor=9)) for p in picture(channels, h, w)]
    values = ", ".join(str(v) for v in numpy.stack(planes).reshape(-1))
    text += f"{{{channels}, {h}, {w}, {{{', '.join(f'{float(v)}f' for v in m)}}}, {height}, {width}, {{{values}}}}},\n"
(folder / "GoldenWarps.inc").write_text(text)
text = HEAD
for channels, h, w, sigma in [(1, 9, 8, 0.8), (3, 7, 5, 1.5), (1, 4, 6, 3), (1, 1, 7, 1), (1, 12, 12, 0.3)]:
    out = cv2.GaussianBlur(picture(channels, h, w).transpose(1, 2, 0), (0, 0), sigma).reshape(h, w, -1).transpose(2, 0, 1)
    values = ", ".join(str(v) for v in out.reshape(-1))
    text += f"{{{channels}, {h}, {w}, {float(sigma)}, {{{values}}}}},\n"
(folder / "GoldenBlurs.inc").write_text(text)
