//! Decoded frame + box -> network input, exactly as the contract says.
