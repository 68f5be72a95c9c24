//! Identities and their exemplars, on disk.
