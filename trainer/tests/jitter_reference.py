"""Writes jitter_reference.json: what Pillow makes of a few colours.

    pip install pillow==11.3.0 numpy
    python trainer/tests/jitter_reference.py

The steps are those of torchvision/transforms/_functional_pil.py (adjust_brightness and so on).
"""

import json
import pathlib

import numpy as np
from PIL import Image, ImageEnhance

rng = np.random.default_rng(20190601)
corners = [[r, g, b] for r in (0, 128, 255) for g in (0, 127, 255) for b in (0, 1, 255)]
pixels = np.array(corners + rng.integers(0, 256, (101, 3)).tolist(), dtype=np.uint8)
image = Image.fromarray(pixels.reshape(8, 16, 3), "RGB")


def hue(image, factor):
    h, s, v = image.convert("HSV").split()
    turned = np.array(h, dtype=np.uint8)
    turned = turned + np.int32(factor * 255).astype(np.uint8)
    return Image.merge("HSV", (Image.fromarray(turned.astype(np.uint8), "L"), s, v)).convert("RGB")


steps = {
    "brightness": lambda i, f: ImageEnhance.Brightness(i).enhance(f),
    "contrast": lambda i, f: ImageEnhance.Contrast(i).enhance(f),
    "saturation": lambda i, f: ImageEnhance.Color(i).enhance(f),
    "hue": hue,
}
factors = {name: [0.0, 0.5, 0.85, 1.0, 1.15, 2.5] for name in steps} | {"hue": [-0.5, -0.1, 0.0, 0.003, 0.07, 0.5]}
cases = [
    {"step": name, "factor": factor, "wanted": np.array(step(image, factor)).reshape(-1, 3).tolist()}
    for name, step in steps.items()
    for factor in factors[name]
]
lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
text = '{"input":' + json.dumps(pixels.tolist(), separators=(",", ":")) + ',\n"cases":[\n' + lines + "\n]}\n"
pathlib.Path(__file__).with_suffix(".json").write_text(text)
