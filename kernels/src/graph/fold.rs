//! Constant affine operators (`BatchNorm`, `Mul`, `Add`...) moved into the layers beside them.
