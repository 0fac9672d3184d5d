//! beamq: the script server of one instrument.
//!
//! `docs/architecture.md` has the bird's-eye view and the map of the code.

pub mod catalogue;
pub mod cli;
pub mod client;
pub mod config;
pub mod dryrun;
pub mod engine;
pub mod estimate;
pub mod journal;
pub mod nicos;
pub mod protocol;
pub mod security;
pub mod server;
pub mod transport;
pub mod wire;
