//! Which slot lies in which buffer.

use super::{Buffer, Step, TensorId, TensorView};

/// Gives every slot a buffer, and the buffers.
///
/// A slot is alive from the step that writes it to the last that reads it; the output is alive to
/// the end. In the order of the steps, each takes the smallest free buffer that holds it, or else
/// makes the largest free one larger, or else a new one.
pub(super) fn assign(steps: &[Step], tensors: &mut [TensorView], output: TensorId) -> Vec<Buffer> {
    let mut last_read = vec![0; tensors.len()];
    for (i, step) in steps.iter().enumerate() {
        for id in step.kind.reads().iter().chain(step.kind.writes()) {
            last_read[id.0] = i;
        }
    }
    last_read[output.0] = steps.len();

    let mut buffers: Vec<Buffer> = Vec::new();
    let mut free: Vec<usize> = Vec::new();
    for (i, step) in steps.iter().enumerate() {
        for &TensorId(view) in step.kind.writes() {
            let (real, len) = {
                let kind = &tensors[view].kind;
                (kind.codes().is_none(), kind.len(1))
            };
            let fitting = (free.iter().enumerate())
                .filter(|&(_, &buffer)| buffers[buffer].real == real)
                // What holds it comes first, the smallest of it; then the largest of the others.
                .min_by_key(|&(_, &buffer)| {
                    let found = buffers[buffer].len;
                    (found < len, found.abs_diff(len))
                })
                .map(|(at, _)| at);
            let buffer = match fitting {
                Some(at) => free.swap_remove(at),
                None => {
                    buffers.push(Buffer { real, len });
                    buffers.len() - 1
                }
            };
            buffers[buffer].len = buffers[buffer].len.max(len);
            tensors[view].buffer = buffer;
        }
        let mut done: Vec<TensorId> = step.kind.reads();
        done.extend(step.kind.writes());
        done.sort_unstable();
        done.dedup();
        let done = done.iter().filter(|id| last_read[id.0] == i);
        free.extend(done.map(|id| tensors[id.0].buffer));
    }
    buffers
}
