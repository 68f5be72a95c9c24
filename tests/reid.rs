//! Tests of the product: the built program `reid`, called as a user calls it, on a small generated
//! example. A build without tract runs only tests that need no float network.

#![cfg_attr(
    not(feature = "tract"),
    allow(
        dead_code,
        unused_macros,
        reason = "the demo needs little of what others share"
    )
)]

#[path = "reid/program.rs"]
mod program;
#[path = "help/snapshot.rs"]
mod snapshot;

#[cfg(all(feature = "tract", unix))]
#[path = "reid/beside.rs"]
mod beside;
#[cfg(feature = "tract")]
#[path = "reid/config.rs"]
mod config;
#[path = "reid/demo.rs"]
mod demo;
#[cfg(feature = "tract")]
#[path = "reid/embed.rs"]
mod embed;
#[cfg(feature = "tract")]
#[path = "reid/eval.rs"]
mod eval;
#[path = "reid/example.rs"]
mod example;
#[path = "reid/examples.rs"]
mod examples;
#[cfg(all(feature = "tract", unix))]
#[path = "reid/folders.rs"]
mod folders;
#[cfg(feature = "tract")]
#[path = "reid/full_disk.rs"]
mod full_disk;
#[cfg(feature = "tract")]
#[path = "reid/gallery.rs"]
mod gallery;
#[path = "reid/help.rs"]
mod help;
#[cfg(feature = "tract")]
#[path = "reid/hostile_galleries.rs"]
mod hostile_galleries;
#[cfg(feature = "tract")]
#[path = "reid/hostile_models.rs"]
mod hostile_models;
#[cfg(feature = "tract")]
#[path = "reid/hostile_sources.rs"]
mod hostile_sources;
#[cfg(feature = "tract")]
#[path = "reid/live.rs"]
mod live;
#[cfg(feature = "tract")]
#[path = "reid/look.rs"]
mod look;
#[cfg(feature = "tract")]
#[path = "reid/names.rs"]
mod names;
#[cfg(feature = "tract")]
#[path = "reid/private.rs"]
mod private;
#[cfg(feature = "tract")]
#[path = "reid/protobuf.rs"]
mod protobuf;
#[cfg(feature = "tract")]
#[path = "reid/run.rs"]
mod run;
#[cfg(feature = "tract")]
#[path = "reid/self_test.rs"]
mod self_test;
#[cfg(all(feature = "tract", unix))]
#[path = "reid/signals.rs"]
mod signals;
#[cfg(feature = "tract")]
#[path = "reid/streams.rs"]
mod streams;
#[cfg(feature = "tract")]
#[path = "reid/terminal.rs"]
mod terminal;
#[cfg(feature = "tract")]
#[path = "reid/watch.rs"]
mod watch;
#[cfg(not(feature = "tract"))]
#[path = "reid/without_tract.rs"]
mod without_tract;
