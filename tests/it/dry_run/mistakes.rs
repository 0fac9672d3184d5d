//! What a scientist reads after each of many mistakes that only a dry run can find. `BEAMQ_BLESS=1` writes
//! the answers anew; they are to be read, since they are what helps or does not.

use std::{fmt::Write, fs, path::Path, time::Duration};

use beamq::{catalogue::render, dryrun::simulation::Budget, protocol::view::Severity};

use super::fixture::Fixture;

#[tokio::test]
async fn what_goes_wrong_in_the_night_is_explained_at_its_place() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/dry_run/mistakes.txt");
    let text = fs::read_to_string(&golden).unwrap();
    let fixture = Fixture::new();
    let mut anew = String::new();
    let mut count = 0;
    for part in text.split("=== ").skip(1) {
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
        assert!(
            found.report.findings.iter().any(|one| one.severity != Severity::Note),
            "{title}: {found:#?}"
        );
        let shown: Vec<_> = found.diagnostics.iter().map(|found| render::to_text(found, false)).collect();
        writeln!(anew, "=== {title}\n{script}--- \n{}\n", shown.join("\n\n")).unwrap();
        count += 1;
    }
    assert!(count >= 30, "{count}");
    if std::env::var_os("BEAMQ_BLESS").is_some() {
        fs::write(&golden, &anew).unwrap();
    }
    let expected = fs::read_to_string(&golden).unwrap();
    for (expected, found) in expected.split("=== ").zip(anew.split("=== ")) {
        assert_eq!(found, expected, "BEAMQ_BLESS=1 writes them anew");
    }
    assert_eq!(anew, expected);
}
