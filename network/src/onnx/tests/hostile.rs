//! Files that were cut, changed, or made to hurt: an error or a graph, never a panic, and never
//! much memory.

use super::*;

/// A little of everything: layers, a frozen reshape, shape arithmetic, a folded constant, QDQ.
fn sample() -> Net {
    Net::new(
        13,
        [
            node(
                "Conv x w b > c",
                [ints("pads", &[1, 1, 1, 1]), int("group", 1)],
            ),
            node("Clip c low high > r", []),
            node("QuantizeLinear r s z > q", []),
            node("DequantizeLinear q s z > d", []),
            node(
                "MaxPool d > p",
                [ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])],
            ),
            node("Split p > p1 p2", [int("axis", 1)]),
            node("Concat p2 p1 > k", [int("axis", 1)]),
            node("Slice k from to last > l", []),
            node("Shape l > shape", []),
            node("Gather shape zero > n", [int("axis", 0)]),
            node("Concat n rest > target", [int("axis", 0)]),
            node("Reshape l target > f", []),
            node("Transpose m > mt", [ints("perm", &[1, 0])]),
            node("Gemm f mt > g", [float("alpha", 0.5)]),
            node("ReduceL2 g > y", [ints("axes", &[1]), int("keepdims", 1)]),
        ],
    )
    .weight("w", &[2, 2, 3, 3])
    .weight("b", &[2])
    .scalar("low", 0.0)
    .scalar("high", f32::INFINITY)
    .scalar("s", 0.25)
    .tensor("z", &Tensor::new([], Data::U8(vec![7])).unwrap())
    .i64s("from", &[0])
    .i64s("to", &[-1])
    .i64s("last", &[3])
    .i64s("zero", &[0])
    .i64s("rest", &[-1])
    .weight("m", &[3, 8])
}

#[test]
fn a_cut_file_is_an_error_at_every_length() {
    let bytes = sample().bytes();
    assert_eq!(sample().shape(), dims(&[0, 1]));
    for length in 0..bytes.len() {
        // Cut between two fields of the model, what is left lacks its graph or its operator set.
        let read = read_bytes(&bytes[..length], &ReadOptions::default());
        assert!(
            read.is_err(),
            "{length} of {} bytes were enough",
            bytes.len()
        );
    }
}

#[test]
fn changed_bytes_never_panic() {
    let original = sample().bytes();
    // Numerical Recipes' generator: the same changes in every run.
    let mut state = 20_240_229u32;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % below
    };
    let mut accepted = 0;
    for round in 0..6000 {
        let mut bytes = original.clone();
        for _ in 0..=round % 3 {
            let at = random(bytes.len());
            bytes[at] = match round % 4 {
                0 => random(256) as u8,
                1 => bytes[at] ^ (1 << random(8)),
                2 => [0x00, 0x7f, 0x80, 0xff][random(4)],
                _ => bytes[random(original.len())],
            };
        }
        if let Ok(model) = read_bytes(&bytes, &ReadOptions::default()) {
            // What is read can be written, and read again.
            let written = crate::onnx::write_bytes(&model.graph, &model.metadata).unwrap();
            read_bytes(&written, &ReadOptions::default()).unwrap();
            accepted += 1;
        }
    }
    // Changes of weights and names are no errors.
    assert!(
        (600..5400).contains(&accepted),
        "{accepted} of 6000 changed files were read"
    );
}

#[test]
fn sizes_that_only_exist_on_paper_are_refused() {
    let upsample = |nodes: Vec<NodeProto>| Net::new(13, nodes);
    let pad = ints("pads", &[0, 0, 1 << 20, 1 << 20, 0, 0, 1 << 20, 1 << 20]);
    let mut padded = node("Pad x > y", []);
    padded.attribute = vec![pad];
    // Each doubles its input: 2^100 elements after a hundred nodes.
    let doubling = (0..100).map(|i| {
        let (from, to) = (format!("v{i}"), format!("v{}", i + 1));
        node(&format!("Concat {from} {from} > {to}"), [int("axis", 3)])
    });
    let mut doubling: Vec<NodeProto> = doubling.collect();
    doubling[0].input = vec!["x".into(); 2];
    doubling[99].output = vec!["y".into()];
    // Each makes 4096 numbers of one.
    let filling = (0..2000).flat_map(|i| {
        [
            node(&format!("ConstantOfShape big > c{i}"), []),
            node(
                &format!(
                    "Add {} c{i} > a{}",
                    if i == 0 { "x".into() } else { format!("a{i}") },
                    i + 1
                ),
                [],
            ),
        ]
    });
    let mut filling: Vec<NodeProto> = filling.collect();
    filling.last_mut().unwrap().output = vec!["y".into()];
    for (name, net, want) in [
        (
            "expand",
            upsample(vec![node("Expand x s > y", [])])
                .image(&[0, 1, 1, 1])
                .i64s("s", &[1, 1 << 20, 1 << 20, 1 << 20]),
            "the limit is 268435456",
        ),
        ("pad", Net::new(9, [padded]), "the limit is 268435456"),
        ("doubling", upsample(doubling), "the limit is 268435456"),
        (
            "filling",
            upsample(filling)
                .i64s("big", &[1, 1, 1024, 1024])
                .image(&[0, 1, 1024, 1024]),
            "too large in sum",
        ),
        (
            "constant expand",
            upsample(vec![node("Expand w s > e", []), node("Add x e > y", [])])
                .scalar("w", 1.0)
                .i64s("s", &[1 << 20, 1 << 20]),
            "the limit is 268435456",
        ),
        (
            "many empty nodes",
            upsample(vec![NodeProto::default(); 100_001]),
            "number of nodes",
        ),
    ] {
        let error = net.error();
        assert!(error.contains(want), "{name}: {error}");
    }
}

#[test]
fn much_work_on_constants_is_left_to_the_network() {
    // 2^10 cubed: more than reading may take, so the product stays a node.
    let size = 1 << 10;
    let net = Net::new(13, [node("MatMul w w > p", []), node("MatMul x p > y", [])])
        .image(&[0, 1, 4, size as i64])
        .tensor("w", &Tensor::zeros([size, size]).unwrap());
    assert_eq!(net.ops(), [Op::MatMul, Op::MatMul]);
}
