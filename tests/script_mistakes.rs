//! What a scientist reads after each of many mistakes in a script. `BEAMQ_BLESS=1` writes the answers
//! anew; they are to be read, since they are what helps or does not.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::{fmt::Write, fs, path::Path};

use beamq::{
    catalogue::{Catalogue, render},
    dryrun::diagnose_script,
};

fn fixture(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/scripts").join(name)
}

fn catalogue() -> Catalogue {
    let text = fs::read_to_string(fixture("catalogue.yaml")).unwrap();
    let (catalogue, findings) = Catalogue::check(&[("catalogue.yaml".into(), text)]);
    assert_eq!(findings, []);
    catalogue
}

#[test]
fn every_mistake_is_explained_at_its_place() {
    let catalogue = catalogue();
    let golden = fixture("mistakes.txt");
    let text = fs::read_to_string(&golden).unwrap();
    let mut anew = String::new();
    let mut count = 0;
    for part in text.split("=== ").skip(1) {
        let (title, rest) = part.split_once('\n').unwrap();
        let (script, _) = rest.split_once("--- \n").unwrap();
        let found = diagnose_script("script.py", script, &catalogue);
        let shown: Vec<_> = found.iter().map(|found| render::to_text(found, false)).collect();
        writeln!(anew, "=== {title}\n{script}--- \n{}\n", shown.join("\n\n")).unwrap();
        count += usize::from(!found.is_empty());
    }
    assert!(count >= 40, "{count}");
    if std::env::var_os("BEAMQ_BLESS").is_some() {
        fs::write(&golden, &anew).unwrap();
    }
    let expected = fs::read_to_string(&golden).unwrap();
    for (expected, found) in expected.split("=== ").zip(anew.split("=== ")) {
        assert_eq!(found, expected, "BEAMQ_BLESS=1 writes them anew");
    }
    assert_eq!(anew, expected);
}
