//! Against CPython's own pickle: random values with all protocols, and what we send.

use std::{
    io::Write as _,
    process::{Command, Stdio},
    thread,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};

use super::*;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pickles/random_values.py");

/// The interpreter of these tests.
fn python() -> Command {
    let interpreter = std::env::var("BEAMQ_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let mut command = Command::new(interpreter);
    command.arg(SCRIPT).env("PYTHONUTF8", "1").env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// What one run of the script prints, line by line.
fn lines_of(command: &mut Command, input: Vec<u8>) -> Vec<String> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn random_values_of_every_protocol_become_the_json_they_stand_for() {
    const VALUES: usize = 6000;
    // Another choice each day would be a test that fails without a change; a chosen seed finds again what it found.
    let seed = std::env::var("BEAMQ_TEST_SEED").unwrap_or_else(|_| "pickle".to_owned());
    let lines = lines_of(python().args(["write", &seed, &VALUES.to_string()]), Vec::new());
    assert_eq!(lines.len(), VALUES);
    for (number, line) in lines.iter().enumerate() {
        let [protocol, payload, expected] = line.split('\t').collect::<Vec<_>>().try_into().unwrap();
        let payload = STANDARD.decode(payload).unwrap();
        let expected: Value = serde_json::from_str(expected).unwrap();
        let context =
            || format!("value {number} of seed {seed:?}, protocol {protocol}: {}", payload.escape_ascii());
        match decode(&payload, &Limits::default()) {
            Ok(value) => {
                assert_eq!(value, expected, "{}", context());
                let text = text_of(&payload, &Limits::default());
                assert_eq!(text, Ok(expected.to_string()), "{}", context());
            }
            Err(error) => panic!("{error}: {}", context()),
        }
    }
}

#[test]
fn every_operation_of_python_is_read_or_refused_by_what_it_asks_for() {
    let lines = lines_of(python().arg("operations"), Vec::new());
    let known: Vec<u8> = lines.iter().map(|line| line.parse().unwrap()).collect();
    assert!(known.len() >= 68, "{known:?}");
    for opcode in 0..=u8::MAX {
        let unknown = decode(&[opcode], &Limits::default()).err();
        let expected = DecodeError::UnknownOperation { at: 0, opcode };
        assert_eq!(unknown == Some(expected), !known.contains(&opcode), "{opcode:#04x}: {unknown:?}");
    }
}

/// Values that clients may send, in the form in which Python's own come back.
fn sendable() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop::num::f64::NORMAL.prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(|bytes| json!({"$bytes": STANDARD.encode(bytes)})),
        "-?[1-9][0-9]{19,40}".prop_map(|digits| json!({"$int": digits})),
        prop::sample::select(vec!["nan", "inf", "-inf"]).prop_map(|name| json!({"$float": name})),
    ];
    scalar.prop_recursive(4, 30, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map("[^$].*", inner.clone(), 0..5).prop_map(|map| json!(map)),
            inner.prop_map(|value| json!({"$map": [[7, value]]})),
        ]
    })
}

#[test]
fn python_reads_what_we_send_as_what_was_meant() {
    const VALUES: usize = 1000;
    let mut runner = TestRunner::deterministic();
    let values: Vec<_> = (0..VALUES).map(|_| sendable().new_tree(&mut runner).unwrap().current()).collect();
    let input: String = values.iter().map(|value| STANDARD.encode(encode(value).unwrap()) + "\n").collect();
    let lines = lines_of(python().arg("read"), input.into_bytes());
    assert_eq!(lines.len(), VALUES);
    for (line, value) in lines.iter().zip(&values) {
        assert_eq!(&serde_json::from_str::<Value>(line).unwrap(), value);
    }
}
