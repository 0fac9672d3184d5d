//! The rules of the frames, however the stream is cut, and NICOS's idea of JSON.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::BTreeSet;

use bytes::{BufMut, Bytes, BytesMut};
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio_util::codec::Decoder;

use super::*;
use crate::wire::pickle;

const SMALL: Limits = Limits { payload_bytes: 64, blob_bytes: 96 };

/// What a daemon sends: the reverse of the decoder, for tests only.
fn write_reply(reply: &(u8, Vec<u8>), wire: &mut BytesMut) {
    let (kind, payload) = reply;
    wire.put_u8(*kind);
    if *kind != 0x06 {
        wire.put_u32(payload.len() as u32);
        wire.put_slice(payload);
    }
}

fn write_event(code: u16, payload: &[u8], blobs: &[Vec<u8>], wire: &mut BytesMut) {
    wire.put_u8(0x03);
    wire.put_u16(code);
    wire.put_u8(blobs.len() as u8);
    wire.put_u32(payload.len() as u32);
    wire.put_slice(payload);
    for blob in blobs {
        wire.put_u32(blob.len() as u32);
        wire.put_slice(blob);
    }
}

fn kept(bytes: &[u8], most: usize) -> Payload {
    if bytes.len() > most {
        Payload::TooLarge { length: bytes.len() }
    } else {
        Payload::Kept(Bytes::copy_from_slice(bytes))
    }
}

/// Feeds a stream in pieces and gives what came out; what is held back must stay below `most_held`.
fn read<D: Decoder<Error = FrameError>>(
    mut decoder: D,
    wire: &[u8],
    pieces: &[usize],
    most_held: usize,
) -> (Vec<D::Item>, Option<String>) {
    let mut buffer = BytesMut::new();
    let mut items = Vec::new();
    let mut rest = wire;
    let mut pieces = pieces.iter().copied().cycle();
    while !rest.is_empty() {
        let (piece, later) = rest.split_at(pieces.next().unwrap_or(rest.len()).clamp(1, rest.len()));
        rest = later;
        buffer.extend_from_slice(piece);
        loop {
            match decoder.decode(&mut buffer) {
                Ok(Some(item)) => items.push(item),
                Ok(None) => break,
                Err(error) => return (items, Some(error.to_string())),
            }
        }
        assert!(buffer.len() <= most_held, "{} bytes are held back", buffer.len());
    }
    match decoder.decode_eof(&mut buffer) {
        Ok(last) => {
            items.extend(last);
            (items, None)
        }
        Err(error) => (items, Some(error.to_string())),
    }
}

fn any_reply() -> impl Strategy<Value = (u8, Vec<u8>)> {
    prop_oneof![
        Just((0x06, Vec::new())),
        (prop_oneof![Just(0x03), Just(0x15)], prop::collection::vec(any::<u8>(), 0..100)),
    ]
}

proptest! {
    #[test]
    fn replies_are_the_same_however_the_stream_is_cut(
        sent in prop::collection::vec(any_reply(), 0..20),
        pieces in prop::collection::vec(1usize..40, 1..10),
    ) {
        let mut wire = BytesMut::new();
        sent.iter().for_each(|reply| write_reply(reply, &mut wire));
        let expected: Vec<Reply> = sent
            .iter()
            .map(|(kind, payload)| match kind {
                0x06 => Reply::None,
                0x03 => Reply::Data(kept(payload, SMALL.payload_bytes)),
                _ => Reply::Refusal(kept(payload, SMALL.payload_bytes)),
            })
            .collect();
        let (read, error) = read(ReplyDecoder::new(SMALL), &wire, &pieces, SMALL.payload_bytes);
        prop_assert_eq!(read, expected);
        prop_assert_eq!(error, None);
    }

    #[test]
    fn events_are_the_same_however_the_stream_is_cut(
        sent in prop::collection::vec(
            (any::<u16>(), prop::collection::vec(any::<u8>(), 0..100),
             prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..4)),
            0..10,
        ),
        pieces in prop::collection::vec(1usize..40, 1..10),
    ) {
        let mut wire = BytesMut::new();
        let mut expected = Vec::new();
        for (code, payload, blobs) in &sent {
            write_event(*code, payload, blobs, &mut wire);
            let mut left = SMALL.blob_bytes;
            let blobs = blobs.iter().map(|blob| {
                let blob = kept(blob, left);
                left -= blob.len();
                blob
            });
            let (payload, blobs) = (kept(payload, SMALL.payload_bytes), blobs.collect());
            expected.push(EventFrame { code: *code, payload, blobs });
        }
        let (read, error) = read(EventDecoder::new(SMALL), &wire, &pieces, SMALL.blob_bytes);
        prop_assert_eq!(read, expected);
        prop_assert_eq!(error, None);
    }

    #[test]
    fn rubbish_ends_in_frames_or_one_error_and_holds_back_little(
        wire in prop::collection::vec(prop_oneof![Just(3u8), Just(6), Just(0x15), Just(0), any::<u8>()], 0..400),
        pieces in prop::collection::vec(1usize..40, 1..10),
    ) {
        let whole = read(ReplyDecoder::new(SMALL), &wire, &[wire.len()], usize::MAX);
        prop_assert_eq!(read(ReplyDecoder::new(SMALL), &wire, &pieces, SMALL.payload_bytes + 5), whole);
        let whole = read(EventDecoder::new(SMALL), &wire, &[wire.len()], usize::MAX);
        prop_assert_eq!(read(EventDecoder::new(SMALL), &wire, &pieces, SMALL.blob_bytes + 8), whole);
    }

    #[test]
    fn what_json_can_hold_comes_through_json_unchanged(value in plain_json()) {
        for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
            prop_assert_eq!(&json::decode(text.as_bytes(), &pickle::Limits::default()).unwrap(), &value);
        }
    }

    #[test]
    fn json_rubbish_is_an_error_and_nothing_worse(text in r#"[\[\]{}",:\\ud8c0-9eNaInfitytrul_pck. -]{0,60}"#) {
        let ours = json::decode(text.as_bytes(), &pickle::Limits::default());
        if let Ok(value) = serde_json::from_str::<Value>(&text)
            && !text.contains("__pickle__")
        {
            // Whatever is JSON, we read as well.
            prop_assert!(ours.is_ok(), "{} is {}, and not {:?}", text, value, ours);
        }
    }
}

/// Values without tagged forms.
fn plain_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        // Read back without a difference, the last digit included, since both use the shortest text.
        any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map("[a-z_é\"\\\\]{0,6}", inner, 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

#[test]
fn every_name_has_a_code_of_its_own() {
    let codes: BTreeSet<u16> = Command::ALL.iter().map(|command| command.code()).collect();
    assert_eq!(codes.len(), Command::ALL.len());
    for command in Command::ALL {
        assert_eq!(Command::from_code(command.code()), Some(*command));
        assert_eq!(Command::from_name(command.name()), Some(*command));
    }
    for event in Event::ALL {
        assert_eq!(Event::from_code(event.code()), Some(*event));
        assert_eq!(Event::from_name(event.name()), Some(*event));
    }
    assert_eq!(Command::from_code(0x99), None);
    assert_eq!(Event::from_name("nonsense"), None);
}

#[test]
fn a_reply_beyond_the_limit_is_read_past_and_the_next_one_is_whole() {
    let mut wire = BytesMut::new();
    write_reply(&(0x03, vec![b'x'; 1_000_000]), &mut wire);
    write_reply(&(0x03, b"after".to_vec()), &mut wire);
    let (replies, error) = read(ReplyDecoder::new(SMALL), &wire, &[1000], 1000);
    assert_eq!(error, None);
    assert_eq!(
        replies,
        [
            Reply::Data(Payload::TooLarge { length: 1_000_000 }),
            Reply::Data(Payload::Kept(Bytes::from_static(b"after")))
        ]
    );
}

#[test]
fn a_length_that_lies_costs_nothing() {
    let wire = b"\x03\xff\xff\xff\xffabc";
    let (replies, error) = read(ReplyDecoder::new(SMALL), wire, &[3], 8);
    assert_eq!(replies, []);
    assert_eq!(error.unwrap(), "the connection ended in the middle of a frame");
}

#[test]
fn a_byte_that_begins_no_frame_is_named() {
    let (_, error) = read(ReplyDecoder::new(SMALL), b"HTTP/1.1 400", &[100], 100);
    assert_eq!(error.unwrap(), "a frame of NICOS begins with the byte 0x48");
}

#[test]
fn json_has_what_python_writes_and_json_does_not_know() {
    let decode = |text: &str| json::decode(text.as_bytes(), &pickle::Limits::default());
    for (text, value) in [
        ("NaN", json!({"$float": "nan"})),
        ("[-Infinity, Infinity]", json!([{"$float": "-inf"}, {"$float": "inf"}])),
        ("1e999", json!({"$float": "inf"})),
        ("1000000000000000000000000000000", json!({"$int": "1000000000000000000000000000000"})),
        ("-9223372036854775808", json!(i64::MIN)),
        (r#""\ud83d\ude00\u00e9""#, json!("😀é")),
        (r#""\ud800""#, json!({"$wtf8": "7aCA"})),
        (r#""\udc00\ud800x""#, json!({"$wtf8": "7bCA7aCAeA=="})),
        (r#"{"$int": 1}"#, json!({"$map": [["$int", 1]]})),
        (r#"{"\ud800": 1}"#, json!({"$map": [[{"$wtf8": "7aCA"}, 1]]})),
        (r#" { "a" : [ ] , "b" : { } } "#, json!({"a": [], "b": {}})),
    ] {
        assert_eq!(decode(text).unwrap(), value, "{text}");
    }
    for text in
        ["", "[1,]", "{,}", "[1 2]", "01", "-", "1 2", "\"", "\"\\x\"", "\"\\u12\"", "{\"a\" 1}", "nul"]
    {
        assert!(decode(text).is_err(), "{text}");
    }
}

#[test]
fn json_is_bounded_in_depth_and_in_the_number_of_values() {
    let limits = pickle::Limits { operations: 1000, ..pickle::Limits::default() };
    let deep = "[".repeat(1_000_000);
    assert!(matches!(
        json::decode(deep.as_bytes(), &limits),
        Err(json::JsonError::TooLarge { what: "levels", .. })
    ));
    let many = format!("[{}]", "0,".repeat(1000));
    assert!(matches!(
        json::decode(many.as_bytes(), &limits),
        Err(json::JsonError::TooLarge { what: "values", .. })
    ));
    let digits = "9".repeat(100_000);
    assert!(json::decode(digits.as_bytes(), &limits).is_err());
}

#[test]
fn pickles_within_json_share_the_limit_of_what_they_become() {
    // A text of 1000 bytes that is referenced a hundred times.
    let mut pickle = b"(X\xe8\x03\0\0".to_vec();
    pickle.extend([b'x'; 1000]);
    pickle.extend(b"q\x00");
    pickle.extend(b"h\x00".repeat(99));
    pickle.extend(b"l.");
    let wrapped = String::from_utf8(json::wrap_pickle(&pickle)).unwrap();
    let limits = pickle::Limits { output_bytes: 1 << 19, ..pickle::Limits::default() };
    assert!(json::decode(format!("[{wrapped}]").as_bytes(), &limits).is_ok());
    let many = format!("[{}]", vec![wrapped; 10].join(","));
    let refused = json::decode(many.as_bytes(), &limits).unwrap_err().to_string();
    assert!(refused.contains("bytes of JSON"), "{refused}");
}

/// What a daemon sent: its frames, as they were on the wire, cut into every size of pieces up to 64 bytes.
#[test]
fn the_frames_of_a_real_daemon_are_read() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/nicos");
    let captured = std::fs::read_to_string(folder.join("payloads.json")).unwrap();
    let captured: Vec<Value> = serde_json::from_str(&captured).unwrap();
    let (mut replies, mut events, mut sent_replies, mut sent_events) =
        (BytesMut::new(), BytesMut::new(), Vec::new(), Vec::new());
    for frame in &captured {
        let name = frame["name"].as_str().unwrap();
        let header = frame["header_hex"].as_str().unwrap();
        let header: Vec<u8> = (0..header.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&header[at..at + 2], 16).unwrap())
            .collect();
        let payload = std::fs::read(folder.join("payloads").join(format!("{name}.bin"))).unwrap();
        let is_event = frame["kind"] == "event";
        let wire = if is_event { &mut events } else { &mut replies };
        wire.extend_from_slice(&header);
        wire.extend_from_slice(&payload);
        let payload = Payload::Kept(payload.into());
        let value = std::fs::read(folder.join("payloads").join(format!("{name}.json"))).unwrap();
        let value: Value = serde_json::from_slice(&value).unwrap();
        assert_eq!(Serializer::Pickle.decode(&payload, &pickle::Limits::default()).unwrap(), value, "{name}");
        if is_event {
            let event = Event::from_name(frame["what"].as_str().unwrap()).unwrap();
            sent_events.push(EventFrame { code: event.code(), payload, blobs: Vec::new() });
        } else if frame["status"] == "NAK" {
            sent_replies.push(Reply::Refusal(payload));
        } else {
            sent_replies.push(Reply::Data(payload));
        }
    }
    assert!(sent_replies.len() > 50 && sent_events.len() > 30, "{} frames", captured.len());
    for piece in (1..64).chain([100_000]) {
        assert_eq!(
            read(ReplyDecoder::new(Limits::default()), &replies, &[piece], usize::MAX),
            (sent_replies.clone(), None)
        );
        assert_eq!(
            read(EventDecoder::new(Limits::default()), &events, &[piece], usize::MAX),
            (sent_events.clone(), None)
        );
    }
}

#[test]
fn arguments_come_back_from_either_serializer() {
    let limits = pickle::Limits::default();
    let arguments = [json!({"a": {"$bytes": "AP8="}, "__pickle__": "x"}), json!([1, "ü", null])];
    for serializer in [Serializer::Pickle, Serializer::Json] {
        let payload = Payload::Kept(serializer.encode(&arguments).unwrap().into());
        assert_eq!(serializer.decode(&payload, &limits).unwrap(), json!(arguments), "{serializer:?}");
    }
    let plain = Serializer::Json.encode(&[json!("x"), json!(1)]).unwrap();
    assert_eq!(plain, br#"["x",1]"#);
    let tagged = Serializer::Json.encode(&[json!({"$bytes": "AP8="})]).unwrap();
    assert!(tagged.starts_with(br#"{"__pickle__":"#), "{}", String::from_utf8_lossy(&tagged));
}
