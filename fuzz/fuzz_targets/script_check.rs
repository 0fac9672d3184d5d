//! Whatever a script says, reading it ends in findings that can be shown, in bounded time and memory.
//!
//! Run it with `cargo fuzz run -s none script_check`.

#![no_main]

use std::sync::LazyLock;

use beamq::{
    catalogue::{Catalogue, render},
    dryrun::diagnose_script,
};
use libfuzzer_sys::fuzz_target;

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| {
    let text = include_str!("../../tests/fixtures/scripts/catalogue.yaml");
    Catalogue::check(&[("catalogue.yaml".into(), text.to_owned())]).0
});

fuzz_target!(|script: &str| {
    for found in diagnose_script("script.py", script, &CATALOGUE) {
        assert!(!render::to_text(&found, false).is_empty());
    }
});
