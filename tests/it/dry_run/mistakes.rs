//! What a scientist reads after each of many mistakes that only a dry run can find. `BEAMQ_BLESS=1` writes
//! the answers anew; they are to be read, since they are what helps or does not.

use std::{fs, path::Path, time::Duration};

use beamq::{catalogue::render, dryrun::simulation::Budget, protocol::view::Severity};

use super::fixture::Fixture;

#[tokio::test]
async fn what_goes_wrong_in_the_night_is_explained_at_its_place() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/dry_run/mistakes.txt");
    let text = fs::read_to_string(&golden).unwrap();
    let fixture = Fixture::new();
    let parts: Vec<_> = text.split("=== ").skip(1).collect();
    assert!(parts.len() >= 30, "{}", parts.len());
    // Side by side, as many as a simulator takes.
    let explained = futures_util::future::join_all(parts.iter().map(|part| explain(&fixture, part))).await;
    let anew = explained.concat();
    if std::env::var_os("BEAMQ_BLESS").is_some() {
        fs::write(&golden, &anew).unwrap();
    }
    let expected = fs::read_to_string(&golden).unwrap();
    for (expected, found) in expected.split("=== ").zip(anew.split("=== ")) {
        assert_eq!(found, expected, "BEAMQ_BLESS=1 writes them anew");
    }
    assert_eq!(anew, expected);
}

/// A mistake with what is found of it now.
async fn explain(fixture: &Fixture, part: &str) -> String {
    let (title, rest) = part.split_once('\n').unwrap();
    let (script, _) = rest.split_once("--- \n").unwrap();
    let mut wish = fixture.wish(script);
    // What never ends is to end by the same limit on every machine.
    wish.budget = Budget {
        real: Duration::from_secs(120),
        virtual_time: Duration::from_secs(24 * 3600),
        ..Budget::default()
    };
    let found = fixture.simulator.simulate(wish).await;
    assert!(found.report.findings.iter().any(|one| one.severity != Severity::Note), "{title}: {found:#?}");
    let shown: Vec<_> = found.diagnostics.iter().map(|found| render::to_text(found, false)).collect();
    format!("=== {title}\n{script}--- \n{}\n\n", shown.join("\n\n"))
}
