//! `beamq dry-run FILE…`, as people use it.

use std::{fs, path::PathBuf};

use serde_json::json;

use crate::support::{program, run};

struct Scripts {
    folder: tempfile::TempDir,
}

impl Scripts {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let file = self.folder.path().join(name);
        fs::write(&file, text).unwrap();
        file
    }
}

const NIGHT: &str = "from beamq.commands import *\nset_temperature(280, wait=True)\nbegin()\n\
    for total in (10, 20):\n    waitfor_uamps(total)\nend()\nif total > 100:\n    print(1)\n";

#[test]
fn a_good_script_is_shown_with_times_of_day_devices_and_totals() {
    let scripts = Scripts::new();
    let file = scripts.file("night.py", NIGHT);
    let shown =
        run(program().args(["dry-run", "--at", "2026-03-01T22:00:00Z"]).arg(&file).env("TZ", "UTC"), b"")
            .expect_code(0)
            .out;
    for wanted in [
        "2026-03-01 22:00  2     5 min 30 s",
        "2026-03-01 22:05  5     15 min 00 s    waitfor_uamps(uamps=10)",
        "Temperature  290 K  280 K   290 K    280 K",
        "counts 18000 frames (frames)",
        "20 µA·h (uamps)",
        "takes 35 min 36 s (",
        "done about 2026-03-01 22:35",
        "not reached: line 8",
    ] {
        assert!(shown.contains(wanted), "{wanted}\n{shown}");
    }
}

#[test]
fn a_bad_script_is_shown_with_the_line_and_the_next_one_goes_on_from_there() {
    let scripts = Scripts::new();
    let bad = scripts.file("bad.py", "from beamq.commands import *\nbegin()\ncset('Theta', 4 * 30)\n");
    let next = scripts.file("next.py", "from beamq.commands import *\nwaitfor_uamps(10)\nend()\n");
    let drawing = scripts.folder.path().join("t.svg");
    let shown =
        run(program().arg("dry-run").args([&bad, &next]).arg("--svg").arg(&drawing), b"").expect_code(1);
    assert!(shown.out.contains("error[command_refused]: cset: Theta cannot go to 120 deg"), "{shown:?}");
    assert!(shown.out.contains("3 | cset('Theta', 4 * 30)"), "{shown:?}");
    assert!(shown.out.contains("beyond its limit") && shown.out.contains("all done about"), "{shown:?}");
    let svg = fs::read_to_string(drawing).unwrap();
    assert!(svg.starts_with("<svg ") && svg.contains("waitfor_uamps(uamps=10) – 900.0 s"), "{svg}");
    let json = run(program().args(["dry-run", "--json"]).args([&bad, &next]), b"").expect_code(1).document();
    assert_eq!((&json["ok"], &json["scripts"][1]["report"]["ok"]), (&json!(false), &json!(true)));
    assert_eq!(json["scripts"][1]["report"]["timeline"][0]["dt_s"], 900.0);
}

#[test]
fn what_cannot_be_read_is_wrong_usage() {
    let shown = run(program().args(["dry-run", "/no/such.py"]), b"").expect_code(2);
    assert!(shown.err.contains("cannot read /no/such.py"), "{shown:?}");
    let scripts = Scripts::new();
    let file = scripts.file("a.py", "print(1)\n");
    let shown = run(program().args(["dry-run", "--commands", "/no"]).arg(&file), b"").expect_code(2);
    assert!(shown.err.contains("there is no folder /no"), "{shown:?}");
}
