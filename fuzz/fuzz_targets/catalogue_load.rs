//! Whatever stands in a catalogue file, reading it ends in commands or in findings that can be shown, in
//! bounded time and memory; and a command that was accepted judges any call and any estimate.
//!
//! The input is the file; what follows a NUL is a JSON object of arguments. Run it with
//! `cargo fuzz run -s none catalogue_load fuzz/corpus/catalogue_load/generated fuzz/corpus/catalogue_load`.

#![no_main]

use beamq::catalogue::{Catalogue, render};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|input: &[u8]| {
    let mut parts = input.splitn(2, |byte| *byte == 0);
    let Some(text) = parts.next().and_then(|text| std::str::from_utf8(text).ok()) else { return };
    let arguments = parts.next().and_then(|json| serde_json::from_slice::<Value>(json).ok());
    let arguments = match arguments {
        Some(Value::Object(arguments)) => arguments,
        _ => serde_json::Map::new(),
    };
    let (catalogue, diagnostics) = Catalogue::diagnose(&[("fuzz.yaml".into(), text.to_owned())]);
    for diagnostic in &diagnostics {
        assert!(!render::to_text(diagnostic, false).is_empty());
        assert!(render::to_github(&diagnostic.finding()).starts_with("::"));
    }
    for command in catalogue.commands() {
        for example in &command.spec.examples {
            assert_eq!(command.check(example), [], "an accepted example is a good call");
        }
        command.check(&arguments);
        if let Some(seconds) = command.estimate(&arguments, &|_| None) {
            assert!(seconds >= 0.0);
        }
    }
});
