#!/usr/bin/env python3
"""Writes jpeg_reference.json beside this file: JPEGs of generated pictures, and what Pillow makes of them.

    pip install numpy pillow==13.0.0 opencv-python-headless==5.0.0.93
    python3 media/tests/jpeg_reference.py

Both bring libjpeg-turbo, and the script stops if they disagree. Pixels are stored for a few cases, so that a difference can be looked at, and as
SHA-256 for all. Where the Huffman tables are the standard ones they are left out: 420 bytes less a case, and that they may be missing is tested too.
"""

import base64
import hashlib
import io
import json
import pathlib

import cv2
import numpy as np
import PIL
from PIL import Image, features

SAMPLING = {"4:4:4": 0x111111, "4:2:2": 0x211111, "4:2:0": 0x221111, "4:4:0": 0x121111, "4:1:1": 0x411111}
random = np.random.default_rng(20261201)
cases = []


def picture(width, height, channels=3):
    """Half smooth, half noise: one shows wrong positions, the other wrong rounding."""
    small = random.integers(0, 256, (height // 6 + 2, width // 6 + 2, channels), dtype=np.uint8)
    smooth = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC).reshape(height, width, channels)
    noise = random.integers(0, 256, (height, width, channels), dtype=np.uint8)
    x = np.arange(width)[None, :, None]
    return np.where(x < (width + 1) // 2, smooth, noise).astype(np.uint8)


def segments(jpeg):
    """Its segments up to the first scan's data: (marker, bytes), and the rest."""
    at, found = 2, []
    while True:
        length = 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
        found.append((jpeg[at + 1], jpeg[at : at + length]))
        at += length
        if found[-1][0] == 0xDA:
            return found, jpeg[at:]


def without_tables(jpeg):
    parts, rest = segments(jpeg)
    return jpeg[:2] + b"".join(part for marker, part in parts if marker != 0xC4) + rest


def add(name, jpeg, pixels=False, opencv=True):
    image = Image.open(io.BytesIO(jpeg)).convert("RGB")
    rgb = image.tobytes()
    if opencv:
        other = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
        assert other.tobytes() == rgb, f"{name}: OpenCV and Pillow differ"
    case = {"name": name, "jpeg": base64.b64encode(jpeg).decode(), "width": image.width, "height": image.height}
    case["sha256"] = hashlib.sha256(rgb).hexdigest()
    if pixels:
        case["rgb"] = base64.b64encode(rgb).decode()
    cases.append(case)


def by_opencv(pixels, sampling, quality=75, progressive=0, optimize=0, restart=0):
    settings = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, SAMPLING[sampling]]
    settings += [cv2.IMWRITE_JPEG_PROGRESSIVE, progressive, cv2.IMWRITE_JPEG_OPTIMIZE, optimize]
    settings += [cv2.IMWRITE_JPEG_RST_INTERVAL, restart]
    done, jpeg = cv2.imencode(".jpg", pixels, settings)
    assert done
    jpeg = jpeg.tobytes()
    return jpeg if progressive or optimize else without_tables(jpeg)


def by_pillow(pixels, mode="RGB", **settings):
    out = io.BytesIO()
    Image.fromarray(pixels, mode).save(out, "JPEG", **settings)
    return out.getvalue()


def scan_by_scan(width, height, factors):
    """A baseline JPEG with a scan for each component, put together from grey ones of its planes."""
    most = max(h for h, _ in factors), max(v for _, v in factors)
    header, scans = None, b""
    for number, (h, v) in enumerate(factors, 1):
        size = -(-width * h // most[0]), -(-height * v // most[1])
        parts, data = segments(without_tables(by_pillow(picture(*size, 1)[:, :, 0], "L", quality=80)))
        if header is None:
            quantisation = b"".join(part for marker, part in parts if marker == 0xDB)
            frame = b"".join(bytes([i, h << 4 | v, 0]) for i, (h, v) in enumerate(factors, 1))
            length = (8 + len(frame)).to_bytes(2, "big")
            size = height.to_bytes(2, "big") + width.to_bytes(2, "big")
            header = b"\xff\xd8" + quantisation + b"\xff\xc0" + length + b"\x08" + size + bytes([len(factors)]) + frame
        assert data.endswith(b"\xff\xd9")
        scans += b"\xff\xda\x00\x08\x01" + bytes([number, 0, 0, 63, 0]) + data[:-2]
    return header + scans + b"\xff\xd9"


def main():
    for width in range(1, 41):
        height = width * 7 % 23 + 1
        add(f"4:2:0 {width} x {height}", by_opencv(picture(width, height), "4:2:0", 60), pixels=width in (5, 18))
    for height in range(2, 40, 3):
        add(f"4:2:0 9 x {height}", by_opencv(picture(9, height), "4:2:0", 85), pixels=height == 35)
    for sampling in SAMPLING:
        for width, height in [(1, 1), (2, 2), (3, 3), (4, 5), (7, 9), (17, 33), (35, 18)]:
            pixels = picture(width, height)
            for progressive in (0, 1):
                name = f"{sampling} {width} x {height}" + " progressive" * progressive
                add(name, by_opencv(pixels, sampling, 70, progressive), pixels=width == 17 and not progressive)
        add(f"{sampling} restarts", by_opencv(picture(37, 29), sampling, 50, restart=1))
    add("4:2:0 progressive restarts", by_opencv(picture(37, 29), "4:2:0", 50, progressive=1, restart=2))
    add("4:2:0 own tables", by_opencv(picture(37, 29), "4:2:0", 50, optimize=1))
    for quality in (1, 5, 20, 40, 90, 97, 100):
        add(f"quality {quality}", by_opencv(picture(24, 24), "4:2:0", quality, optimize=1))
        noise = random.integers(0, 2, (16, 16, 3), dtype=np.uint8) * 255
        add(f"black and white, quality {quality}", by_opencv(noise, "4:4:4", quality, optimize=1))
    add("flat", by_opencv(np.full((40, 40, 3), (30, 120, 200), np.uint8), "4:2:0"))
    for name, settings in [("", {}), (" progressive", {"progressive": True})]:
        add("grey" + name, by_pillow(picture(19, 21, 1)[:, :, 0], "L", **settings), pixels=not settings)
        # OpenCV turns them into colours in another way.
        cmyk = by_pillow(picture(19, 21, 4), "CMYK", quality=90, **settings)
        add("CMYK" + name, cmyk, pixels=not settings, opencv=False)
        adobe = cmyk.index(b"Adobe") + 11
        assert cmyk[adobe] == 0
        add("YCCK" + name, cmyk[:adobe] + b"\x02" + cmyk[adobe + 1 :], pixels=not settings, opencv=False)
        add("RGB" + name, by_pillow(picture(19, 21), quality=90, keep_rgb=True, **settings))
    # Also what no encoder here writes: factors of 3 and 4, luma smaller than chroma, and one component's factors.
    for factors in [
        [(1, 1), (1, 1), (1, 1)],
        [(2, 2), (1, 1), (1, 1)],
        [(2, 1), (1, 1), (1, 1)],
        [(1, 2), (1, 1), (1, 1)],
        [(4, 2), (1, 1), (2, 1)],
        [(3, 3), (1, 1), (1, 3)],
        [(1, 1), (2, 2), (1, 2)],
        [(4, 4), (2, 2), (1, 1)],
        [(2, 2)],
    ]:
        name = " ".join(f"{h}x{v}" for h, v in factors)
        add(f"scan by scan {name}", scan_by_scan(29, 31, factors), opencv=len(factors) == 3)

    written = {"pillow": PIL.__version__, "libjpeg-turbo": features.version_feature("libjpeg_turbo"), "opencv": cv2.__version__, "cases": cases}
    path = pathlib.Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(written, indent=0) + "\n")
    print(len(cases), "cases,", path.stat().st_size, "bytes")


main()
