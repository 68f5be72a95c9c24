//! Tests of the product: the built program `reid`, driven as a person drives it, on a small example
//! that is made from nothing.

#[path = "reid/program.rs"]
mod program;

#[path = "reid/demo.rs"]
mod demo;
#[path = "reid/embed.rs"]
mod embed;
#[path = "reid/eval.rs"]
mod eval;
#[path = "reid/example.rs"]
mod example;
#[path = "reid/full_disk.rs"]
mod full_disk;
#[path = "reid/gallery.rs"]
mod gallery;
#[path = "reid/hostile_galleries.rs"]
mod hostile_galleries;
#[path = "reid/hostile_models.rs"]
mod hostile_models;
#[path = "reid/hostile_sources.rs"]
mod hostile_sources;
#[path = "reid/live.rs"]
mod live;
#[path = "reid/look.rs"]
mod look;
#[path = "reid/protobuf.rs"]
mod protobuf;
#[path = "reid/receipt.rs"]
mod receipt;
#[path = "reid/run.rs"]
mod run;
#[path = "reid/watch.rs"]
mod watch;
