#!/usr/bin/env python3
"""Writes preprocess_reference.json beside this file: what Pillow and OpenCV make of crops of a generated frame.

    pip install numpy pillow==11.3.0 opencv-python-headless==4.11.0.86
    python3 network/tests/preprocess_reference.py

Pillow 13 changed the order of the two passes where the height shrinks much more than the width; with it 3 of the cases
differ by one level. OpenCV 5.0.0 gives what 4.11.0 does.

The frame is not stored: `frame` below and its twin in crop.rs generate the same one. Half of it is noise, the hardest case for rounding,
and half a ramp, where a shift of the sampling positions would show.
"""

import json
import pathlib

import cv2
import numpy as np
import PIL
from PIL import Image

WIDTH, HEIGHT = 97, 83


def frame():
    y, x, c = np.meshgrid(np.arange(HEIGHT), np.arange(WIDTH), np.arange(3), indexing="ij")
    mixed = (x * 7919 + y * 104729 + c * 1299709).astype(np.uint64) * 2654435761 % 2**32
    mixed = (mixed ^ (mixed >> 15)) * 2246822519 % 2**32
    noise = mixed >> 24
    ramp = (x * 2 + y + c * 40) % 256
    return np.where(x < WIDTH // 2, noise, ramp).astype(np.uint8)


# name, [left, top, width, height], output width, output height
CASES = [
    ("down", [3, 5, 60, 70], 16, 32),
    ("down by an odd factor", [0, 0, 97, 83], 13, 29),
    ("down by exactly 2", [10, 4, 32, 64], 16, 32),
    ("down by exactly 3", [20, 11, 48, 72], 16, 24),
    ("down a lot", [0, 0, 97, 83], 3, 2),
    ("up", [40, 20, 7, 13], 16, 32),
    ("up by an odd factor", [44, 31, 5, 3], 31, 17),
    ("up by exactly 2", [41, 50, 8, 16], 16, 32),
    ("same size", [30, 40, 16, 32], 16, 32),
    ("same width only", [33, 2, 16, 71], 16, 32),
    ("same height only", [1, 7, 95, 32], 16, 32),
    ("up across, down down", [45, 0, 6, 83], 16, 32),
    ("down across, up down", [0, 60, 97, 9], 16, 32),
    ("one pixel", [96, 82, 1, 1], 16, 32),
    ("one column", [0, 3, 1, 77], 16, 32),
    ("one row", [9, 0, 80, 1], 16, 32),
    ("two pixels", [47, 9, 2, 1], 9, 4),
    ("to one pixel", [5, 5, 50, 60], 1, 1),
]


def letterboxed(resized, size, image):
    """`resized(image, (width, height))`, centred on the mean colour of ImageNet."""
    width, height = size
    h, w = image.shape[:2]
    if width * h <= height * w:
        inner = (width, min(height, max(1, (2 * h * width + w) // (2 * w))))
    else:
        inner = (min(width, max(1, (2 * w * height + h) // (2 * h))), height)
    out = np.empty((height, width, 3), np.uint8)
    out[:] = [124, 116, 104]
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    out[top : top + inner[1], left : left + inner[0]] = resized(image, inner)
    return out


def pillow(image, size):
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))


def opencv(image, size):
    return cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)


def main():
    source = frame()
    cases = []
    for name, (left, top, width, height), out_width, out_height in CASES:
        crop = np.ascontiguousarray(source[top : top + height, left : left + width])
        size = (out_width, out_height)
        for resize, resized in (("pil-bilinear", pillow), ("cv-bilinear", opencv)):
            for fit in ("stretch", "letterbox"):
                out = resized(crop, size) if fit == "stretch" else letterboxed(resized, size, crop)
                cases.append(
                    {
                        "name": name,
                        "bbox": [left, top, width, height],
                        "width": out_width,
                        "height": out_height,
                        "resize": resize,
                        "fit": fit,
                        "rgb": out.tobytes().hex(),
                    }
                )
    lines = ",\n".join(json.dumps(case) for case in cases)
    versions = f"Pillow {PIL.__version__}, OpenCV {cv2.__version__}"
    path = pathlib.Path(__file__).with_suffix(".json")
    path.write_text(f'{{"made_with": "{versions}", "cases": [\n{lines}\n]}}\n')
    print(f"{path.name}: {len(cases)} cases, {versions}")


if __name__ == "__main__":
    main()
