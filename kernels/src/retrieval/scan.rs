//! Exact top-k over a gallery.
