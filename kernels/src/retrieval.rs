//! Comparing embeddings: distances, top-k, CMC/mAP/mINP, re-ranking, Market-style names.

pub mod scan;
