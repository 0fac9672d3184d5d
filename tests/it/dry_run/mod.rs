//! R23 to R28: scripts on virtual time, in a real CPython.

mod bounds;
mod cli;
mod fixture;
mod following;
mod formulas;
mod instrument;
mod limits;
mod mistakes;
#[cfg(target_os = "linux")]
mod older_systems;
mod safety;
mod time;
