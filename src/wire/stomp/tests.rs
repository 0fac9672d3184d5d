#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
use bytes::BytesMut;
use tokio_util::codec::{Decoder, Encoder};

use super::*;

fn decode_all(version: Version, wire: &[u8]) -> (Vec<Frame>, Option<StompError>) {
    let mut codec = StompCodec::new(Limits::default());
    codec.set_version(version);
    let mut bytes = BytesMut::from(wire);
    let mut frames = Vec::new();
    loop {
        match codec.decode_eof(&mut bytes) {
            Ok(Some(Received::Frame(frame))) => frames.push(frame),
            Ok(Some(Received::HeartBeat)) => {}
            Ok(None) => return (frames, None),
            Err(error) => return (frames, Some(error)),
        }
    }
}

fn decode_one(wire: &[u8]) -> Frame {
    let (mut frames, error) = decode_all(Version::V1_2, wire);
    assert!(error.is_none(), "{error:?}");
    assert_eq!(frames.len(), 1);
    frames.remove(0)
}

fn encode(version: Version, frame: Frame) -> Result<Vec<u8>, StompError> {
    let mut codec = StompCodec::new(Limits::default());
    codec.set_version(version);
    let mut wire = BytesMut::new();
    codec.encode(frame, &mut wire)?;
    Ok(wire.to_vec())
}

#[test]
fn a_body_with_a_length_may_hold_nul_and_one_without_ends_at_it() {
    assert_eq!(decode_one(b"SEND\ncontent-length:3\n\na\0b\0").body.as_ref(), b"a\0b");
    assert_eq!(decode_one(b"SEND\n\nab\0\n\n\r\n").body.as_ref(), b"ab");
}

#[test]
fn of_repeated_headers_the_first_counts_and_nothing_is_trimmed() {
    let frame = decode_one(b"SEND\r\nx: one \r\nx:two\r\nurl:http://a\r\n\r\n\0");
    assert_eq!(frame.get("x"), Some(" one "));
    assert_eq!(frame.get("url"), Some("http://a"));
    assert_eq!(frame.headers.len(), 3);
}
