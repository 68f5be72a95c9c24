//! Pictures for the run folder: people look before they read.
