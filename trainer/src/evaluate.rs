//! How well embeddings find people again, as tables and pictures.
