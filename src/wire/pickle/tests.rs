//! What the decoder makes of payloads.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod bombs;
mod encoding;
mod operations;
mod payloads;
mod python;

use serde_json::{Value, json};

use super::*;

/// The JSON of a payload, which is also what its text says.
fn read(payload: &[u8]) -> Value {
    let value = decode(payload, &Limits::default());
    let value = value.unwrap_or_else(|error| panic!("{}: {error}", payload.escape_ascii()));
    let text = text_of(payload, &Limits::default());
    assert_eq!(text.as_ref(), Ok(&value.to_string()), "{}", payload.escape_ascii());
    value
}

fn text_of(payload: &[u8], limits: &Limits) -> Result<String, DecodeError> {
    decode_to_text(payload, limits, |value| value)
}

/// Why a payload is refused, by both ways of reading it.
fn refusal(payload: &[u8]) -> DecodeError {
    let refused = decode(payload, &Limits::default()).expect_err("this pickle must be refused");
    assert_eq!(text_of(payload, &Limits::default()), Err(refused.clone()), "{}", payload.escape_ascii());
    refused
}
