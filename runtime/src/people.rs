//! Boxes of the people in a frame.
