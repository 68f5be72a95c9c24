//! Products of matrices.

use super::call::Call;
use super::layout::{Walk, broadcast};
use crate::Result;
use crate::graph::Gemm;
use crate::tensor::Tensor;

/// A matrix within the elements of a tensor: one step down, and one to the right, are so many
/// elements.
struct Matrix<'a> {
    elements: &'a [f32],
    steps: (usize, usize),
}

impl<'a> Matrix<'a> {
    /// Rows of `columns` elements.
    fn new(elements: &'a [f32], columns: usize) -> Self {
        Self {
            elements,
            steps: (columns, 1),
        }
    }

    fn transposed_if(self, transposed: bool) -> Self {
        let (down, right) = self.steps;
        Self {
            elements: self.elements,
            steps: if transposed {
                (right, down)
            } else {
                (down, right)
            },
        }
    }

    fn at(&self, row: usize, column: usize) -> f64 {
        f64::from(self.elements[row * self.steps.0 + column * self.steps.1])
    }
}

/// One row of `a * b`, in f64: `sums` has as many elements as `b` has columns, `inner` is the
/// number of rows of `b`.
fn product_row(a: &Matrix<'_>, b: &Matrix<'_>, row: usize, inner: usize, sums: &mut [f64]) {
    sums.fill(0.0);
    for k in 0..inner {
        let factor = a.at(row, k);
        for (column, sum) in sums.iter_mut().enumerate() {
            *sum += factor * b.at(k, column);
        }
    }
}

pub(super) fn gemm(call: &Call<'_>, gemm: &Gemm) -> Result<Tensor> {
    let (a, b) = (call.f32(0, "a")?, call.f32(1, "b")?);
    let flipped = |[rows, columns]: [usize; 2], transposed| match transposed {
        true => [columns, rows],
        false => [rows, columns],
    };
    let ([a_rows, a_columns], [b_rows, b_columns]) = (call.extents(0, "a")?, call.extents(1, "b")?);
    let [n, k] = flipped([a_rows, a_columns], gemm.trans_a);
    let [b_k, m] = flipped([b_rows, b_columns], gemm.trans_b);
    if k != b_k {
        return Err(call.wrong(format!("the product of [{n}, {k}] and [{b_k}, {m}]")));
    }
    let shape = [n, m];
    let len = call.len(&shape)?;
    let offsets = match call.inputs().get(2) {
        None => None,
        Some(c) if broadcast(c.shape(), &shape).as_deref() == Some(&shape) => {
            Some((call.f32(2, "c")?, Walk::broadcast(c.shape(), &shape)))
        }
        Some(c) => {
            return Err(call.wrong(format!("c {:?} does not broadcast to {shape:?}", c.shape())));
        }
    };
    if len == 0 {
        return Tensor::f32(shape, []);
    }

    let a = Matrix::new(a, a_columns).transposed_if(gemm.trans_a);
    let b = Matrix::new(b, b_columns).transposed_if(gemm.trans_b);
    let (alpha, beta) = (f64::from(gemm.alpha), f64::from(gemm.beta));
    let mut y = Vec::with_capacity(len);
    let mut sums = vec![0.0; m];
    let mut offsets = offsets.map(|(c, walk)| walk.map(|at| beta * f64::from(c[at])));
    for row in 0..n {
        product_row(&a, &b, row, k, &mut sums);
        for sum in &sums {
            let offset = offsets.as_mut().and_then(Iterator::next).unwrap_or(0.0);
            y.push((alpha * sum + offset) as f32);
        }
    }
    Tensor::f32(shape, y)
}

pub(super) fn matmul(call: &Call<'_>) -> Result<Tensor> {
    let (a, b) = (call.f32(0, "a")?, call.f32(1, "b")?);
    let (a_shape, b_shape) = (call.x().shape(), call.input(1).shape());
    let wrong = || call.wrong(format!("the product of {a_shape:?} and {b_shape:?}"));
    let ([a_stack @ .., n, k], [b_stack @ .., b_k, m]) = (a_shape, b_shape) else {
        return Err(wrong());
    };
    let stack = broadcast(a_stack, b_stack)
        .filter(|_| k == b_k)
        .ok_or_else(wrong)?;
    let shape = [&stack[..], &[*n, *m]].concat();
    let len = call.len(&shape)?;
    if len == 0 {
        return Tensor::f32(shape, []);
    }

    let mut y = Vec::with_capacity(len);
    let mut sums = vec![0.0; *m];
    let stacks = Walk::broadcast(a_stack, &stack).zip(Walk::broadcast(b_stack, &stack));
    for (i, j) in stacks {
        let a = Matrix::new(&a[i * n * k..][..n * k], *k);
        let b = Matrix::new(&b[j * k * m..][..k * m], *m);
        for row in 0..*n {
            product_row(&a, &b, row, *k, &mut sums);
            y.extend(sums.iter().map(|&sum| sum as f32));
        }
    }
    Tensor::f32(shape, y)
}
