//! What a NICOS daemon sent: the files of `tests/data/nicos/payloads/`, each with the JSON that it stands for.

use std::{fs, path::PathBuf};

use super::*;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/nicos/payloads")
}

fn payloads() -> Vec<(String, Vec<u8>, Value)> {
    let mut payloads: Vec<_> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "bin"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let expected = fs::read_to_string(path.with_extension("json")).unwrap();
            (name, fs::read(&path).unwrap(), serde_json::from_str(&expected).unwrap())
        })
        .collect();
    payloads.sort_by(|(one, ..), (other, ..)| one.cmp(other));
    payloads
}

#[test]
fn every_captured_payload_becomes_the_json_it_stands_for() {
    let payloads = payloads();
    assert!(payloads.len() > 100, "only {} payloads", payloads.len());
    for (name, payload, expected) in payloads {
        assert_eq!(read(&payload), expected, "{name}");
    }
}

#[test]
fn a_payload_cut_anywhere_is_refused() {
    for (name, payload, _) in payloads() {
        for length in (0..payload.len()).step_by(payload.len() / 200 + 1) {
            let cut = decode(&payload[..length], &Limits::default());
            assert!(matches!(cut, Err(DecodeError::Truncated { .. })), "{name} at {length}: {cut:?}");
        }
    }
}

#[test]
fn a_damaged_payload_is_read_or_refused() {
    for (_, payload, _) in payloads().into_iter().filter(|(_, payload, _)| payload.len() < 1000) {
        for index in 0..payload.len() {
            for byte in [0x00, 0x28, 0x61, 0x80, 0xff, payload[index] ^ 1, payload[index].wrapping_add(1)] {
                let mut damaged = payload.clone();
                damaged[index] = byte;
                // Whatever comes out, it ends, and within the limits; and both ways agree.
                let value = decode(&damaged, &Limits::default());
                let text = text_of(&damaged, &Limits::default());
                assert_eq!(text, value.map(|value| value.to_string()), "{}", damaged.escape_ascii());
            }
        }
    }
}
