//! What the decoder makes of payloads.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod bombs;
mod encoding;
mod operations;
mod payloads;
mod python;

use serde_json::{Value, json};

use super::*;

fn read(payload: &[u8]) -> Value {
    decode(payload, &Limits::default()).unwrap_or_else(|error| panic!("{}: {error}", payload.escape_ascii()))
}

fn refusal(payload: &[u8]) -> DecodeError {
    decode(payload, &Limits::default()).expect_err("this pickle must be refused")
}
