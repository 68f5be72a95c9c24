//! Hundreds of random networks, quantised here and there: every one is planned, and each step is
//! the rounded exact value of the codes before it.

use kernels::plan::Plan;
use network::graph::{Dim, Op, Pool, Unary, ValueId};
use network::tensor::Tensor;

use super::net::{Filter, Net};
use super::{MIXING, ROUNDING, kinds, step_by_step};

const NETWORKS: u64 = 300;

/// Grows a network by random pieces: mostly as a quantiser would, now and then as none would.
struct Growth {
    net: Net,
    /// Dequantised images that a later piece may read again.
    images: Vec<ValueId>,
}

impl Growth {
    fn new(seed: u64) -> Self {
        let mut net = Net::new(seed, [7, 6]);
        let input = net.graph.input();
        let x = net.q(input);
        Self {
            net,
            images: vec![x],
        }
    }

    /// Where the next piece goes on: mostly at the end.
    fn any(&mut self) -> ValueId {
        let index = match self.net.below(4) {
            0 => self.net.below(self.images.len()),
            _ => self.images.len() - 1,
        };
        self.images[index]
    }

    /// An image of the shape of `x`, another one if there is.
    fn like(&mut self, x: ValueId) -> ValueId {
        let shape = self.net.shape(x);
        let alike = |&other: &ValueId| other != x && self.net.shape(other) == shape;
        self.images.iter().copied().find(alike).unwrap_or(x)
    }

    fn piece(&mut self) {
        let x = self.any();
        let y = match self.net.below(12) {
            0..=2 => self.layer(x),
            3 => self.gated(x),
            4 => {
                let other = self.like(x);
                self.net.add(x, other)
            }
            5 => self.pool(x),
            6 => self.cut(x),
            7 => {
                let other = self.like(x);
                let other = if self.net.below(2) == 0 {
                    self.net.q_like(other, x)
                } else {
                    other
                };
                self.net
                    .push1(Op::Concat { axis: 1 }, &[x.into(), other.into()])
            }
            8 => self.shuffled(x),
            9 => {
                let pads = vec![(0, 0), (0, 0), (1, 0), (0, 2)];
                self.net.push1(Op::Pad { pads, value: 0.0 }, &[x.into()])
            }
            _ => x,
        };
        let y = self.activated(y);
        let y = match self.net.below(8) {
            // Read as it is: in float, or as the codes it was made of.
            0 => y,
            1 => self.net.q_like(y, x),
            _ => self.net.q(y),
        };
        // Only codes have a meaning that a layer can be made for.
        let y = if self.net.is_quantised(y) {
            y
        } else {
            self.net.q(y)
        };
        if self.net.shape(y)[1] <= 24 {
            self.images.push(y);
        }
    }

    fn layer(&mut self, x: ValueId) -> ValueId {
        let channels = self.net.channels(x);
        let kernel = self.net.one_of(&[1, 1, 3, 5]);
        let filter = match self.net.below(4) {
            0 => Filter::new(channels, kernel).groups(channels),
            1 => Filter::new(channels, 3).dilation(2),
            2 => Filter::new(1 + self.net.below(9), kernel).stride(2),
            _ => Filter::new(channels, kernel),
        };
        let y = self.net.conv(x, filter);
        if self.net.shape(y) != self.net.shape(x) || self.net.below(2) == 0 {
            return y;
        }
        let other = self.like(x);
        match self.net.below(3) {
            0 => self.net.add(other, y),
            1 => self.net.add(y, other),
            // Two convolutions: one of them is real.
            _ => {
                let other = self.net.conv(other, filter);
                self.net.add(y, other)
            }
        }
    }

    fn gated(&mut self, x: ValueId) -> ValueId {
        let gate = self.net.gate(x);
        let y = self.net.mul(gate, x);
        let other = self.like(x);
        match self.net.below(3) {
            0 => y,
            1 => self.net.add(y, other),
            _ => {
                let like = self.net.q_like(other, x);
                let more = self.net.mul(like, gate);
                self.net.add(y, more)
            }
        }
    }

    fn pool(&mut self, x: ValueId) -> ValueId {
        let kernel = [1 + self.net.below(3), 1 + self.net.below(3)];
        let pool = Pool {
            strides: [1 + self.net.below(2), 1 + self.net.below(2)],
            pads: [kernel[0] / 2, kernel[1] / 2, 0, kernel[1] - 1],
            ceil_mode: self.net.below(2) == 0,
            kernel,
        };
        let op = match self.net.below(4) {
            0 => Op::GlobalAveragePool,
            1 => Op::MaxPool(pool),
            kind => Op::AveragePool {
                pool,
                count_include_pad: kind == 2,
            },
        };
        if matches!(op, Op::GlobalAveragePool) || self.net.fits(&op, x) {
            self.net.push1(op, &[x.into()])
        } else {
            x
        }
    }

    fn cut(&mut self, x: ValueId) -> ValueId {
        let axis = 1 + self.net.below(3);
        let extent = self.net.shape(x)[axis];
        let start = self.net.below(extent);
        let end = start + 1 + self.net.below(extent - start);
        let step = 1 + self.net.below(2);
        let slice = Op::Slice {
            axis,
            start,
            end,
            step,
        };
        self.net.push1(slice, &[x.into()])
    }

    fn shuffled(&mut self, x: ValueId) -> ValueId {
        let [_, c, h, w] = self.net.shape(x)[..] else {
            panic!("an image has four dimensions")
        };
        let groups = if c % 3 == 0 { 3 } else { 1 };
        let shape = |dims: &[usize]| {
            let dims = dims.iter().map(|&dim| Dim::Fixed(dim));
            Op::Reshape {
                shape: std::iter::once(Dim::Batch).chain(dims).collect(),
            }
        };
        let y = self
            .net
            .push1(shape(&[groups, c / groups, h, w]), &[x.into()]);
        let y = if self.net.below(2) == 0 {
            self.net.q_like(y, x)
        } else {
            y
        };
        // The second moves pixels, which codes in channels cannot follow.
        let perm = self.net.one_of(&[[0, 2, 1, 3, 4], [0, 2, 1, 4, 3]]);
        let (perm, [h, w]) = (perm.to_vec(), [[h, w], [w, h]][usize::from(perm[3] == 4)]);
        let y = self.net.push1(Op::Transpose { perm }, &[y.into()]);
        self.net.push1(shape(&[c, h, w]), &[y.into()])
    }

    fn activated(&mut self, x: ValueId) -> ValueId {
        let unary = match self.net.below(9) {
            0..=2 => Unary::Relu,
            3 => Unary::Clip {
                min: -0.3,
                max: 0.9,
            },
            4 => Unary::LeakyRelu { alpha: 0.25 },
            5 => Unary::HardSwish,
            6 => {
                let channels = self.net.channels(x);
                let slope: Vec<f32> = (0..channels).map(|_| self.net.number()).collect();
                let slope = Tensor::f32([channels, 1, 1], slope).unwrap();
                let slope = self.net.param(slope);
                return self.net.push1(Op::PRelu, &[x.into(), slope]);
            }
            _ => return x,
        };
        self.net.unary(unary, x)
    }
}

#[test]
fn any_network_is_planned_and_its_steps_are_exact() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..NETWORKS {
        let mut growth = Growth::new(seed);
        for _ in 0..12 {
            growth.piece();
        }
        let last = growth.images[growth.images.len() - 1];
        let mut net = growth.net.head(last);
        let plan = Plan::new(&net.graph, &net.preprocessing).unwrap();
        let pixels = net.pixels(2);
        let (worst, _) = step_by_step(&net, &plan, &pixels);
        assert!(
            worst <= ROUNDING + MIXING,
            "{seed}: {worst}, {:?}",
            kinds(&plan)
        );
        seen.extend(kinds(&plan));
    }
    let all = [
        "average",
        "channels",
        "conv",
        "crop",
        "dequantise",
        "float",
        "max-pool",
        "mean",
        "pad",
        "pixels",
        "quantise",
        "sum",
        "table",
    ];
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), all);
}
