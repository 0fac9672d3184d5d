//! End-to-end tests: the real server process, real CPython, and clients as anybody would write them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::large_futures, reason = "a test's future lives once")]

mod abort;
mod access;
mod bad_input;
mod conversations;
mod crash;
mod crowd;
mod harness;
mod output;
mod queue;
mod raw;
mod reports;
mod startup;
mod steering;
