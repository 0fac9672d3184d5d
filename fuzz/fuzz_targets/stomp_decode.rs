//! Whatever comes from outside, the codec ends in frames or one error, holds back a bounded amount, does not
//! depend on how the stream is cut, and writes what it read so that it reads the same again.
//!
//! The first byte of the input chooses the version and the size of the pieces. Run it with
//! `cargo fuzz run -s none stomp_decode fuzz/corpus/stomp_decode/generated fuzz/corpus/stomp_decode`.

#![no_main]

use beamq::wire::stomp::{Frame, Limits, Received, StompCodec, Version};
use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use tokio_util::codec::{Decoder, Encoder};

const LIMITS: Limits = Limits { header_lines: 10, header_line_bytes: 256, body_bytes: 1024 };

fuzz_target!(|input: &[u8]| {
    let Some((&choice, wire)) = input.split_first() else { return };
    let version = Version::ALL[usize::from(choice) % Version::ALL.len()];
    let piece = usize::from(choice) / Version::ALL.len() + 1;
    let (whole, whole_error) = read(version, wire, wire.len().max(1));
    let (cut, cut_error) = read(version, wire, piece);
    assert_eq!(whole, cut);
    assert_eq!(whole_error, cut_error);
    for frame in whole {
        check_round_trip(version, frame);
    }
});

fn read(version: Version, wire: &[u8], piece: usize) -> (Vec<Frame>, Option<String>) {
    let mut codec = StompCodec::new(LIMITS);
    codec.set_version(version);
    let mut bytes = BytesMut::new();
    let mut frames = Vec::new();
    for part in wire.chunks(piece) {
        bytes.extend_from_slice(part);
        loop {
            match codec.decode(&mut bytes) {
                Ok(Some(Received::Frame(frame))) => frames.push(frame),
                Ok(Some(Received::HeartBeat)) => {}
                Ok(None) => break,
                Err(error) => return (frames, Some(error.to_string())),
            }
        }
        assert!(bytes.len() <= LIMITS.body_bytes + 1);
    }
    let error = codec.decode_eof(&mut bytes).err().map(|error| error.to_string());
    (frames, error)
}

/// A frame that came in can be written, unless it has a carriage return that its version cannot escape.
fn check_round_trip(version: Version, frame: Frame) {
    let mut codec = StompCodec::new(LIMITS);
    codec.set_version(version);
    let mut wire = BytesMut::new();
    let has_carriage_return =
        frame.headers.iter().any(|(name, value)| name.contains('\r') || value.contains('\r'));
    if codec.encode(frame.clone(), &mut wire).is_err() {
        assert!(has_carriage_return, "refused to write {frame:?}");
        return;
    }
    let (again, error) = read(version, &wire, wire.len());
    // A length is written once, with the true value, so only what it says may differ.
    let without_length = |frame: &Frame| -> Vec<(String, String)> {
        let others = frame.headers.iter().filter(|(name, _)| *name != "content-length");
        others.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    // Escaping may lengthen a line beyond the limit.
    if let [read_back] = again.as_slice() {
        assert_eq!(read_back.command, frame.command);
        assert_eq!(read_back.body, frame.body);
        assert_eq!(without_length(read_back), without_length(&frame));
    } else {
        assert!(error.is_some_and(|error| error.contains("longer than the limit")));
    }
}
