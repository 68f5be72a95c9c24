//! Which tensor lies in which buffer.

use super::{Buffer, Step, TensorId, TensorView};

/// Gives every tensor a buffer, and returns the buffers.
///
/// A tensor is live from the step that writes it to the last that reads it; the output is live to
/// the end. In the order of the steps, each tensor takes the smallest free buffer that holds it, or else
/// makes the largest free one larger, or else a new one.
pub(super) fn assign(steps: &[Step], tensors: &mut [TensorView], output: TensorId) -> Vec<Buffer> {
    let mut last_use = vec![0; tensors.len()];
    for (i, step) in steps.iter().enumerate() {
        for id in step.inputs.iter().chain(&step.outputs) {
            last_use[id.0] = i;
        }
    }
    last_use[output.0] = steps.len();

    let mut buffers: Vec<Buffer> = Vec::new();
    let mut free: Vec<usize> = Vec::new();
    for (i, step) in steps.iter().enumerate() {
        for id in &step.outputs {
            let kind = &tensors[id.0].kind;
            let (float, len) = (kind.params().is_none(), kind.len(1));
            let fitting = (free.iter().enumerate())
                .filter(|&(_, &buffer)| buffers[buffer].float == float)
                // What holds it comes first, the smallest of it; then the largest of the others.
                .min_by_key(|&(_, &buffer)| {
                    let found = buffers[buffer].len;
                    (found < len, found.abs_diff(len))
                })
                .map(|(at, _)| at);
            let buffer = match fitting {
                Some(at) => free.swap_remove(at),
                None => {
                    buffers.push(Buffer { float, len });
                    buffers.len() - 1
                }
            };
            buffers[buffer].len = buffers[buffer].len.max(len);
            tensors[id.0].buffer = buffer;
        }
        let mut done = [step.inputs.as_slice(), &step.outputs].concat();
        done.sort_unstable();
        done.dedup();
        let done = done.iter().filter(|id| last_use[id.0] == i);
        free.extend(done.map(|id| tensors[id.0].buffer));
    }
    buffers
}
