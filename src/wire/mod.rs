//! Bytes to frames and back. Pure: nothing here opens a socket.

pub mod stomp;
