//! The python engine with real CPython. `BEAMQ_TEST_PYTHON` chooses the interpreter (default `python3`).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod abort;
mod bench;
mod environment;
mod errors;
mod fixture;
mod lifecycle;
mod output;
mod pause;
mod questions;
mod steps;
