//! The codec by the letter of the specification.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod captures;
mod properties;

use bytes::BytesMut;
use stomp_rs::protocol::{self as vocabulary, ServerCommand, frame as build};
use tokio_util::codec::{Decoder, Encoder};

use super::*;

#[test]
fn a_frame_is_written_in_the_order_it_was_built() {
    let frame = Frame::new(Command::Send).header("b", "1").header("a", "2").with_body("{}");
    assert_eq!(encode(Version::V1_2, frame).unwrap(), b"SEND\nb:1\na:2\n\n{}\0\n");
}

#[test]
fn the_length_is_written_only_when_it_is_asked_for_and_is_always_true() {
    let text = Frame::new(Command::Send).with_content_length().with_body("{}");
    assert_eq!(encode(Version::V1_2, text).unwrap(), b"SEND\ncontent-length:2\n\n{}\0\n");
    let wrong = Frame::new(Command::Send)
        .header("content-length", "99")
        .header("content-length", "1")
        .with_body("abc");
    assert_eq!(encode(Version::V1_2, wrong).unwrap(), b"SEND\ncontent-length:3\n\nabc\0\n");
}

#[test]
fn a_body_with_a_nul_gets_its_length_unasked() {
    let wire = encode(Version::V1_2, Frame::new(Command::Send).with_body(&b"a\0b"[..])).unwrap();
    assert_eq!(wire, b"SEND\ncontent-length:3\n\na\0b\0\n");
}

#[test]
fn what_a_version_cannot_carry_is_refused_and_writes_nothing() {
    let cases = [
        (Version::V1_2, Command::Send, "x", "a\0b"),
        (Version::V1_2, Command::Send, "", "a"),
        (Version::V1_1, Command::Send, "x", "a\r"),
        (Version::V1_0, Command::Send, "x", "a\nb"),
        (Version::V1_0, Command::Send, "x:y", "a"),
        (Version::V1_2, Command::Connect, "passcode", "a\nb"),
    ];
    for (version, command, name, value) in cases {
        let mut codec = StompCodec::new(Limits::default());
        codec.set_version(version);
        let mut wire = BytesMut::new();
        let error = codec.encode(Frame::new(command).header(name, value), &mut wire).unwrap_err();
        assert!(matches!(error, StompError::Unwritable { .. }), "{name}={value:?}: {error}");
        assert!(wire.is_empty());
    }
}

#[test]
fn line_ends_between_frames_are_one_heart_beat() {
    let mut codec = StompCodec::new(Limits::default());
    let mut bytes = BytesMut::from(&b"\n\r\n\n\r"[..]);
    assert_eq!(codec.decode(&mut bytes).unwrap(), Some(Received::HeartBeat));
    assert_eq!(codec.decode(&mut bytes).unwrap(), None);
    bytes.extend_from_slice(b"\nRECEIPT\nreceipt-id:1\n\n\0");
    assert_eq!(codec.decode(&mut bytes).unwrap(), Some(Received::HeartBeat));
    assert!(matches!(codec.decode(&mut bytes).unwrap(), Some(Received::Frame(_))));
    codec.encode(HeartBeat, &mut bytes).unwrap();
    assert_eq!(bytes.as_ref(), b"\n");
}

#[test]
fn after_an_error_nothing_is_read_any_more() {
    let mut codec = StompCodec::new(Limits::default());
    let mut bytes = BytesMut::from(&b"HELLO\n\n\0SEND\n\n\0"[..]);
    let error = codec.decode(&mut bytes).unwrap_err();
    assert_eq!(error.to_string(), r#""HELLO" is not a STOMP command"#);
    assert!(matches!(codec.decode(&mut bytes), Err(StompError::AfterError)));
    assert!(matches!(codec.decode_eof(&mut bytes), Err(StompError::AfterError)));
}

#[test]
fn a_body_of_exactly_the_limit_passes_and_one_byte_more_does_not() {
    let limits = Limits { body_bytes: 4, ..Limits::default() };
    let read = |wire: &[u8]| StompCodec::new(limits).decode(&mut BytesMut::from(wire));
    assert!(matches!(read(b"SEND\n\nabcd\0"), Ok(Some(Received::Frame(_)))));
    assert!(matches!(read(b"SEND\ncontent-length:4\n\nabcd\0"), Ok(Some(Received::Frame(_)))));
    assert!(matches!(read(b"SEND\n\nabcde\0"), Err(StompError::BodyTooLarge { limit: 4 })));
    // Refused as soon as it is known: neither the NUL nor the body is waited for.
    assert!(matches!(read(b"SEND\n\nabcde"), Err(StompError::BodyTooLarge { limit: 4 })));
    assert!(matches!(read(b"SEND\ncontent-length:5\n\n"), Err(StompError::BodyTooLarge { limit: 4 })));
}

#[test]
fn a_body_that_comes_in_small_pieces_is_searched_once() {
    // Searching from the beginning for each of the pieces would take minutes.
    let mut codec = StompCodec::new(Limits::default());
    let mut bytes = BytesMut::from(&b"SEND\n\n"[..]);
    for _ in 0..100_000 {
        bytes.extend_from_slice(&[b'x'; 100]);
        assert_eq!(codec.decode(&mut bytes).unwrap(), None);
    }
    bytes.extend_from_slice(b"\0");
    assert!(
        matches!(codec.decode(&mut bytes), Ok(Some(Received::Frame(frame))) if frame.body.len() == 10_000_000)
    );
}

#[test]
fn the_newest_version_in_common_is_agreed_on() {
    assert_eq!(Version::negotiate(None), Some(Version::V1_0));
    assert_eq!(Version::negotiate(Some("1.0,1.1")), Some(Version::V1_1));
    assert_eq!(Version::negotiate(Some("1.2, 2.0,1.0")), Some(Version::V1_2));
    assert_eq!(Version::negotiate(Some("2.0")), None);
}

#[test]
fn the_builders_of_stomp_rs_become_frames_with_sorted_headers() {
    let subscribe = build::Subscribe::new("0", "/temp-queue/a").ack(build::AckMode::Client).receipt("r");
    assert_eq!(
        encode(Version::V1_2, subscribe.into()).unwrap(),
        b"SUBSCRIBE\nack:client\ndestination:/temp-queue/a\nid:0\nreceipt:r\n\n\0\n"
    );
    let connect = build::Connect::new("1.2", "beamq").heartbeat(0, 500);
    assert_eq!(Frame::from(connect).get("heart-beat"), Some("0,500"));
    let send = Frame::from(build::Send::new("/queue/ss_admin").header("x", "a:b\nc").body("{}"));
    assert_eq!(
        encode(Version::V1_2, send).unwrap(),
        b"SEND\ndestination:/queue/ss_admin\nx:a\\cb\\nc\n\n{}\0\n"
    );
    let receipt = vocabulary::Frame {
        command: ServerCommand::Receipt,
        headers: [("receipt-id".to_owned(), "7".to_owned())].into(),
        body: String::new(),
    };
    assert_eq!(Frame::from(receipt), Frame::new(Command::Receipt).header("receipt-id", "7"));
}

/// Reads a whole connection.
fn decode_all(version: Version, wire: &[u8]) -> (Vec<Frame>, Option<StompError>) {
    decode_pieces(Limits::default(), version, wire, |_| wire.len().max(1))
}

/// Reads a whole connection whose bytes come in pieces of these sizes.
fn decode_pieces(
    limits: Limits,
    version: Version,
    mut wire: &[u8],
    size: impl Fn(usize) -> usize,
) -> (Vec<Frame>, Option<StompError>) {
    let mut codec = StompCodec::new(limits);
    codec.set_version(version);
    let mut bytes = BytesMut::new();
    let mut frames = Vec::new();
    for piece in 0.. {
        let (now, later) = wire.split_at(size(piece).min(wire.len()));
        bytes.extend_from_slice(now);
        wire = later;
        loop {
            let ended = wire.is_empty();
            match if ended { codec.decode_eof(&mut bytes) } else { codec.decode(&mut bytes) } {
                Ok(Some(Received::Frame(frame))) => frames.push(frame),
                Ok(Some(Received::HeartBeat)) => {}
                Ok(None) if ended => return (frames, None),
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
    }
    unreachable!("the pieces end")
}

fn encode(version: Version, frame: Frame) -> Result<Vec<u8>, StompError> {
    let mut codec = StompCodec::new(Limits::default());
    codec.set_version(version);
    let mut wire = BytesMut::new();
    codec.encode(frame, &mut wire)?;
    Ok(wire.to_vec())
}
