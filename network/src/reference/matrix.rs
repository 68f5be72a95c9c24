//! Products of matrices.

use super::{Call, Walk};
use crate::graph::Gemm;

/// A matrix within the elements of a tensor.
struct Matrix<'a> {
    elements: &'a [f32],
    /// Elements from one row to the next, and from one column to the next.
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

pub(super) fn gemm(call: &Call<'_>, gemm: &Gemm) -> Vec<f32> {
    let ([a_rows, a_columns], [_, b_columns]) = (call.extents(0), call.extents(1));
    let &[n, m] = call.shape else {
        unreachable!("a product of matrices is one")
    };
    let k = if gemm.trans_a { a_rows } else { a_columns };
    let a = Matrix::new(call.f32(0), a_columns).transposed_if(gemm.trans_a);
    let b = Matrix::new(call.f32(1), b_columns).transposed_if(gemm.trans_b);
    let (alpha, beta) = (f64::from(gemm.alpha), f64::from(gemm.beta));
    let mut offsets = call.inputs.get(2).map(|c| {
        let elements = call.f32(2);
        Walk::broadcast(c.shape(), call.shape).map(|at| beta * f64::from(elements[at]))
    });
    let mut y = Vec::with_capacity(call.len());
    let mut sums = vec![0.0; m];
    for row in 0..n {
        product_row(&a, &b, row, k, &mut sums);
        for sum in &sums {
            let offset = offsets.as_mut().and_then(Iterator::next).unwrap_or(0.0);
            y.push((alpha * sum + offset) as f32);
        }
    }
    y
}

pub(super) fn matmul(call: &Call<'_>) -> Vec<f32> {
    let (a, b) = (call.f32(0), call.f32(1));
    let shapes = (call.inputs[0].shape(), call.inputs[1].shape());
    let ([a_stack @ .., n, k], [b_stack @ .., _, m]) = shapes else {
        unreachable!("both are at least matrices")
    };
    let stack = &call.shape[..call.shape.len() - 2];
    let mut y = Vec::with_capacity(call.len());
    let mut sums = vec![0.0; *m];
    for (i, j) in Walk::broadcast(a_stack, stack).zip(Walk::broadcast(b_stack, stack)) {
        let a = Matrix::new(&a[i * n * k..][..n * k], *k);
        let b = Matrix::new(&b[j * k * m..][..k * m], *m);
        for row in 0..*n {
            product_row(&a, &b, row, *k, &mut sums);
            y.extend(sums.iter().map(|&sum| sum as f32));
        }
    }
    y
}
