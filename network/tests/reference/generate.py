"""Writes cases.json: small random cases of every operator, and what ONNX Runtime makes of them.

    pip install onnx==1.23.2 onnxruntime==1.31.1 numpy==2.4.6
    python generate.py            # rewrites cases.json beside this file

Each case is one ONNX node of opset 22, run by ONNX Runtime's CPU provider without any
optimisation. In the file a case has the operator in the terms of `network::graph::Op` (`op` and
`attributes`: axes are never negative, what ONNX passes as an operand is an attribute), its
`inputs` and its `outputs`.
"""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

OPSET = 22
RNG = np.random.default_rng(20261122)
CASES = []


def normal(*shape, scale=1.0):
    """Standard normal numbers of three decimals: short in the file, inexact in f32."""
    return (RNG.standard_normal(shape) * scale).round(3).astype(np.float32)


def positive(*shape):
    return RNG.uniform(0.2, 3.0, shape).round(3).astype(np.float32)


def integers(low, high, shape, dtype):
    return RNG.integers(low, high, shape, endpoint=True).astype(dtype)


def run(onnx_op, operands, onnx_attributes, outputs):
    """ONNX Runtime on one node; an operand of None is left empty."""
    names = ["" if x is None else f"i{i}" for i, x in enumerate(operands)]
    results = [f"o{i}" for i in range(outputs)]
    feeds = {name: x for name, x in zip(names, operands) if name}
    kind = lambda x: helper.np_dtype_to_tensor_dtype(x.dtype)
    # What ONNX wants to know beforehand (axes, shapes, scales) is constant, the first is fed.
    constants = [numpy_helper.from_array(x, n) for n, x in feeds.items() if n != "i0"]
    graph = helper.make_graph(
        [helper.make_node(onnx_op, names, results, **onnx_attributes)],
        "case",
        [helper.make_tensor_value_info("i0", kind(feeds["i0"]), feeds["i0"].shape)],
        [helper.make_tensor_value_info(r, TensorProto.UNDEFINED, None) for r in results],
        constants,
    )
    for output in graph.output:
        output.ClearField("type")
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = 10
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    onnx.checker.check_model(inferred)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        inferred.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"i0": feeds["i0"]})


def number(x):
    """Shortest decimal that reads back as the same number."""
    if isinstance(x, np.floating):
        assert np.isfinite(x), x
        return int(x) if x == int(x) and not (x == 0 and np.signbit(x)) else float(str(x))
    return int(x)


def tensor(x):
    kinds = {"float32": "f32", "int64": "i64", "int32": "i32", "int8": "i8", "uint8": "u8"}
    data = [number(e) for e in x.reshape(-1)]
    return {"type": kinds[str(x.dtype)], "shape": list(x.shape), "data": data}


def case(name, op, inputs, attributes=None, *, onnx=None, more=(), outputs=1):
    """`attributes` are those of `Op`, `onnx` those of ONNX where they differ, `more` the operands
    that ONNX has and `Op` has not."""
    attributes = attributes or {}
    onnx_attributes = attributes if onnx is None else onnx
    results = run(op, [*inputs, *more], onnx_attributes, outputs)
    CASES.append(
        {
            "name": name,
            "op": op,
            "attributes": attributes,
            "inputs": [tensor(x) for x in inputs],
            "outputs": [tensor(x) for x in results],
        }
    )


def i64(*values):
    return np.array(values, np.int64)


def f32(*values):
    return np.array(values, np.float32)


def convolutions():
    def conv(name, x, weight, bias, strides=(1, 1), pads=(0, 0, 0, 0), dilations=(1, 1), groups=1):
        inputs = [normal(*x), normal(*weight)] + ([normal(weight[0])] if bias else [])
        attributes = dict(
            strides=list(strides), pads=list(pads), dilations=list(dilations), groups=groups
        )
        onnx = {("group" if k == "groups" else k): v for k, v in attributes.items()}
        case(name, "Conv", inputs, attributes, onnx=onnx)

    conv("pointwise", (2, 3, 4, 5), (4, 3, 1, 1), True)
    conv("pointwise without bias", (1, 6, 3, 3), (2, 6, 1, 1), False)
    conv("pointwise with step", (1, 2, 5, 7), (3, 2, 1, 1), True, strides=(2, 3))
    conv("3x3 padded", (1, 3, 5, 4), (2, 3, 3, 3), True, pads=(1, 1, 1, 1))
    conv("3x3 without padding", (1, 2, 5, 4), (2, 2, 3, 3), False)
    conv("3x3 with step 2", (1, 2, 7, 6), (2, 2, 3, 3), True, strides=(2, 2), pads=(1, 1, 1, 1))
    conv("7x7 stem", (1, 3, 12, 9), (2, 3, 7, 7), False, strides=(2, 2), pads=(3, 3, 3, 3))
    conv("asymmetric pads", (1, 2, 4, 4), (2, 2, 3, 3), True, pads=(0, 1, 2, 3))
    conv("pads as wide as the kernel", (1, 1, 2, 2), (1, 1, 3, 3), True, pads=(3, 3, 3, 3))
    conv("pads wider than the kernel", (1, 1, 2, 3), (1, 1, 2, 2), True, pads=(4, 0, 0, 5))
    conv("dilated", (1, 2, 7, 8), (2, 2, 3, 3), True, pads=(2, 2, 2, 2), dilations=(2, 2))
    conv(
        "dilated unevenly, with steps",
        (1, 2, 9, 8),
        (2, 2, 3, 2),
        True,
        (2, 1),
        (1, 0, 2, 3),
        (2, 3),
    )
    conv("a kernel wider than the image", (1, 2, 3, 2), (2, 2, 1, 5), True, pads=(0, 2, 0, 2))
    conv("rectangular kernel", (1, 2, 6, 6), (3, 2, 1, 3), True, pads=(0, 1, 0, 1))
    conv("grouped", (2, 4, 4, 3), (6, 2, 3, 3), True, pads=(1, 1, 1, 1), groups=2)
    conv("depthwise", (1, 4, 5, 5), (4, 1, 3, 3), False, pads=(1, 1, 1, 1), groups=4)
    conv("depthwise with two filters each", (1, 3, 4, 4), (6, 1, 3, 3), True, groups=3)
    conv(
        "depthwise, dilated, step 2",
        (1, 3, 7, 7),
        (3, 1, 3, 3),
        True,
        (2, 2),
        (2, 2, 2, 2),
        (2, 2),
        3,
    )


def normalisations():
    def statistics(c):
        return [normal(c), normal(c), normal(c), positive(c)]

    for name, shape, epsilon in [
        ("image", (2, 3, 4, 2), 1e-5),
        ("neck", (4, 6), 1e-5),
        ("sequence, large epsilon", (2, 3, 5), 0.1),
    ]:
        inputs = [normal(*shape), *statistics(shape[1])]
        case(name, "BatchNormalization", inputs, {"epsilon": epsilon})
    for name, shape, epsilon in [
        ("small image", (2, 3, 4, 5), 1e-5),
        ("one row, large epsilon", (1, 2, 1, 6), 0.01),
    ]:
        inputs = [normal(*shape), normal(shape[1]), normal(shape[1])]
        case(name, "InstanceNormalization", inputs, {"epsilon": epsilon})
    far = normal(1, 2, 4, 4) + np.float32(8)
    case("far from zero", "InstanceNormalization", [far, f32(1, 2), f32(0, 1)], {"epsilon": 1e-3})
    groups = f32([[0.25, -1.5], [2, 3.125], [-4, 0.5]], [[1, 1], [0.75, -0.125], [-8, 16]])
    case("groups", "InstanceNormalization", [groups, f32(1, 1, 2), f32(0, 0, 1)], {"epsilon": 1e-5})

    x = normal(2, 3, 4)
    x[0, :, 1] = 0
    x[1, 2, :] = 0
    for axis in range(3):
        for p in (1, 2):
            case(f"axis {axis}, p {p}", "LpNormalization", [x], {"axis": axis, "p": p})
    case("embedding", "LpNormalization", [normal(3, 16)], {"axis": 1, "p": 2})
    case("short", "LpNormalization", [f32([1e-15, -2e-15])], {"axis": 1, "p": 2})

    for axis in range(4):
        case(f"axis {axis}", "Softmax", [normal(2, 3, 2, 4)], {"axis": axis})
    case("large", "Softmax", [f32([1000, 999, -1000], [-5000, -5001, -5000])], {"axis": 1})
    case("one", "Softmax", [normal(3, 1)], {"axis": 1})


def elementwise():
    x = np.concatenate(
        [normal(25, scale=3), f32(0, -0.0, 1, -1, 3, -3, 6, -6, 20, -20, 90, -90, 1e-6, -1e-6, 2.5)]
    ).reshape(5, 8)
    for op, attributes in [
        ("Relu", {}),
        ("LeakyRelu", {"alpha": 0.01}),
        ("LeakyRelu", {"alpha": -0.5}),
        ("Sigmoid", {}),
        ("HardSigmoid", {"alpha": 0.2, "beta": 0.5}),
        ("HardSigmoid", {"alpha": 0.25, "beta": 0.4}),
        ("HardSwish", {}),
        ("Tanh", {}),
    ]:
        case(", ".join(f"{k} {v}" for k, v in attributes.items()), op, [x], attributes)
    case("", "Sqrt", [np.abs(x)])
    case("", "Exp", [np.clip(x, -80, 80)])
    case("", "Reciprocal", [np.where(x == 0, np.float32(7), x)])
    for name, low, high in [
        ("relu6", 0, 6),
        ("no upper bound", -1.5, None),
        ("no lower bound", None, 0.25),
        ("unbounded", None, None),
        ("crossed", 2, -1),
    ]:
        bounds = [None if bound is None else np.array(bound, np.float32) for bound in (low, high)]
        while bounds and bounds[-1] is None:
            bounds.pop()
        case(name, "Clip", [x], {"min": low, "max": high}, onnx={}, more=bounds)
    for shape, slope in [
        ((2, 3, 2, 2), (3, 1, 1)),
        ((2, 3, 2, 2), (1,)),
        ((2, 3, 2, 2), ()),
        ((2, 4), (4,)),
        ((2, 3, 2, 2), (1, 3, 1, 2)),
    ]:
        case(f"slope {slope}", "PRelu", [normal(*shape), np.asarray(normal(*slope))])

    pairs = [
        ((2, 3), (2, 3)),
        ((2, 3, 2, 2), (3, 1, 1)),
        ((3, 1, 1), (2, 3, 2, 2)),
        ((2, 1, 3), (1, 4, 1)),
        ((2, 3), ()),
        ((), (2, 3)),
        ((), ()),
        ((1, 1, 1), (2,)),
    ]
    for op in ("Add", "Sub", "Mul", "Div"):
        for a, b in pairs:
            case(f"{a} and {b}", op, [np.asarray(normal(*a)), np.asarray(positive(*b))])
        a, b = integers(-40, 40, (2, 1, 3), np.int64), integers(1, 7, (2, 1), np.int64)
        case("integers", op, [a, b])
    for a, b in pairs:
        case(f"{a} and {b}", "Pow", [np.asarray(positive(*a)), np.asarray(normal(*b))])
    case("square of negatives", "Pow", [normal(2, 4), f32(2)])
    case("GeM", "Pow", [positive(1, 2, 3, 3), f32(3)])
    case("integers", "Pow", [integers(-5, 5, (2, 3), np.int64), i64(0, 1, 3)])


def any_type(shape):
    """One tensor of each type that weights, activations and shapes have."""
    yield normal(*shape)
    yield integers(-(2**40), 2**40, shape, np.int64)
    yield integers(-(2**31), 2**31 - 1, shape, np.int32)
    yield integers(-128, 127, shape, np.int8)
    yield integers(0, 255, shape, np.uint8)


def layout():
    for x in any_type((2, 3, 2)):
        kind = str(x.dtype)
        case(kind, "Concat", [x, x + x.dtype.type(1), x], {"axis": 1})
        case(kind, "Transpose", [x], {"perm": [2, 0, 1]})
        to = [4, 1, 3, 2] if kind != "int8" else [2, 3, 2]
        expanded = x[:1]
        case(kind, "Expand", [expanded], {"shape": to}, onnx={}, more=[i64(*to)])
        sizes = [1, 2]
        case(
            kind,
            "Split",
            [x],
            {"axis": 1, "sizes": sizes},
            onnx={"axis": 1},
            more=[i64(*sizes)],
            outputs=2,
        )
        if kind != "int8" and kind != "uint8":
            slices = {"axis": 1, "start": 1, "end": 3, "step": 1}
            case(kind, "Slice", [x], slices, onnx={}, more=[i64(1), i64(3), i64(1)])
        case(kind, "Reshape", [x], {"shape": [3, 4]}, onnx={}, more=[i64(3, 4)])
        case(kind, "Flatten", [x], {"axis": 1})
        case(kind, "Unsqueeze", [x], {"axes": [0, 3]}, onnx={}, more=[i64(0, 3)])
        case(kind, "Squeeze", [x[:1, :, :1]], {"axes": [0, 2]}, onnx={}, more=[i64(0, 2)])

    for axis in range(4):
        parts = [normal(*[n if i == axis else 2 for i in range(4)]) for n in (1, 3, 2)]
        case(f"axis {axis}", "Concat", parts, {"axis": axis})
        sizes = [2, 1, 3]
        x = normal(*[6 if i == axis else 2 for i in range(4)])
        case(
            f"axis {axis}",
            "Split",
            [x],
            {"axis": axis, "sizes": sizes},
            onnx={"axis": axis},
            more=[i64(*sizes)],
            outputs=3,
        )
    case("one", "Concat", [normal(2, 2)], {"axis": 0})
    case("with an empty one", "Concat", [normal(2, 0), normal(2, 3)], {"axis": 1})
    case(
        "an empty piece",
        "Split",
        [normal(2, 3)],
        {"axis": 1, "sizes": [3, 0]},
        onnx={"axis": 1},
        more=[i64(3, 0)],
        outputs=2,
    )

    x = normal(2, 7, 3)
    for axis, start, end, step in [
        (1, 0, 7, 2),
        (1, 1, 7, 2),
        (1, 2, 6, 3),
        (1, 6, 7, 1),
        (2, 0, 1, 1),
        (0, 1, 2, 1),
        (1, 0, 7, 100),
        (1, 3, 3, 1),
    ]:
        operands = [i64(start), i64(end), i64(axis), i64(step)]
        attributes = {"axis": axis, "start": start, "end": end, "step": step}
        case(
            f"{start}..{end} by {step} of axis {axis}",
            "Slice",
            [x],
            attributes,
            onnx={},
            more=operands,
        )

    for pads, value in [
        ([(0, 0), (0, 0), (1, 1), (1, 1)], 0),
        ([(0, 0), (0, 0), (0, 1), (2, 0)], -1.5),
        ([(1, 0), (0, 2), (0, 0), (3, 1)], 0.25),
        ([(0, 0)] * 4, 1),
    ]:
        flat = i64(*[before for before, _ in pads], *[after for _, after in pads])
        case(
            f"{pads}",
            "Pad",
            [normal(2, 2, 2, 3)],
            {"pads": pads, "value": value},
            onnx={},
            more=[flat, np.array(value, np.float32)],
        )

    for axis in range(5):
        case(f"axis {axis}", "Flatten", [normal(2, 3, 2, 2)], {"axis": axis})
    for shape in [[12], [2, 6], [1, 12, 1], [2, 1, 3, 2]]:
        case(
            f"to {shape}",
            "Reshape",
            [normal(2, 3, 2)],
            {"shape": shape},
            onnx={},
            more=[i64(*shape)],
        )
    for perm in [[0, 2, 1, 3], [0, 2, 3, 1], [3, 2, 1, 0], [0, 1, 2, 3], [1, 0, 3, 2]]:
        case(f"{perm}", "Transpose", [normal(2, 3, 4, 2)], {"perm": perm})
    for shape, to in [
        ([1], [3]),
        ([3, 1], [3, 4]),
        ([3, 1], [2, 1, 6]),
        ([2, 3, 1, 1], [2, 3, 2, 2]),
        ([2, 3], [1]),
        ([], [2, 2]),
    ]:
        x = np.asarray(normal(*shape))
        case(f"{shape} to {to}", "Expand", [x], {"shape": to}, onnx={}, more=[i64(*to)])
    for axes in [[0], [1], [2], [0, 1], [1, 2], [0, 1, 3, 4]]:
        case(f"{axes}", "Unsqueeze", [normal(2, 3)], {"axes": axes}, onnx={}, more=[i64(*axes)])
    for axes in [[0], [2, 3], [0, 2, 3]]:
        case(f"{axes}", "Squeeze", [normal(1, 4, 1, 1)], {"axes": axes}, onnx={}, more=[i64(*axes)])


def pools():
    windows = [
        # name, image, kernel, strides, pads, ceil_mode
        ("2x2 step 2", (2, 2, 4, 6), (2, 2), (2, 2), (0, 0, 0, 0), False),
        ("3x3 step 2 padded, the stem", (1, 2, 8, 5), (3, 3), (2, 2), (1, 1, 1, 1), False),
        ("3x3 step 1 padded", (1, 1, 4, 4), (3, 3), (1, 1), (1, 1, 1, 1), False),
        ("asymmetric pads", (1, 1, 5, 5), (3, 3), (2, 2), (0, 1, 2, 0), False),
        ("rectangular", (1, 2, 6, 5), (3, 2), (1, 2), (1, 0, 1, 1), False),
        ("leftover row", (1, 1, 5, 6), (2, 2), (2, 2), (0, 0, 0, 0), False),
        ("ceil, leftover row and column", (1, 1, 5, 7), (2, 2), (2, 2), (0, 0, 0, 0), True),
        ("ceil, 3x3 step 2", (1, 2, 6, 8), (3, 3), (2, 2), (0, 0, 0, 0), True),
        ("ceil, 3x3 step 2 padded", (1, 1, 6, 8), (3, 3), (2, 2), (1, 1, 1, 1), True),
        ("ceil, nothing left over", (1, 1, 5, 7), (3, 3), (2, 2), (0, 0, 0, 0), True),
        (
            "ceil, a window would start in the padding",
            (1, 1, 4, 4),
            (2, 2),
            (3, 3),
            (0, 0, 1, 1),
            True,
        ),
        ("ceil, a window would start behind all", (1, 1, 2, 3), (1, 1), (4, 4), (0, 0, 0, 0), True),
        ("ceil, asymmetric pads", (1, 1, 5, 6), (3, 3), (2, 3), (1, 0, 0, 2), True),
        ("the whole image", (1, 3, 4, 3), (4, 3), (1, 1), (0, 0, 0, 0), False),
    ]
    for name, shape, kernel, strides, pads, ceil in windows:
        attributes = dict(
            kernel=list(kernel), strides=list(strides), pads=list(pads), ceil_mode=ceil
        )
        onnx = dict(kernel_shape=kernel, strides=strides, pads=pads, ceil_mode=int(ceil))
        # All below zero: padding with zeros would win.
        case(name, "MaxPool", [-positive(*shape)], attributes, onnx=onnx)
        for count in (False, True):
            case(
                f"{name}, count_include_pad {count}",
                "AveragePool",
                [normal(*shape)],
                {**attributes, "count_include_pad": count},
                onnx={**onnx, "count_include_pad": int(count)},
            )
    case("small", "GlobalAveragePool", [normal(2, 3, 4, 2)])
    case("one pixel", "GlobalAveragePool", [normal(1, 4, 1, 1)])


def reductions():
    for op in ("ReduceMean", "ReduceL2"):
        for axes in ([0], [1], [3], [2, 3], [0, 2], [0, 1, 2, 3]):
            for keep in (True, False):
                case(
                    f"{axes}, keep_dims {keep}",
                    op,
                    [normal(2, 3, 2, 4)],
                    {"axes": axes, "keep_dims": keep},
                    onnx={"keepdims": int(keep)},
                    more=[i64(*axes)],
                )


def matrices():
    for trans_a in (False, True):
        for trans_b in (False, True):
            for c in (None, (), (1,), (4,), (2, 1), (1, 4), (2, 4)):
                a = normal(*((3, 2) if trans_a else (2, 3)))
                b = normal(*((4, 3) if trans_b else (3, 4)))
                factors = {"alpha": 0.5, "beta": -1.5} if c == (4,) else {"alpha": 1, "beta": 1}
                attributes = {**factors, "trans_a": trans_a, "trans_b": trans_b}
                onnx = dict(
                    alpha=float(factors["alpha"]),
                    beta=float(factors["beta"]),
                    transA=int(trans_a),
                    transB=int(trans_b),
                )
                inputs = [a, b] + ([] if c is None else [np.asarray(normal(*c))])
                case(f"trans {trans_a} {trans_b}, c {c}", "Gemm", inputs, attributes, onnx=onnx)
    for a, b in [
        ((2, 3), (3, 4)),
        ((1, 5), (5, 1)),
        ((2, 2, 3), (2, 3, 2)),
        ((2, 2, 3), (3, 2)),
        ((2, 3), (3, 3, 2)),
        ((2, 1, 2, 3), (3, 3, 2)),
    ]:
        case(f"{a} by {b}", "MatMul", [normal(*a), normal(*b)])


def quantisation():
    for dtype, low, high in [(np.uint8, 0, 255), (np.int8, -128, 127)]:
        kind = np.dtype(dtype).name
        for zero in (low, 0, 3, high):
            zero_point = np.array(zero, dtype)
            # Every half-way case of the range and beyond: exact, as the scale is a power of two.
            ties = np.arange(2 * (low - zero) - 9, 2 * (high - zero) + 9, 7) / 2 * 0.125
            inputs = [ties.astype(np.float32), np.array(0.125, np.float32), zero_point]
            case(f"half-way cases, {kind} from {zero}", "QuantizeLinear", inputs, {"axis": 0})
        # Halves of a scale that is no power of two: the f32 division decides.
        scale = np.float32(0.0173)
        near = (np.arange(-40.5, 40.5, dtype=np.float32) * scale).astype(np.float32)
        near = np.concatenate([near, np.nextafter(near[::4], np.float32(np.inf)), f32(1e30, -1e30)])
        inputs = [near, np.array(scale), np.array(5, dtype)]
        case(f"near half-way cases, {kind}", "QuantizeLinear", inputs, {"axis": 0})
        for axis, shape in [(0, (3, 2, 2)), (1, (2, 3, 2)), (2, (2, 2, 3))]:
            zeros = integers(low, high, 3, dtype)
            x = normal(*shape, scale=20)
            scale = positive(3)
            case(f"{kind} along {axis}", "QuantizeLinear", [x, scale, zeros], {"axis": axis})
            q = integers(low, high, shape, dtype)
            case(f"{kind} along {axis}", "DequantizeLinear", [q, scale, zeros], {"axis": axis})
        case(
            f"{kind}, scale of shape [1]",
            "QuantizeLinear",
            [normal(2, 3), f32(0.02), np.array([1], dtype)],
            {"axis": 1},
        )
        whole = np.arange(low, high + 1, 5).astype(dtype)
        case(
            f"{kind}, one scale",
            "DequantizeLinear",
            [whole, np.array(0.0173, np.float32), np.array(7, dtype)],
            {"axis": 0},
        )
        case(
            f"{kind}, no zero point",
            "DequantizeLinear",
            [whole, np.array(0.0173, np.float32)],
            {"axis": 0},
        )
    # Beyond 2^24 an i32 is rounded before it is scaled.
    bias = np.array([0, 1, -1, 2**24 + 1, -(2**24) - 3, 2**31 - 1, -(2**31), 123456789], np.int32)
    case("biases", "DequantizeLinear", [bias, np.array(1.7e-4, np.float32)], {"axis": 0})
    case("biases, a scale for each", "DequantizeLinear", [bias, positive(8)], {"axis": 0})
    zeros = np.zeros(8, np.int32)
    case("biases, zero points", "DequantizeLinear", [bias, positive(8), zeros], {"axis": 0})


for generate in (
    convolutions,
    normalisations,
    elementwise,
    layout,
    pools,
    reductions,
    matrices,
    quantisation,
):
    generate()

lines = ",\n".join(json.dumps(c, separators=(",", ":"), allow_nan=False) for c in CASES)
path = Path(__file__).with_name("cases.json")
path.write_text(f"[\n{lines}\n]\n")
print(
    f"{len(CASES)} cases of {len({c['op'] for c in CASES})} operators, {path.stat().st_size} bytes"
)
