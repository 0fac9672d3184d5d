//! What holds for every frame and for every stream of bytes.

use proptest::prelude::*;

use super::*;

fn any_version() -> impl Strategy<Value = Version> {
    prop::sample::select(&Version::ALL[..])
}

/// Header text that this version can carry in this frame: see [`super::super::escape`].
fn text(command: Command, version: Version, for_name: bool) -> impl Strategy<Value = String> {
    let escaped = command.escapes_headers() && version > Version::V1_0;
    let with_return = escaped && version == Version::V1_2;
    // Every character that plays a part in the format, and a choice of others.
    let mut alphabet: Vec<char> = vec!['a', 'n', 'r', 'c', 't', ' ', '\t', '\\', 'é', '😀', '\u{7f}'];
    if escaped {
        alphabet.push('\n');
    }
    if with_return {
        alphabet.push('\r');
    }
    if escaped || !for_name {
        alphabet.push(':');
    }
    prop::collection::vec(prop::sample::select(alphabet), usize::from(for_name)..8)
        .prop_map(String::from_iter)
        .prop_filter("the length belongs to the codec", |text| text != "content-length")
}

fn any_frame() -> impl Strategy<Value = (Version, Frame)> {
    (any_version(), prop::sample::select(&Command::ALL[..])).prop_flat_map(|(version, command)| {
        let header = (text(command, version, true), text(command, version, false));
        let headers = prop::collection::vec(header, 0..6);
        let body = prop::collection::vec(any::<u8>(), 0..200);
        (Just(version), Just(command), headers, body, any::<bool>()).prop_map(
            |(version, command, headers, body, with_length)| {
                let mut frame = Frame::new(command).with_body(body);
                for (name, value) in headers {
                    frame = frame.header(&name, value);
                }
                // A body with a NUL is always sent with its length.
                let with_length = with_length || frame.body.contains(&0);
                (version, if with_length { frame.with_content_length() } else { frame })
            },
        )
    })
}

/// Bytes that look enough like STOMP to reach the inner states.
fn likely_bytes() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        prop::sample::select(&Command::ALL[..]).prop_map(|command| command.as_str().as_bytes().to_vec()),
        prop::sample::select(vec![
            "\n",
            "\r\n",
            "\r",
            "\0",
            ":",
            "a:b\n",
            "content-length:",
            "content-length:3\n",
            "\\c",
            "\\x",
            "\n\n",
            "xyz",
            "-1",
            "18446744073709551616",
            "SEND\ncontent-length:2\n\nab\0"
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..5),
    ];
    prop::collection::vec(token, 0..60).prop_map(|tokens| tokens.concat())
}

const SMALL: Limits = Limits { header_lines: 4, header_line_bytes: 12, body_bytes: 20 };

proptest! {
    #[test]
    fn what_is_written_is_read_back((version, frame) in any_frame()) {
        let wire = encode(version, frame.clone()).unwrap();
        let (frames, error) = decode_all(version, &wire);
        prop_assert!(error.is_none(), "{:?}", error);
        prop_assert_eq!(frames, vec![frame]);
    }

    #[test]
    fn how_the_stream_is_cut_makes_no_difference(
        frames in prop::collection::vec(any_frame(), 1..5),
        cuts in prop::collection::vec(1_usize..40, 1..50),
    ) {
        let version = frames[0].0;
        let mut wire = Vec::new();
        let mut sent = Vec::new();
        for (of_frame, frame) in frames {
            // Frames made for another version may not be writable in this one.
            if of_frame == version {
                wire.extend(encode(version, frame.clone()).unwrap());
                sent.push(frame);
            }
        }
        let (received, error) = decode_pieces(Limits::default(), version, &wire, |piece| cuts[piece % cuts.len()]);
        prop_assert!(error.is_none(), "{:?}", error);
        prop_assert_eq!(received, sent);
    }

    #[test]
    fn any_bytes_end_in_frames_or_one_error_whatever_the_cuts(
        version in any_version(),
        bytes in likely_bytes(),
        cuts in prop::collection::vec(1_usize..40, 1..50),
    ) {
        // Limits that such short streams reach, so that the limits do not depend on the cuts either.
        let whole = decode_pieces(SMALL, version, &bytes, |_| bytes.len().max(1));
        let pieces = decode_pieces(SMALL, version, &bytes, |piece| cuts[piece % cuts.len()]);
        prop_assert_eq!(&whole.0, &pieces.0);
        prop_assert_eq!(format!("{:?}", whole.1), format!("{:?}", pieces.1));
    }

    #[test]
    fn what_is_held_back_never_exceeds_the_limits(bytes in likely_bytes(), piece in 1_usize..40) {
        let mut codec = StompCodec::new(SMALL);
        let mut buffer = BytesMut::new();
        'stream: for part in bytes.chunks(piece) {
            buffer.extend_from_slice(part);
            loop {
                match codec.decode(&mut buffer) {
                    Ok(Some(Received::Frame(frame))) => {
                        prop_assert!(frame.body.len() <= SMALL.body_bytes);
                        prop_assert!(frame.headers.len() <= SMALL.header_lines);
                        for (name, value) in frame.headers.iter() {
                            prop_assert!(name.len() + value.len() < SMALL.header_line_bytes);
                        }
                    }
                    Ok(Some(Received::HeartBeat)) => {}
                    // A part of a line, or a part of a body, and never more.
                    Ok(None) => {
                        prop_assert!(buffer.len() <= SMALL.body_bytes.max(SMALL.header_line_bytes) + 1);
                        break;
                    }
                    Err(_) => break 'stream,
                }
            }
        }
    }

    #[test]
    fn what_is_written_is_one_frame_or_refused_whole(
        version in any_version(),
        command in prop::sample::select(&Command::ALL[..]),
        name in any::<String>(),
        value in any::<String>(),
    ) {
        // Whatever the text holds, it can never become a second header or a second frame.
        let frame = Frame::new(command).header(&name, value.clone());
        match encode(version, frame.clone()) {
            Ok(wire) => prop_assert_eq!(decode_all(version, &wire).0.len(), 1),
            Err(error) => {
                let refused = matches!(error, StompError::Unwritable { .. });
                prop_assert!(refused);
            }
        }
    }
}
