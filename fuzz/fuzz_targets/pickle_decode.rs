//! Whatever comes from outside, the decoder ends within its limits in a value or one error; the value can be written,
//! read and dropped; and what can be sent of it reads back.
//!
//! Run it with `cargo +nightly fuzz run pickle_decode fuzz/corpus/pickle_decode/generated fuzz/corpus/pickle_decode`.

#![no_main]

use beamq::wire::pickle::{Limits, decode, encode};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const LIMITS: Limits = Limits {
    payload_bytes: 1 << 16,
    operations: 1 << 16,
    memo_entries: 1 << 12,
    depth: 50,
    integer_bytes: 1 << 10,
    output_bytes: 1 << 20,
};

fuzz_target!(|input: &[u8]| {
    let Ok(value) = decode(input, &LIMITS) else { return };
    let text = value.to_string();
    let again: Value = serde_json::from_str(&text).expect("what is written can be read");
    assert_eq!(again, value);
    if let Ok(sent) = encode(&value) {
        assert!(decode(&sent, &Limits::default()).is_ok(), "{text}");
    }
});
