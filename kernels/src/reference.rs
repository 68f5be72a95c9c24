//! Plain executor of every operator: slow, obvious, the truth that fast code is compared with.
