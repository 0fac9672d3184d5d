//! The program as people use it: real processes, real sockets, real Python.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod cli_connection;
mod cli_demo;
mod cli_queue;
mod cli_running;
mod cli_submitting;
mod client_library;
mod documents;
mod support;
