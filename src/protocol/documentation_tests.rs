//! What the documentation says is true: its examples are read like the messages of clients.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::{collections::BTreeSet, fs, path::PathBuf};

use serde_json::Value;

use super::{
    ErrorKind, Event, EventKind, Method, RpcError,
    native::{Decoded, decode},
};

fn document(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The JSON messages in the document's blocks: each block holds one or more.
fn messages(text: &str) -> Vec<Value> {
    let blocks = text.split("```json\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks
        .flat_map(|block| {
            let values: Result<Vec<Value>, _> =
                serde_json::Deserializer::from_str(block).into_iter().collect();
            values.unwrap_or_else(|error| panic!("{error} in\n{block}"))
        })
        .collect()
}

fn is_true(message: &Value) {
    if let (Some(method), None) = (message.get("method"), message.get("id")) {
        let method = method.as_str().unwrap();
        Event::decode(method, message["params"].clone())
            .unwrap_or_else(|error| panic!("{error} in {message}"));
    } else if message.get("method").is_some() {
        match decode(message.to_string().as_bytes()) {
            Decoded::Native(call) => {
                drop(call.request.unwrap_or_else(|error| panic!("{error:?} in {message}")))
            }
            other => panic!("{message} is {other:?}"),
        }
    } else if let Some(error) = message.get("error") {
        let error: RpcError = serde_json::from_value(error.clone()).unwrap();
        assert_eq!(error.code, error.kind().code(), "{message}");
    } else {
        assert!(message.get("result").is_some(), "{message} is no message");
    }
}

#[test]
fn every_message_in_the_documentation_is_one() {
    let protocol = messages(&document("protocol.md"));
    assert!(protocol.len() >= 20, "{} messages", protocol.len());
    protocol.iter().for_each(is_true);
    messages(&document("errors.md")).iter().for_each(is_true);
}

#[test]
fn every_method_and_every_event_is_documented() {
    let text = document("protocol.md");
    for name in Method::NAMES.iter().copied().chain(EventKind::ALL.map(EventKind::method)) {
        assert!(text.contains(&format!("`{name}`")), "{name} is not in docs/protocol.md");
    }
}

#[test]
fn every_kind_of_error_has_its_section_with_its_code() {
    let text = document("errors.md");
    // Behind them come findings, which are no errors.
    let (text, _) = text.split_once("\n# Findings\n").unwrap();
    let sections: BTreeSet<&str> = text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let kinds: BTreeSet<&str> = ErrorKind::ALL.iter().map(|kind| kind.name()).collect();
    assert_eq!(sections, kinds);
    for kind in ErrorKind::ALL {
        let section = text.split(&format!("\n## {}\n", kind.name())).nth(1).unwrap();
        let section = section.split("\n## ").next().unwrap();
        for part in [
            kind.code().to_string().replace('-', "−").as_str(),
            "**Meaning.**",
            "**Cause.**",
            "**What to do.**",
        ] {
            assert!(section.contains(part), "{}: no {part}", kind.name());
        }
    }
}
