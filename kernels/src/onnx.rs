//! ONNX files to and from [`crate::graph::Graph`].
