//! ONNX files written field by field, so that they can say what no exporter would.
//!
//! Field numbers are those of <https://github.com/onnx/onnx/blob/main/onnx/onnx.proto>.

/// `TensorProto.DataType`.
pub(crate) const FLOAT: u64 = 1;
/// `TensorProto.DataType`.
pub(crate) const INT64: u64 = 7;

/// A protobuf message.
#[derive(Debug, Clone, Default)]
pub(crate) struct Message(pub(crate) Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// Appends a field that is a number.
    pub(crate) fn number(mut self, field: u64, value: u64) -> Self {
        self.varint(field << 3);
        self.varint(value);
        self
    }

    /// Appends a field that is bytes, a text or a message.
    pub(crate) fn bytes(mut self, field: u64, value: impl AsRef<[u8]>) -> Self {
        self.varint(field << 3 | 2);
        self.varint(value.as_ref().len() as u64);
        self.0.extend_from_slice(value.as_ref());
        self
    }
}

impl AsRef<[u8]> for Message {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// A node: inputs and outputs as in `"x w > y"`.
pub(crate) fn node(operator: &str, values: &str) -> Message {
    let (inputs, outputs) = values.split_once('>').expect("inputs > outputs");
    let mut node = Message::default().bytes(3, format!("node of {}", outputs.trim()));
    for input in inputs.split_whitespace() {
        node = node.bytes(1, input);
    }
    for output in outputs.split_whitespace() {
        node = node.bytes(2, output);
    }
    node.bytes(4, operator)
}

/// A tensor with its elements as bytes.
pub(crate) fn tensor(name: &str, dims: &[u64], dtype: u64, raw: impl AsRef<[u8]>) -> Message {
    let mut tensor = Message::default().bytes(8, name).number(2, dtype);
    for &dim in dims {
        tensor = tensor.number(1, dim);
    }
    tensor.bytes(9, raw)
}

/// Elements of a tensor of f32.
pub(crate) fn floats(count: usize, value: f32) -> Vec<u8> {
    value.to_le_bytes().repeat(count)
}

/// A name and the shape of an f32 value; 0 is the batch.
fn value(name: &str, dims: &[u64]) -> Message {
    let mut shape = Message::default();
    for &dim in dims {
        let extent = match dim {
            0 => Message::default().bytes(2, "N"),
            fixed => Message::default().number(1, fixed),
        };
        shape = shape.bytes(1, extent);
    }
    let tensor = Message::default().number(1, FLOAT).bytes(2, shape);
    Message::default()
        .bytes(1, name)
        .bytes(2, Message::default().bytes(1, tensor))
}

/// A model that reads `x`, an image of `channels` planes of 8 x 4, and gives `outputs`.
pub(crate) fn model(
    channels: u64,
    nodes: &[Message],
    tensors: &[Message],
    outputs: &[&str],
) -> Vec<u8> {
    let mut graph = Message::default().bytes(2, "hostile");
    for node in nodes {
        graph = graph.bytes(1, node);
    }
    for tensor in tensors {
        graph = graph.bytes(5, tensor);
    }
    graph = graph.bytes(11, value("x", &[0, channels, 8, 4]));
    for output in outputs {
        graph = graph.bytes(12, value(output, &[]));
    }
    let opset = Message::default().number(2, 17);
    Message::default()
        .number(1, 8)
        .bytes(7, graph)
        .bytes(8, opset)
        .0
}
