//! The python engine with real CPython. `BEAMQ_TEST_PYTHON` chooses the interpreter (default `python3`).

mod abort;
mod environment;
mod errors;
mod fixture;
mod lifecycle;
mod output;
mod pause;
mod questions;
mod served;
mod steps;
