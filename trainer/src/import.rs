//! Weights that others have published, for our networks.
