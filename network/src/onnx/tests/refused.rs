//! What is refused, and that the message names the node, the operator and the cause.

use super::*;
use crate::onnx::proto::{FunctionProto, SparseTensorProto, StringStringEntryProto};

#[test]
fn operators_and_attributes_are_named() {
    let one = |opset, text: &str| Net::new(opset, [node(text, [])]);
    let with = |opset, text: &str, attribute| Net::new(opset, [node(text, [attribute])]);
    let conv = |attribute| with(11, "Conv x w > y", attribute).weight("w", &[2, 2, 3, 3]);
    let norm = |opset, attribute| {
        ["s", "b", "m", "v"].iter().fold(
            with(opset, "BatchNormalization x s b m v > y", attribute),
            |net, name| net.weight(name, &[2]),
        )
    };
    let pool = |attribute| {
        Net::new(
            12,
            [node(
                "MaxPool x > y",
                [ints("kernel_shape", &[2, 2]), attribute],
            )],
        )
    };
    for (net, want) in [
        (
            one(13, "Gelu x > y"),
            ["(Gelu)", "operator is not supported"],
        ),
        (one(13, "If x > y"), ["(If)", "subgraphs"]),
        (conv(text("auto_pad", "SAME")), ["`auto_pad`", "\"SAME\""]),
        (
            conv(ints("pads", &[-1, 0, 0, 0])),
            ["`pads`", "[-1, 0, 0, 0]"],
        ),
        (conv(ints("pads", &[1, 1])), ["`pads`", "wanted 4 numbers"]),
        (conv(ints("strides", &[0, 1])), ["`strides`", "[0, 1]"]),
        (
            conv(ints("strides", &[i64::MAX, 1])),
            ["`strides`", "1 to 1048576"],
        ),
        (
            conv(ints("kernel_shape", &[5, 5])),
            ["`kernel_shape`", "[5, 5]"],
        ),
        (conv(int("group", 0)), ["`group`", "is 0"]),
        (conv(int("pads", 1)), ["`pads` = 1", "wrong type"]),
        (
            conv(text("activation", "Relu")),
            ["`activation` = \"Relu\"", "not supported"],
        ),
        (
            one(11, "Conv x w > y").weight("w", &[2, 2, 3]),
            ["(Conv)", "only 2-D"],
        ),
        (
            norm(15, int("training_mode", 1)),
            ["`training_mode`", "is 1"],
        ),
        (norm(7, int("spatial", 0)), ["`spatial`", "is 0"]),
        (
            norm(7, float("epsilon", f32::NAN)),
            ["`epsilon`", "not a number"],
        ),
        (norm(7, float("epsilon", -1.0)), ["`epsilon`", "-1"]),
        (
            one(13, "MeanVarianceNormalization x > y"),
            ["`axes`", "[0, 2, 3]"],
        ),
        (pool(ints("dilations", &[2, 2])), ["`dilations`", "[2, 2]"]),
        (pool(int("ceil_mode", 2)), ["`ceil_mode`", "not 0 or 1"]),
        (one(12, "MaxPool x > y"), ["`kernel_shape`", "missing"]),
        (
            with(13, "Pad x p > y", text("mode", "reflect")).i64s("p", &[0; 8]),
            ["`mode`", "\"reflect\""],
        ),
        (
            with(9, "Pad x > y", ints("pads", &[0, 0, -1, 0, 0, 0, 0, 0])),
            ["pads", "-1"],
        ),
        (
            with(9, "Pad x > y", ints("pads", &[1, 1])),
            ["pads", "wanted 8 numbers"],
        ),
        (
            with(7, "LpNormalization x > y", int("p", 3)),
            ["`p`", "is 3"],
        ),
        (
            with(11, "Softmax x > y", int("axis", 1)),
            ["`axis` = 1", "joins several"],
        ),
        (
            with(13, "Softmax x > y", int("axis", 4)),
            ["axis 4", "4 dimensions"],
        ),
        (
            with(18, "ReduceL2 x > y", int("noop_with_empty_axes", 1)),
            ["(ReduceL2)", "noop_with_empty_axes"],
        ),
        (
            with(13, "ReduceMean x > y", ints("axes", &[1, -3])),
            ["(ReduceMean)", "twice"],
        ),
        (
            with(13, "Concat x x > y", int("axes", 1)),
            ["`axis`", "missing"],
        ),
        (
            with(13, "Split x > y z", int("axis", 0)),
            ["(Split)", "batch"],
        ),
        (
            with(13, "Split x > y z a b", int("axis", 3)),
            ["(Split)", "4 equal parts"],
        ),
        (with(13, "Cast x > y", int("to", 7)), ["`to`", "int64"]),
        (
            with(13, "Transpose x > y", ints("perm", &[0, 1])),
            ["`perm`", "[0, 1]"],
        ),
        (
            one(13, "Unsqueeze x > y"),
            ["(Unsqueeze)", "axes are missing"],
        ),
        (one(13, "Clip x x > y"), ["(Clip)", "input 1"]),
        (
            one(13, "Gather x i > y").i64s("i", &[0]),
            ["(Gather)", "computed"],
        ),
        (one(13, "Add x > y"), ["(Add)", "input 1 is missing"]),
        (one(13, "Relu x x > y"), ["(Relu)", "2 inputs"]),
        (
            Net::new(12, [node("Dropout x > a m", []), node("Add a m > y", [])]),
            ["(Dropout)", "output 1 (`m`)"],
        ),
        (
            one(13, "QuantizeLinear x s > y").scalar("s", 0.0),
            ["(QuantizeLinear)", "positive"],
        ),
        (
            with(21, "QuantizeLinear x s > y", int("block_size", 2)).scalar("s", 1.0),
            ["`block_size`", "is 2"],
        ),
        (
            with(21, "QuantizeLinear x s > y", int("output_dtype", 4)).scalar("s", 1.0),
            ["`output_dtype`", "is 4"],
        ),
        (
            one(7, "Add x w > y").weight("w", &[5]),
            ["(Add)", "broadcast"],
        ),
    ] {
        let error = net.error();
        assert!(
            want.iter().all(|part| error.contains(part)),
            "{want:?}: {error}"
        );
        assert!(
            error.contains("node_y") || error.contains("node_a"),
            "{want:?}: {error}"
        );
    }
}

#[test]
fn slices_and_shapes_are_refused_with_their_reason() {
    let slice = |start: i64, end: i64, axis: i64, step: i64| {
        Net::new(13, [node("Slice x s e a t > y", [])])
            .i64s("s", &[start])
            .i64s("e", &[end])
            .i64s("a", &[axis])
            .i64s("t", &[step])
    };
    let over_shape = |nodes: Vec<NodeProto>| {
        let mut all = vec![node("Shape x > s", [])];
        all.extend(nodes);
        Net::new(13, all)
    };
    let reshape = |target: &[i64]| Net::new(13, [node("Reshape x s > y", [])]).i64s("s", target);
    for (net, want) in [
        (slice(5, 0, 3, -1), "only positive steps"),
        (slice(0, 1, 0, 1), "the batch cannot be cut"),
        (slice(3, 2, 3, 1), "nothing is left"),
        (reshape(&[-1, 24]), "the batch has no place"),
        (reshape(&[1; 9]), "at most 8"),
        (over_shape(vec![node("Relu s > y", [])]), "used as data"),
        (over_shape(vec![node("Add x s > y", [])]), "used as data"),
        (
            over_shape(vec![node("Identity s > y", [])]),
            "output `y` is a shape",
        ),
        (
            over_shape(vec![node("Mul s s > t", []), node("Reshape x t > y", [])]),
            "1 x N^2",
        ),
        (
            over_shape(vec![node("ConstantOfShape s > y", [])]),
            "holds 1 x N",
        ),
        (
            over_shape(vec![
                node("Equal s four > b", []),
                node("Where b s s > t", []),
            ])
            .i64s("four", &[4])
            .change(|graph| graph.node.push(node("Reshape x t > y", []))),
            "its result depends on the batch",
        ),
        (
            Net::new(
                13,
                [node("ConstantOfShape s > c", []), node("Add x c > y", [])],
            )
            .i64s("s", &[1 << 40]),
            "up to 1048576 elements",
        ),
        (
            Net::new(13, [node("Exp w > y", [])]).weight("w", &[2]),
            "does not depend on the image",
        ),
    ] {
        let error = net.error();
        assert!(error.contains(want), "{want}: {error}");
    }
}

#[test]
fn the_file_itself_is_checked() {
    let relu = || Net::new(13, [node("Relu x > y", [])]);
    let model = |change: fn(&mut ModelProto)| {
        let mut net = relu();
        change(&mut net.0);
        net
    };
    let input = |elem_type, dims: Option<&[i64]>| {
        relu().change(|graph| graph.input = vec![value("x", elem_type, dims)])
    };
    let mul = || Net::new(13, [node("Mul x w > y", [])]);
    for (net, want) in [
        (
            Net::new(6, [node("Relu x > y", [])]),
            "operator set 6, 7 to 28",
        ),
        (Net::new(29, [node("Relu x > y", [])]), "operator set 29"),
        (
            model(|m| m.opset_import.clear()),
            "no version of the standard operator set",
        ),
        (model(|m| m.graph = None), "no graph"),
        (
            model(|m| m.functions.push(FunctionProto::default())),
            "functions",
        ),
        (
            relu().change(|g| g.sparse_initializer.push(SparseTensorProto::default())),
            "sparse initialisers",
        ),
        (
            model(|m| m.metadata_props = vec![StringStringEntryProto::default(); 2]),
            "is there twice",
        ),
        (relu().change(|g| g.output.clear()), "no output"),
        (
            relu().change(|g| g.output.push(g.output[0].clone())),
            "output `y` is there twice",
        ),
        (
            relu().change(|g| g.node[0].domain = Some("com.microsoft".into())),
            "com.microsoft",
        ),
        (
            relu().change(|g| g.input.push(value("z", 1, Some(&[1, 3, 4, 4])))),
            "2 inputs (`x`, `z`)",
        ),
        (relu().change(|g| g.input.clear()), "0 inputs"),
        (input(data_type::UINT8, Some(&[0, 2, 4, 6])), "it is uint8"),
        (input(data_type::FLOAT, Some(&[0, 2])), "2 dimensions"),
        (
            input(data_type::FLOAT, Some(&[0, 256, 128, 3])),
            "channels stand last",
        ),
        (
            input(data_type::FLOAT, Some(&[0, 3, 1 << 40, 8])),
            "the limit is 1048576",
        ),
        (
            input(data_type::FLOAT, Some(&[0, 3, 1 << 20, 1 << 20])),
            "the limit is 268435456",
        ),
        (mul(), "`w`, which is no input"),
        (
            mul().weight("w", &[6]).weight("w", &[6]),
            "value `w` of an initialiser",
        ),
        (
            mul().tensor("w", &Tensor::scalar(f32::NAN)),
            "`w` holds NaN",
        ),
        (
            mul().tensor("w", &Tensor::scalar(f32::INFINITY)),
            "`w` holds inf",
        ),
        (
            mul().tensor("w", &Tensor::f32([0], []).unwrap()),
            "`w` is empty",
        ),
        (mul().i64s("w", &[2]), "I64"),
        (
            Net::new(13, [node("Reciprocal w > r", []), node("Mul x r > y", [])]).scalar("w", 0.0),
            "`r` holds inf",
        ),
        (
            Net::new(
                13,
                [
                    node("Add x b > a", []),
                    node("Add x a > b", []),
                    node("Add a b > y", []),
                ],
            ),
            "cycle: `node_b` -> `node_a`",
        ),
    ] {
        let error = net.error();
        assert!(error.contains(want), "{want}: {error}");
    }
}
