//! What a scientist reads after each of many mistakes in a catalogue file. `BEAMQ_BLESS=1` writes the
//! answers anew; they are to be read, since they are what helps or does not.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::{fs, path::Path};

use beamq::catalogue::{Catalogue, Diagnostic, render};

fn answer(name: &str, text: &str) -> String {
    let (_, diagnostics) = Catalogue::diagnose(&[(name.into(), text.to_owned())]);
    let shown: Vec<_> = diagnostics.iter().map(|diagnostic| render::to_text(diagnostic, false)).collect();
    shown.join("\n\n") + "\n"
}

#[test]
fn every_mistake_is_explained_at_its_place() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/catalogue/mistakes");
    let mut mistakes: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    mistakes.sort();
    assert!(mistakes.len() >= 40, "{}", mistakes.len());
    let mut wrong = Vec::new();
    for path in mistakes {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let found = answer(&name, &fs::read_to_string(&path).unwrap());
        assert!(found.trim().len() > 20, "{name}: nothing was found");
        let golden = path.with_extension("txt");
        if std::env::var_os("BEAMQ_BLESS").is_some() {
            fs::write(&golden, &found).unwrap();
        } else if fs::read_to_string(&golden).unwrap_or_default() != found {
            wrong.push(format!("{name}:\n{found}"));
        }
    }
    assert!(wrong.is_empty(), "not as expected; BEAMQ_BLESS=1 writes them anew:\n{}", wrong.join("\n"));
}

#[test]
fn a_duplicate_in_another_file_points_at_both() {
    let text = "catalogue: 1\ncommands:\n  scan:\n    summary: Scans.\n    implementation: demo.scan:scan\n";
    let files = [("a.yaml".into(), text.to_owned()), ("b.yaml".into(), text.to_owned())];
    let (catalogue, diagnostics) = Catalogue::diagnose(&files);
    assert_eq!(catalogue.len(), 1);
    let [duplicate] = &diagnostics[..] else { panic!("{diagnostics:?}") };
    assert!(Diagnostic::is_error(duplicate));
    let shown = render::to_text(duplicate, false);
    assert!(shown.contains("b.yaml:3:3") && shown.contains("a.yaml:3:3"), "{shown}");
}

#[test]
fn a_file_of_a_hundred_megabytes_is_refused_without_being_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("huge.yaml");
    fs::File::create(&path).unwrap().set_len(100_000_000).unwrap();
    let refused = beamq::catalogue::folder::read(&path).unwrap_err();
    assert_eq!(refused.code, "yaml_too_large");
    assert_eq!(refused.message, "the file has 100.0 MB, and no catalogue file has more than 2 MB");
}
