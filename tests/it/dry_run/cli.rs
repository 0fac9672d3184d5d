//! `beamq dry-run FILE…`, as people use it.

use std::{fs, path::PathBuf};

use serde_json::json;

use crate::support::{Server, program, run};

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

#[test]
fn a_time_of_day_is_the_next_one_of_the_instrument() {
    let scripts = Scripts::new();
    let file = scripts.file("wait.py", "import time\ntime.sleep(600)\n");
    let json = run(program().args(["dry-run", "--json", "--at", "22:00"]).arg(&file).env("TZ", "UTC"), b"");
    let json = json.expect_code(0).document();
    let start: jiff::Timestamp = json["scripts"][0]["expected_start"].as_str().unwrap().parse().unwrap();
    let end: jiff::Timestamp = json["scripts"][0]["expected_finish"].as_str().unwrap().parse().unwrap();
    assert_eq!((start.as_second() % 86_400, end.as_second() - start.as_second()), (22 * 3600, 600));
    assert!(start > jiff::Timestamp::now(), "{start}");
}

#[test]
fn the_configuration_of_a_server_says_what_is_hardware_and_where_the_commands_are() {
    let scripts = Scripts::new();
    scripts.file("lab_motor.py", "raise SystemExit('the real one was imported')\n");
    let config = format!(
        "engine: {{python: {{path: [{:?}]}}}}\nsimulation: {{hardware: [lab_motor]}}\n\
         transports: {{activemq: {{url: \"stomp://127.0.0.1:1\", user: beamq, password_file: not-mine}}}}\n",
        scripts.folder.path()
    );
    let config = scripts.file("beamq.yaml", &config);
    fs::create_dir(scripts.folder.path().join("commands")).unwrap();
    scripts.file(
        "commands/own.yaml",
        "catalogue: 1\ncommands:\n  settle:\n    summary: Settles.\n    implementation: lab:settle\n    estimate: 90\n",
    );
    let file = scripts.file("a.py", "from beamq.commands import settle\nsettle()\nimport lab_motor\n");
    let json = run(program().args(["dry-run", "--json", "--config"]).arg(&config).arg(&file), b"");
    // A script may be allowed to do what a dry run is not.
    let json = json.expect_code(0).document();
    let report = &json["scripts"][0]["report"];
    let finding = &report["findings"][0];
    assert_eq!((&finding["code"], &finding["line"]), (&json!("hardware_import"), &json!(3)), "{report}");
    assert!(finding["message"].as_str().unwrap().contains("lab_motor"), "{report}");
    assert_eq!(report["timeline"][0]["dt_s"], 90.0, "{report}");
    // A list of one's own stands in place of the other.
    let file = scripts.file("b.py", "try:\n    import epics\nexcept ImportError:\n    pass\n");
    let json = run(program().args(["dry-run", "--json", "--config"]).arg(&config).arg(&file), b"");
    assert_eq!(json.expect_code(0).document()["scripts"][0]["report"]["findings"], json!([]));
    let shown = run(program().args(["dry-run", "--config", "/no/such.yaml"]).arg(&file), b"").expect_code(2);
    assert!(shown.err.contains("/no/such.yaml"), "{shown:?}");
}

#[test]
fn a_job_and_the_queue_of_a_server_are_forecast_with_their_exit_codes() {
    let server = Server::start();
    server.run(&["queue", "hold"]).expect_code(0);
    let good = server.submit("from beamq.commands import *\nset_temperature(280, wait=True)\n");
    let next = server.submit("from beamq.commands import *\nset_temperature(270, wait=True)\n");
    let shown = server.run(&["dry-run", "--job", &good, "--at", "2040-03-01T22:00:00Z"]).expect_code(0).out;
    for wanted in ["5 min 30 s", "set_temperature(value=280, wait=True)", "Temperature", "2040-03-01"] {
        assert!(shown.contains(wanted), "{wanted}\n{shown}");
    }
    let queue = server.json(&["dry-run", "--queue", "--at", "2040-03-01T22:00:00Z"]);
    assert_eq!(queue["jobs"][0]["expected_start"], "2040-03-01T22:00:00+00:00", "{queue}");
    // From 290 K to 280 K, and from there to 270 K.
    assert_eq!(queue["jobs"][1]["estimate"]["expected_s"], 330.0, "{queue}");
    let fits = ["dry-run", "--queue", "--at", "2040-03-01T22:00:00Z", "--before"];
    server.run(&[&fits[..], &["2040-03-01T22:12:00Z"]].concat()).expect_code(0);
    let late = server.run(&[&fits[..], &["2040-03-01T22:08:00Z"]].concat()).expect_code(1);
    assert!(late.out.contains(&next), "{late:?}");
    // A time of day is the next one behind the begin, and a span is one from there.
    for (before, code) in [("22:12", 0), ("22:08", 1), ("21:00", 0), ("12 min", 0), ("8 min", 1)] {
        run(server.command(&[&fits[..], &[before]].concat()).env("TZ", "UTC"), b"").expect_code(code);
    }
    let drawing = server.data().join("job.svg");
    server.run(&["dry-run", "--job", &good, "--svg", drawing.to_str().unwrap()]).expect_code(0);
    assert!(fs::read_to_string(&drawing).unwrap().contains("set_temperature"));
    // What would be without effect is refused.
    for idle in [["--queue", "--svg=x.svg"], ["--queue", "--config=x.yaml"], ["--queue", "--commands=x"]] {
        server.run(&[&["dry-run"], &idle[..]].concat()).expect_code(2);
    }

    let bad = server.submit("from beamq.commands import *\nbegin()\ncset('Theta', 4 * 30)\n");
    let shown = server.run(&["dry-run", "--job", &bad]).expect_code(1);
    assert!(shown.out.contains("line 3") && shown.out.contains("cannot go to 120 deg"), "{shown:?}");
    let report =
        run(server.command(&["dry-run", "--job", &bad]).arg("--json"), b"").expect_code(1).document();
    assert_eq!((&report["ok"], &report["findings"][0]["line"]), (&json!(false), &json!(3)));
    let queue = server.run(&["dry-run", "--queue"]).expect_code(1);
    assert!(queue.out.contains("would fail"), "{queue:?}");
    let unknown = server.run(&["dry-run", "--job", "999"]).expect_code(1);
    assert!(unknown.err.contains("999"), "{unknown:?}");
}
