//! Whatever comes from outside, the decoder ends within its limits in a value or one error; the value can be written,
//! read and dropped; the text that is made without the value is the same; and what can be sent of it reads back.
//!
//! Run it with `cargo fuzz run -s none pickle_decode fuzz/corpus/pickle_decode/generated fuzz/corpus/pickle_decode`.

#![no_main]

use beamq::wire::pickle::{DecodeError, Limits, decode, decode_to_text, encode};
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
    let read = decode(input, &LIMITS);
    let written = decode_to_text(input, &LIMITS, |value| value);
    match (&read, &written) {
        (Ok(value), Ok(text)) => assert_eq!(&value.to_string(), text),
        // Escapes count in the text alone.
        (_, Err(DecodeError::TooLarge { what: "bytes of JSON", .. })) => {}
        (read, written) => assert_eq!(read.as_ref().err(), written.as_ref().err()),
    }
    let Ok(value) = read else { return };
    let text = value.to_string();
    assert!(written.is_err() || text.len() <= LIMITS.output_bytes);
    let again: Value = serde_json::from_str(&text).expect("what is written can be read");
    assert_eq!(again, value);
    if let Ok(sent) = encode(&value) {
        assert!(decode(&sent, &Limits::default()).is_ok(), "{text}");
    }
});
