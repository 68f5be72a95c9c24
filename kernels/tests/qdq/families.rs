//! Networks of the forms that people are re-identified with: a stem, a block or two, a head.

use network::graph::{Dim, Op, Pool, Unary};
use network::tensor::Tensor;

use super::{Filter, Net};

/// A family of networks, by name.
pub(crate) struct Family {
    pub(crate) name: &'static str,
    pub(crate) build: fn(u64) -> Net,
    /// Whether everything before the head is exact.
    pub(crate) exact: bool,
}

/// One network of each family, of sizes that the seed decides.
pub(crate) const FAMILIES: [Family; 8] = [
    Family {
        name: "resnet basic",
        build: basic,
        exact: true,
    },
    Family {
        name: "resnet bottleneck",
        build: bottleneck,
        exact: true,
    },
    Family {
        name: "resnet bottleneck, layout ort",
        build: bottleneck_ort,
        exact: true,
    },
    Family {
        name: "se",
        build: squeeze_excitation,
        exact: true,
    },
    Family {
        name: "ibn",
        build: ibn,
        exact: false,
    },
    Family {
        name: "osnet",
        build: osnet,
        exact: true,
    },
    Family {
        name: "mobilenet v2",
        build: mobilenet,
        exact: true,
    },
    Family {
        name: "shuffle",
        build: shuffle,
        exact: true,
    },
];

fn sized(seed: u64) -> Net {
    let mut net = Net::new(seed, [16, 8]);
    let size = [net.one_of(&[16, 19, 24]), net.one_of(&[8, 10, 13])];
    Net::new(seed, size)
}

fn basic(seed: u64) -> Net {
    let mut net = sized(seed);
    let width = 4 + net.below(5);
    let mut x = net.stem(width);
    for stride in [1, 2] {
        let y = net.conv_relu(x, Filter::new(width * stride, 3).stride(stride));
        let y = net.conv(y, Filter::new(width * stride, 3));
        let same = if stride == 1 {
            x
        } else {
            net.conv_q(x, Filter::new(width * stride, 1).stride(stride))
        };
        let y = net.add(y, same);
        let y = net.relu(y);
        x = net.q(y);
    }
    net.head(x)
}

fn bottleneck_of(seed: u64, quantised_before_sum: bool) -> Net {
    let mut net = sized(seed);
    let width = 3 + net.below(4);
    let mut x = net.stem(width);
    for stride in [1, 2, 1] {
        let y = net.conv_relu(x, Filter::new(width, 1));
        let y = net.conv_relu(y, Filter::new(width, 3).stride(stride));
        let mut y = net.conv(y, Filter::new(4 * width, 1));
        if quantised_before_sum {
            y = net.q(y);
        }
        let same = if stride == 1 && net.channels(x) == 4 * width {
            x
        } else {
            net.conv_q(x, Filter::new(4 * width, 1).stride(stride))
        };
        let y = net.add(same, y);
        let y = net.relu(y);
        x = net.q(y);
    }
    net.head(x)
}

fn bottleneck(seed: u64) -> Net {
    bottleneck_of(seed, false)
}

fn bottleneck_ort(seed: u64) -> Net {
    bottleneck_of(seed, true)
}

fn squeeze_excitation(seed: u64) -> Net {
    let mut net = sized(seed);
    let width = 4 * (1 + net.below(2));
    let mut x = net.stem(width);
    for _ in 0..2 {
        let y = net.conv_relu(x, Filter::new(width, 3).groups(2));
        let y = net.conv_q(y, Filter::new(width, 1));
        let gate = net.gate(y);
        let y = net.mul(y, gate);
        let y = net.add(y, x);
        let y = net.relu(y);
        x = net.q(y);
    }
    net.head(x)
}

fn ibn(seed: u64) -> Net {
    let mut net = sized(seed);
    let half = 3 + net.below(3);
    let x = net.stem(2 * half);
    let y = net.conv_q(x, Filter::new(2 * half, 1));
    let slice = |start| Op::Slice {
        axis: 1,
        start,
        end: start + half,
        step: 1,
    };
    let first = net.push1(slice(0), &[y.into()]);
    let second = net.push1(slice(half), &[y.into()]);
    let ones = net.param(Tensor::f32([half], vec![0.6; half]).unwrap());
    let zeros = net.param(Tensor::f32([half], vec![0.1; half]).unwrap());
    let norm = Op::InstanceNorm { epsilon: 1e-5 };
    let first = net.push1(norm, &[first.into(), ones, zeros]);
    let y = net.push1(Op::Concat { axis: 1 }, &[first.into(), second.into()]);
    let y = net.relu(y);
    let y = net.q(y);
    let y = net.conv(y, Filter::new(2 * half, 3));
    let y = net.add(y, x);
    let y = net.relu(y);
    let x = net.q(y);
    net.head(x)
}

/// A block whose four streams share one gate, an average pool, another convolution.
fn osnet(seed: u64) -> Net {
    let mut net = sized(seed);
    let width = 4 * (1 + net.below(2));
    let x = net.stem(width);
    let narrow = net.conv_relu(x, Filter::new(width, 1));
    let mut streams = Vec::new();
    for depth in 1..=4 {
        let mut y = narrow;
        for _ in 0..depth {
            y = net.conv_q(y, Filter::new(width, 1));
            y = net.conv_relu(y, Filter::new(width, 3).groups(width));
        }
        // Streams share their codes.
        let shared = *streams.first().unwrap_or(&y);
        streams.push(net.q_like(y, shared));
    }
    let mut sum = None;
    for &y in &streams {
        let gate = net.gate(y);
        let gated = net.mul(y, gate);
        sum = Some(match sum {
            None => gated,
            Some(sum) => net.add(sum, gated),
        });
    }
    let y = net.q(sum.unwrap());
    let y = net.conv(y, Filter::new(width, 1));
    let y = net.add(y, x);
    let y = net.relu(y);
    let y = net.q(y);
    let halve = Op::AveragePool {
        pool: Pool {
            kernel: [2; 2],
            strides: [2; 2],
            pads: [0; 4],
            ceil_mode: false,
        },
        count_include_pad: true,
    };
    let y = net.push1(halve, &[y.into()]);
    let y = net.q(y);
    let x = net.conv_relu(y, Filter::new(2 * width, 1));
    net.head(x)
}

fn mobilenet(seed: u64) -> Net {
    let mut net = sized(seed);
    let width = 3 + net.below(4);
    let relu6 = Unary::Clip { min: 0.0, max: 6.0 };
    let mut x = net.stem(width);
    for (stride, out) in [(1, width), (2, width + 2), (1, width + 2)] {
        let inner = 3 * net.channels(x);
        let y = net.conv(x, Filter::new(inner, 1));
        let y = net.unary(relu6, y);
        let y = net.q(y);
        let y = net.conv(y, Filter::new(inner, 3).stride(stride).groups(inner));
        let y = net.unary(relu6, y);
        let y = net.q(y);
        let mut y = net.conv(y, Filter::new(out, 1));
        if stride == 1 && net.channels(x) == out {
            y = net.add(x, y);
        }
        x = net.q(y);
    }
    let y = net.conv_q(x, Filter::new(2 * width, 1));
    let y = net.unary(Unary::HardSwish, y);
    let x = net.q(y);
    net.head(x)
}

/// A unit of `ShuffleNet`: split, a branch, join, shuffle, with codes behind every node.
fn shuffle(seed: u64) -> Net {
    let mut net = sized(seed);
    let half = 3 + net.below(3);
    let x = net.stem(2 * half);
    let split = Op::Split {
        axis: 1,
        sizes: vec![half, half],
    };
    let halves = net.push(split, &[x.into()]);
    let left = net.q_like(halves[0], x);
    let right = net.q_like(halves[1], x);
    let y = net.conv_q(right, Filter::new(half, 3).groups(half));
    let y = net.conv(y, Filter::new(half, 1));
    let y = net.relu(y);
    let right = net.q_like(y, x);
    let y = net.push1(Op::Concat { axis: 1 }, &[left.into(), right.into()]);
    let y = net.q_like(y, x);
    let [_, c, h, w] = net.shape(y)[..] else {
        panic!("an image has four dimensions")
    };
    let dims = |dims: &[usize]| {
        let dims = dims.iter().map(|&dim| Dim::Fixed(dim));
        std::iter::once(Dim::Batch).chain(dims).collect::<Vec<_>>()
    };
    let shape = dims(&[2, c / 2, h, w]);
    let y = net.push1(Op::Reshape { shape }, &[y.into()]);
    let y = if seed.is_multiple_of(2) {
        net.q_like(y, x)
    } else {
        y
    };
    let perm = vec![0, 2, 1, 3, 4];
    let y = net.push1(Op::Transpose { perm }, &[y.into()]);
    let y = if seed.is_multiple_of(2) {
        net.q_like(y, x)
    } else {
        y
    };
    let shape = dims(&[c, h, w]);
    let y = net.push1(Op::Reshape { shape }, &[y.into()]);
    let y = net.q_like(y, x);
    let y = net.conv_relu(y, Filter::new(c, 1));
    net.head(y)
}
