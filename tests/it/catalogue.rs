//! The commands of an instrument, from their files to the queue.

use std::{
    fs,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::support::{Process, Server, program, run, until};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/catalogue");

fn laboratory() -> String {
    fs::read_to_string(Path::new(FIXTURES).join("commands/testlab.yaml")).unwrap()
}

fn server() -> Server {
    Server::start_with_files("", &[("commands/testlab.yaml", &laboratory())])
}

/// Writes the catalogue anew, as an editor does that renames.
fn save(server: &Server, text: &str) {
    let folder = server.data().parent().unwrap().join("commands");
    fs::write(folder.join(".testlab.yaml.new"), text).unwrap();
    fs::rename(folder.join(".testlab.yaml.new"), folder.join("testlab.yaml")).unwrap();
}

fn version(server: &Server) -> String {
    server.json(&["status"])["catalogue"]["version"].as_str().unwrap().to_owned()
}

#[test]
fn r16_commands_beside_the_configuration_are_served() {
    let server = server();
    let list = server.json(&["commands"]);
    let names: Vec<_> = list["commands"].as_array().unwrap().iter().map(|command| &command["name"]).collect();
    assert_eq!(names, ["scan", "set_aperture", "set_field", "set_temperature"]);
    assert_eq!(list["problems"], json!([]));
    let command = server.json(&["commands", "set_temperature"]);
    assert_eq!(command["parameters"]["value"]["unit"], "K");
    assert_eq!(command["parameter_order"], json!(["value", "wait"]));
    let page = server.run(&["commands", "set_temperature"]).expect_code(0).out;
    assert!(page.contains("a number from 0.1 to 300 K, or keep"), "{page}");
    let unknown = server.run(&["commands", "set_temprature"]).expect_code(1);
    assert!(unknown.err.contains("did you mean set_temperature?"), "{unknown:?}");
}

#[test]
fn the_worker_is_told_the_catalogue() {
    let server = server();
    let text = fs::read_to_string(server.data().join("work/catalogue.json")).unwrap();
    let told: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(told["version"], version(&server).as_str());
    assert_eq!(told["commands"]["scan"]["implementation"], "testlab.devices:scan");
    assert_eq!(
        told["commands"]["scan"]["parameter_order"],
        json!(["axis", "places", "seconds", "background"])
    );
    let folder = server.data().parent().unwrap().join("commands");
    assert_eq!(told["path"], json!([folder.to_str().unwrap()]));
}

#[test]
fn r15_a_refused_call_names_the_parameter_the_value_the_limits_and_what_was_meant() {
    let server = server();
    for (arguments, complaint) in [
        (
            &["set_temperature", "value=350"][..],
            "set_temperature: value: 350 K is above the maximum of 300 K",
        ),
        (&["set_temperature", "value=kep"], "did you mean keep?"),
        (&["set_temperature"], "set_temperature: value is missing (Set point.)"),
        (&["set_temperature", "valeu=5", "value=5"], "did you mean value?"),
        (&["set_temperature", "valu=5"], "did you mean value?"),
        (&["set_aperture", "size=SMAL"], "did you mean SMALL?"),
        (&["scan", "axis=s1", "places=1,2", "seconds=0.25"], "no multiple of the step 0.1"),
        (&["scan", "axis=S1", "places=1,2"], "does not match the pattern"),
        (&["scan", "axis=s1", "places=1,x"], "places[1]"),
        (&["set_temprature", "value=5"], "did you mean set_temperature?"),
    ] {
        let refused = server.run(&[&["call"], arguments].concat()).expect_code(1);
        assert!(refused.err.contains(complaint), "{arguments:?}: {}", refused.err);
    }
    let twice = server.run(&["call", "set_temperature", "value=5", "value=6"]).expect_code(2);
    assert!(twice.err.contains("`value` is given twice: `5` and `6`"), "{}", twice.err);
    assert_eq!(server.order(), Vec::<String>::new());
}

#[test]
fn a_good_call_is_queued_with_its_values_typed() {
    let server = server();
    server.run(&["queue", "hold"]).expect_code(0);
    let queued = server.json(&["call", "scan", "axis=s1", "places=0,0.5,1", "seconds=0.3"]);
    let id = queued["jobs"][0]["id"].as_str().unwrap().to_owned();
    let queue = server.json(&["queue", "list"]);
    assert_eq!(queue["waiting"][0]["id"], id.as_str());
    assert_eq!(queue["waiting"][0]["kind"], "commands");
    assert_eq!(queue["waiting"][0]["name"], r#"scan(axis="s1", places=[0, 0.5, 1], seconds=0.3)"#);
}

#[test]
fn r17_a_saved_file_is_in_force_within_a_second() {
    let server = server();
    let mut watching = Process::spawn(server.command(&["watch", "--json"]).stdout(Stdio::piped()));
    let events = watching.lines();
    let next = |method: &str, longest: Duration| -> Option<Value> {
        let until = Instant::now() + longest;
        while let Ok(line) = events.recv_timeout(until.saturating_duration_since(Instant::now())) {
            let event: Value = serde_json::from_str(&line).unwrap();
            if event["method"] == method {
                return Some(event["params"].clone());
            }
        }
        None
    };
    // An event of the queue says that the subscription holds.
    until("the watcher has subscribed", || {
        server.run(&["queue", "hold"]);
        server.run(&["queue", "release"]);
        next("event.queue", Duration::from_millis(300)).is_some()
    });
    let before = version(&server);
    save(&server, &laboratory().replace("maximum: 300", "maximum: 200"));
    let event = next("event.catalogue", Duration::from_secs(1)).expect("an event within a second");
    assert_ne!(event["version"], before.as_str());
    assert_eq!(event["commands"], 4);
    assert_eq!(event["problems"], json!([]));
}

#[test]
fn r17_a_bad_file_is_listed_and_leaves_its_last_good_version_in_force() {
    let server = server();
    let before = version(&server);
    save(&server, &laboratory().replace("unit: K", "unit: Kelvin"));
    let mut status = Value::Null;
    until("the mistake is listed", || {
        status = server.json(&["status"])["catalogue"].clone();
        status["problems"].as_array().is_some_and(|problems| !problems.is_empty())
    });
    let problem = &status["problems"][0];
    assert_eq!((&problem["line"], &problem["column"]), (&json!(9), &json!(35)), "{problem}");
    assert_eq!(problem["code"], "unknown_unit");
    assert!(problem["hint"].as_str().unwrap().contains("did you mean `K`?"), "{problem}");
    assert_eq!((&status["version"], &status["commands"]), (&json!(before), &json!(4)));
    save(&server, &laboratory());
    until("the mistake is gone", || server.json(&["status"])["catalogue"]["problems"] == json!([]));
}

#[test]
fn r17_waiting_jobs_are_judged_again_and_flagged_and_never_dropped() {
    let mut server = server();
    server.run(&["queue", "hold"]).expect_code(0);
    server.json(&["call", "set_temperature", "value=250"]);
    server.json(&["call", "set_temperature", "value=5"]);
    let findings = |server: &Server| -> Vec<Value> {
        let queue = server.json(&["queue", "list"]);
        queue["waiting"].as_array().unwrap().iter().map(|job| job["findings"].clone()).collect()
    };
    assert_eq!(findings(&server), [Value::Null, Value::Null]);
    save(&server, &laboratory().replace("maximum: 300", "maximum: 200"));
    until("the job is flagged", || findings(&server)[0] != Value::Null);
    let flagged = findings(&server);
    assert_eq!(flagged[0][0]["message"], "set_temperature: value: 250 K is above the maximum of 200 K");
    assert_eq!((&flagged[0][0]["line"], &flagged[0][0]["parameter"]), (&json!(1), &json!("value")));
    assert_eq!(flagged[1], Value::Null, "the other job is as good as before");

    server.crash_and_restart();
    until("a restart finds the same", || findings(&server) == flagged);
    save(&server, &laboratory());
    until("the flag is gone", || findings(&server)[0] == Value::Null);
}

#[test]
fn a_server_without_a_catalogue_of_its_own_has_the_shipped_one() {
    let server = Server::start();
    let status = server.json(&["status"])["catalogue"].clone();
    assert_eq!(status["problems"], json!([]), "{status}");
    assert!(server.data().join("work/commands").is_dir());
}

#[test]
fn check_tells_good_from_bad_in_three_forms() {
    let good = Path::new(FIXTURES).join("commands");
    let good = run(program().arg("check").arg(&good), b"").expect_code(0);
    assert_eq!(good.out, "good: 4 commands in 1 file\n");
    let bad = Path::new(FIXTURES).join("mistakes/unit_misspelt.yaml");
    let text = run(program().arg("check").arg(&bad), b"").expect_code(1);
    assert!(text.out.contains("error[unknown_unit]: there is no unit `Kelvin`"), "{text:?}");
    let json = run(program().args(["check", "--json"]).arg(&bad), b"").expect_code(1).document();
    assert_eq!((&json["ok"], &json["findings"][0]["line"]), (&json!(false), &json!(7)));
    let github = run(program().args(["check", "--format", "github"]).arg(&bad), b"").expect_code(1);
    assert!(github.out.starts_with("::error file="), "{github:?}");
    assert!(github.out.contains("line=7,col=35,title=unknown_unit::there is no unit"), "{github:?}");
    run(program().args(["check", "/nonexistent"]), b"").expect_code(2);
}

#[test]
fn check_import_compares_the_catalogue_with_its_python() {
    let folder = tempfile::tempdir().unwrap();
    let package = folder.path().join("testlab");
    fs::create_dir(&package).unwrap();
    fs::write(package.join("__init__.py"), "print('noise while importing')\n").unwrap();
    fs::write(folder.path().join("testlab.yaml"), laboratory()).unwrap();
    let python = fs::read_to_string(Path::new(FIXTURES).join("commands/testlab/devices.py")).unwrap();
    let check = |python: &str| {
        fs::write(package.join("devices.py"), python).unwrap();
        run(program().args(["check", "--import", "--json"]).arg(folder.path()), b"")
    };
    assert_eq!(check(&python).expect_code(0).document()["findings"], json!([]));
    for (old, new, code, message) in [
        ("wait=False", "wait=True", "default_differs", "False in the catalogue and True in"),
        ("def set_aperture(size)", "def set_aperture(sise)", "signature_differs", "has no parameter size"),
        ("def set_field", "def set_feild", "no_function", "there is no set_field in the module"),
        ("\"\"\"Devices", "import nowhere\n\"\"\"Devices", "import_failed", "No module named 'nowhere'"),
    ] {
        let found = check(&python.replace(old, new)).expect_code(1).document();
        let findings = found["findings"].as_array().unwrap();
        let expected = findings
            .iter()
            .any(|finding| finding["code"] == code && finding["message"].as_str().unwrap().contains(message));
        assert!(expected, "{new}: {found}");
    }
}

#[test]
fn schemas_and_stubs_are_printed_without_a_server() {
    for which in ["catalogue", "config", "native", "events", "openrpc"] {
        let schema = run(program().args(["schema", which]), b"").expect_code(0).document();
        assert!(schema.is_object(), "{which}");
    }
    let folder = Path::new(FIXTURES).join("commands");
    let stubs = run(program().args(["schema", "--stubs", "--commands"]).arg(&folder), b"").expect_code(0).out;
    assert!(
        stubs.contains(r#"def set_temperature(value: float | Literal["keep"], wait: bool = False) -> Any:"#),
        "{stubs}"
    );
    let compiled = run(
        std::process::Command::new("python3")
            .args(["-c", "import sys; compile(sys.stdin.read(), 's', 'exec')"]),
        stubs.as_bytes(),
    );
    compiled.expect_code(0);
    let page = run(program().args(["schema", "--docs", "--commands"]).arg(&folder), b"").expect_code(0).out;
    assert!(
        page.contains("| `value` | a number from 0.1 to 300 K, or keep | required | Set point. |"),
        "{page}"
    );
}
