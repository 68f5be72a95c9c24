"""Which runtimes load an exported network, and whether they compute what we do.

    pip install numpy pillow onnx onnxruntime openvino
    trainer export --weights W --out person.onnx --quantize --calib crops
    reid embed crops --model person.onnx --out ours.npy
    python check.py person.onnx --images crops [--against ours.npy] [--float float.onnx]

Prints a line for each runtime that is installed: whether it loads the file, and the cosine of its
embeddings to ours (rows in the order of the sorted paths, as `reid embed` writes them) and to those
of a float network in ONNX Runtime. Ends with 1 if a runtime that is installed refuses the file or its
mean cosine to ours is below 0.995.
"""

import argparse
import json
import pathlib
import sys
import time

import numpy as np
from PIL import Image

WANTED = 0.995


def images(folder, model):
    """The images below a folder as the network reads them, [n, 3, height, width]."""
    import onnx

    metadata = {p.key: p.value for p in onnx.load(model).metadata_props}
    prepared = json.loads(metadata["reid.contract"])["preprocessing"] if "reid.contract" in metadata else {}
    size = prepared.get("width", 128), prepared.get("height", 256)
    mean = np.array(prepared.get("mean", [0.485, 0.456, 0.406]), np.float32)
    std = np.array(prepared.get("std", [0.229, 0.224, 0.225]), np.float32)
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in {".jpg", ".jpeg", ".png", ".bmp"})
    batch = []
    for path in paths:
        pixels = np.asarray(Image.open(path).convert("RGB").resize(size, Image.BILINEAR), np.float32)
        if prepared.get("colour") == "bgr":
            pixels = pixels[..., ::-1]
        batch.append(((pixels / np.float32(255) - mean) / std).transpose(2, 0, 1))
    return np.stack(batch)


def onnxruntime(model):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return ort.__version__, lambda x: session.run(None, {name: x})[0]


def openvino(model):
    import openvino as ov

    compiled = ov.Core().compile_model(str(model), "CPU")
    return ov.__version__.split("-")[0], lambda x: compiled([x])[0]


def checker(model):
    import onnx

    onnx.checker.check_model(str(model), full_check=True)
    return onnx.__version__, None


def cosines(a, b):
    unit = lambda x: x / np.linalg.norm(x, axis=1, keepdims=True)
    return (unit(a.astype(np.float64)) * unit(b.astype(np.float64))).sum(1)


def embed(run, batch):
    return np.concatenate([run(batch[i : i + 1]).reshape(1, -1) for i in range(len(batch))])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--images", type=pathlib.Path, required=True)
    parser.add_argument("--against", type=pathlib.Path)
    parser.add_argument("--float", type=pathlib.Path)
    arguments = parser.parse_args()
    batch = images(arguments.images, arguments.model)
    references = {}
    if arguments.against:
        references["ours"] = np.load(arguments.against)
    if arguments.float:
        references["float"] = embed(onnxruntime(arguments.float)[1], batch)
    failed = False
    for runtime in [checker, onnxruntime, openvino]:
        name = "onnx.checker" if runtime is checker else runtime.__name__
        try:
            version, run = runtime(arguments.model)
        except ImportError:
            print(f"{name}: not installed")
            continue
        except Exception as error:
            print(f"{name}: refuses it: {str(error).splitlines()[0]}")
            failed = True
            continue
        line = f"{name} {version}: loads it"
        if run is not None:
            start = time.perf_counter()
            own = embed(run, batch)
            line += f", {(time.perf_counter() - start) / len(batch) * 1000:.1f} ms an image"
            for which, reference in references.items():
                values = cosines(own, reference)
                line += f", cosine to {which} {values.mean():.5f} in the mean, at least {values.min():.5f}"
                failed |= which == "ours" and values.mean() < WANTED
        print(line)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
