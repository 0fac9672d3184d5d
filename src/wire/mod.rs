//! Bytes to frames and values, and back. Pure: nothing here opens a socket.

pub mod nicos;
pub mod pickle;
pub mod stomp;
