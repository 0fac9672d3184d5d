//! The example instrument and the commands as functions, tested in Python with a catalogue that the server
//! has written.

use std::{path::Path, process::Command};

use crate::harness::Server;

/// The interpreter of these tests.
fn interpreter() -> String {
    std::env::var("BEAMQ_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned())
}

#[tokio::test]
async fn the_python_tests_of_the_example_instrument_pass() {
    let server = Server::start().await;
    let source = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path =
        format!("{}:{}", source.join("src/engine/python/lib").display(), source.join("commands").display());
    let catalogue = server.home.data().join("work/catalogue.json");
    assert!(catalogue.is_file(), "the server has written its catalogue");
    let ended = tokio::task::spawn_blocking(move || {
        Command::new(interpreter())
            .args(["-m", "unittest", "-v"])
            .current_dir(source.join("tests/instrument"))
            .env("PYTHONPATH", path)
            .env("PYTHONUTF8", "1")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("BEAMQ_CATALOGUE", catalogue)
            .output()
            .unwrap()
    })
    .await
    .unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{said}");
    assert!(said.contains("test_r24_waits_are_for_totals_of_the_run"), "{said}");
}
