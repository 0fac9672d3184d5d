//! What brokers really send and what hostile peers could: each file of `tests/data/stomp/`, and what comes of it.

use std::{collections::BTreeSet, fs, path::PathBuf};

use super::*;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/stomp")
}

/// What a file shows: how many frames come out before the end or the error, and the error.
fn outcome(name: &str, version: Version) -> (Vec<Frame>, Option<StompError>) {
    let wire = fs::read(folder().join(format!("{name}.frame"))).expect(name);
    let whole = decode_all(version, &wire);
    let in_bytes = decode_pieces(Limits::default(), version, &wire, |_| 1);
    assert_eq!(whole.0, in_bytes.0, "{name}: bytes one by one must give the same frames");
    assert_eq!(format!("{:?}", whole.1), format!("{:?}", in_bytes.1), "{name}");
    whole
}

macro_rules! refused {
    ($name:literal, $frames:literal, $error:pat) => {{
        let (frames, error) = outcome($name, Version::V1_2);
        assert_eq!(frames.len(), $frames, "{}: {frames:?}", $name);
        assert!(matches!(error, Some($error)), "{}: {error:?}", $name);
        $name
    }};
}

fn accepted(name: &str) -> Vec<Frame> {
    let (frames, error) = outcome(name, Version::V1_2);
    assert!(error.is_none(), "{name}: {error:?}");
    frames
}

#[test]
fn what_breaks_a_rule_is_refused_by_the_name_of_the_rule() {
    use StompError::*;
    let refused = [
        refused!("injected_frame_by_property_name", 0, MalformedHeader { line: 2 }),
        refused!("content_length_huge", 0, BodyTooLarge { limit: 16_777_216 }),
        refused!("content_length_4_gib", 0, BodyTooLarge { limit: 16_777_216 }),
        refused!("content_length_negative", 0, BadContentLength { .. }),
        refused!("content_length_plus", 0, BadContentLength { .. }),
        refused!("content_length_spaces", 0, BadContentLength { .. }),
        refused!("content_length_empty", 0, BadContentLength { .. }),
        refused!("content_length_short", 0, MissingNul { content_length: 2 }),
        refused!("content_length_long", 0, MissingNul { content_length: 40 }),
        refused!("missing_nul", 0, CutShort),
        refused!("missing_blank_line", 0, NulInHeader),
        refused!("nul_in_header", 0, NulInHeader),
        refused!("nul_in_command", 0, NulInHeader),
        refused!("header_line_over_10_kib", 0, LineTooLong { limit: 10_240 }),
        refused!("header_line_without_end", 0, LineTooLong { limit: 10_240 }),
        refused!("headers_101", 0, TooManyHeaders { limit: 100 }),
        refused!("header_without_colon", 0, MalformedHeader { line: 1 }),
        refused!("header_without_name", 0, MalformedHeader { line: 2 }),
        refused!("escape_unknown", 0, BadEscape { line: 1, version: Version::V1_2 }),
        refused!("escape_at_the_end", 0, BadEscape { line: 1, version: Version::V1_2 }),
        refused!("header_not_utf8", 0, InvalidUtf8 { line: 1 }),
        refused!("command_unknown", 0, UnknownCommand { .. }),
        refused!("command_lower_case", 0, UnknownCommand { .. }),
        refused!("command_with_blank", 0, UnknownCommand { .. }),
        refused!("command_empty_after_carriage_return", 0, UnknownCommand { .. }),
        refused!("http_request", 0, UnknownCommand { .. }),
        refused!("tls_hello", 0, NulInHeader),
        refused!("openwire_hello", 0, NulInHeader),
    ];
    let accepted = [
        "binary_body_with_length",
        "binary_body_without_length",
        "broker_bytes_message",
        "broker_error_with_trace",
        "broker_text_message",
        "connect_is_not_escaped",
        "content_length_twice",
        "crlf_everywhere",
        "escape_carriage_return",
        "escapes_all",
        "header_line_10_kib",
        "header_utf8",
        "headers_100",
        "injected_newline_escaped",
        "java_text_body",
        "pipelined",
        "spoofed_headers",
    ];
    for name in accepted {
        super::captures::accepted(name);
    }
    let known: BTreeSet<String> =
        refused.iter().chain(&accepted).map(|name| format!("{name}.frame")).collect();
    let present: BTreeSet<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(known, present, "every file proves something");
}

#[test]
fn a_message_of_the_broker_comes_out_unescaped() {
    let frame = accepted("broker_text_message").remove(0);
    assert_eq!(frame.command, Command::Message);
    assert_eq!(frame.get("reply-to"), Some("/remote-temp-queue/ID:vm-37185-1795233153510-1:1:1"));
    assert_eq!(frame.get("correlation-id"), Some("c-17"));
    assert_eq!(frame.body.as_ref(), br#"{"command":"getstatus"}"#);
    assert_eq!(accepted("broker_bytes_message")[0].body.as_ref(), b"\0\x01\xff\xfe\0\n\0");
    assert!(accepted("broker_error_with_trace")[0].body.len() > 2_000);
}

#[test]
fn a_forged_repetition_never_replaces_the_first_value() {
    let frame = accepted("spoofed_headers").remove(0);
    assert_eq!(frame.get("JMSXUserID"), Some("ss_client"));
    assert_eq!(frame.get("reply-to"), Some("/remote-temp-queue/ID:vm-1:1:1"));
    assert_eq!(frame.get("correlation-id"), Some("forged"));
    assert_eq!(accepted("content_length_twice")[0].body.as_ref(), b"a\0b\n");
}

#[test]
fn an_escaped_line_feed_stays_inside_its_value() {
    let frame = accepted("injected_newline_escaped").remove(0);
    assert_eq!(frame.get("note"), Some("a\nJMSXUserID:admin\n\n"));
    assert_eq!(frame.get("JMSXUserID"), Some("ss_client"));
    assert_eq!(accepted("escapes_all")[0].get("x:y"), Some("\\n\n:"));
}

#[test]
fn each_version_knows_its_own_escapes() {
    let (frames, error) = outcome("escape_carriage_return", Version::V1_2);
    assert_eq!((frames[0].get("x"), error.is_none()), (Some("a\rb"), true));
    let (_, error) = outcome("escape_carriage_return", Version::V1_1);
    assert!(matches!(error, Some(StompError::BadEscape { line: 2, version: Version::V1_1 })));
    let (frames, error) = outcome("escape_carriage_return", Version::V1_0);
    assert_eq!((frames[0].get("x"), error.is_none()), (Some(r"a\rb"), true));
    let connect = accepted("connect_is_not_escaped").remove(0);
    assert_eq!(connect.get("login"), Some(r"DOM\user"));
    assert_eq!(connect.get("passcode"), Some(r"a\tb:c"));
}

#[test]
fn bodies_are_bytes() {
    let every_byte: Vec<u8> = (0..=255).collect();
    assert_eq!(accepted("binary_body_with_length")[0].body, every_byte);
    assert_eq!(accepted("binary_body_without_length")[0].body.as_ref(), b"\xff\xfe\x80\x81\r\n\x01");
    assert_eq!(accepted("crlf_everywhere")[0].body.as_ref(), b"{}\r\n");
    assert_eq!(accepted("header_utf8")[0].get("sample"), Some("Ni₃Al – 5 µm 😀"));
}

#[test]
fn frames_may_follow_each_other_at_once() {
    let commands: Vec<_> = accepted("pipelined").iter().map(|frame| frame.command).collect();
    assert_eq!(commands, [Command::Connect, Command::Subscribe, Command::Send, Command::Disconnect]);
}
