//! Dry runs by NICOS itself, with a real daemon and its simulator: reports, estimates, what a script does wrong,
//! a daemon that cannot simulate, and the proxy dialect's `simulate` with either engine.

use serde_json::{Value, json};

use crate::{
    harness::{Server, User},
    nicos_daemon::Daemon,
    nicos_engine::is_engine,
    proxy::Gui,
    support,
};

/// Two minutes of which NICOS's simulator knows, and where two motors go.
const MOVES: &str = "print('begins')\nmaw(m1, 5)\nfor i in range(3):\n    maw(slow, i)\nsleep(100)\n";

async fn serving(daemon: &Daemon) -> (Server, User) {
    let server = daemon.server("queue: {after_failure: continue, after_abort: continue}\n").await;
    let mut user = server.client().await;
    is_engine(&mut user, "ready", "").await;
    (server, user)
}

async fn dry_run(user: &User, script: &str) -> Value {
    user.call("dryrun.script", json!({"script": script})).await
}

/// The finding with this code.
fn finding<'a>(report: &'a Value, code: &str) -> &'a Value {
    let findings = report["findings"].as_array().unwrap();
    findings.iter().find(|finding| finding["code"] == code).unwrap_or_else(|| panic!("no {code}: {report:#}"))
}

fn device<'a>(report: &'a Value, name: &str) -> &'a Value {
    let devices = report["devices"].as_array().unwrap();
    devices.iter().find(|device| device["name"] == name).unwrap_or_else(|| panic!("no {name}: {report:#}"))
}

#[tokio::test]
async fn a_dry_run_says_how_long_it_takes_and_where_devices_go_and_the_job_has_its_estimate() {
    let daemon = Daemon::with_cache().await;
    let (server, mut user) = serving(&daemon).await;

    let report = dry_run(&user, MOVES).await;
    assert_eq!(report["ok"], true, "{report:#}");
    assert_eq!(report["totals"]["seconds"]["expected"], 102.0, "{report:#}");
    assert_eq!(report["totals"]["seconds"]["at_least"], false);
    assert_eq!(device(&report, "m1")["end"], 5.0, "{report:#}");
    let slow = device(&report, "slow");
    assert_eq!((&slow["min"], &slow["max"], &slow["limit_hit"]), (&json!(0.0), &json!(2.0), &json!(false)));
    assert_eq!(finding(&report, "confinement")["severity"], "note");

    user.call("queue.hold", json!({})).await;
    let id = user.submit("moves", MOVES).await;
    assert_eq!(user.job(&id).await["estimate"], Value::Null, "nobody has asked NICOS yet");
    let from = user.seen.len();
    let report = user.call("dryrun.job", json!({"id": id})).await;
    assert_eq!(report["totals"]["seconds"]["expected"], 102.0, "{report:#}");
    let told = user
        .event("the estimate", from, |event| {
            event["method"] == "event.job" && event["params"]["job"]["estimate"].is_object()
        })
        .await;
    let estimate = &told["params"]["job"]["estimate"];
    assert_eq!((&estimate["expected_s"], &estimate["source"]), (&json!(102.0), &json!("simulated")));

    // The command line shows the same.
    let data = server.home.data();
    let command = |arguments: &[&str]| {
        let mut command = support::program();
        command.arg("--data").arg(&data).args(arguments);
        support::run(&mut command, b"")
    };
    let shown = command(&["dry-run", "--job", &id]).expect_code(0).out;
    assert!(shown.contains("1 min 42 s") && shown.contains("slow"), "{shown}");
    let document = command(&["dry-run", "--job", &id, "--json"]).expect_code(0).document();
    assert_eq!(document["totals"]["seconds"]["expected"], 102.0, "{document:#}");

    // What comes after it is simulated from where the instrument is now, and says so.
    let second = user.submit("moves on", "maw(slow, 4)\n").await;
    let queue = user.call("dryrun.queue", json!({})).await;
    assert_eq!(queue["jobs"][0]["estimate"]["expected_s"], 102.0, "{queue:#}");
    let from_zero = queue["jobs"][1]["estimate"]["expected_s"].as_f64().unwrap();
    assert!(queue["expected_finish"].is_string(), "{queue:#}");
    let says_so = |job: &Value| {
        job["findings"].as_array().unwrap().iter().any(|finding| finding["code"] == "starts_from_now")
    };
    assert_eq!((says_so(&queue["jobs"][0]), says_so(&queue["jobs"][1])), (false, true), "{queue:#}");
    let report = user.call("dryrun.job", json!({"id": second})).await;
    assert_eq!(device(&report, "slow")["start"].as_f64().or(Some(0.0)), Some(0.0), "{report:#}");
    assert_eq!(report["totals"]["seconds"]["expected"].as_f64(), Some(from_zero), "{report:#}");
    assert_eq!(finding(&report, "starts_from_now")["severity"], "note");
    let shown = command(&["dry-run", "--queue"]).expect_code(0).out;
    assert!(shown.contains("not as the jobs before this one leave it"), "{shown}");
    assert!(!says_so(&user.call("dryrun.job", json!({"id": id})).await));

    // Nothing has moved.
    let at = user.run_now("print(m1.read(), slow.read())\n").await;
    assert_eq!(at, ["0.0", "0.0"]);
}

impl User {
    /// Runs a script although the queue is held by a test, and gives what it wrote.
    async fn run_now(&mut self, script: &str) -> Vec<String> {
        self.call("queue.clear", json!({})).await;
        self.call("queue.release", json!({})).await;
        let id = self.submit("now", script).await;
        self.ends(&id, "succeeded").await;
        self.output(&id).await
    }
}

#[tokio::test]
async fn what_would_go_wrong_is_found_with_its_line_and_without_the_values_of_variables() {
    let daemon = Daemon::with_cache().await;
    let (_server, user) = serving(&daemon).await;

    let report = dry_run(&user, "secret = 31415\nprint('on the way')\nmaw(m1, secret)\n").await;
    assert_eq!(report["ok"], false, "{report:#}");
    let error = finding(&report, "script_error");
    assert_eq!((&error["line"], &error["severity"]), (&json!(3), &json!("error")), "{report:#}");
    assert!(error["message"].as_str().unwrap().contains("Out of bounds: [m1] moving to"), "{report:#}");
    assert_eq!(device(&report, "m1")["limit_hit"], true);
    assert_eq!(report["totals"]["seconds"]["expected"], Value::Null);
    assert!(!report.to_string().contains("= 31415"), "{report:#}");

    // Reading the script has found this already, at the same line.
    let report = dry_run(&user, "import sys\nsys.exit()\n").await;
    assert_eq!(
        (&report["ok"], &finding(&report, "nicos_exit")["line"]),
        (&json!(false), &json!(2)),
        "{report:#}"
    );
    let report = dry_run(&user, "def leave():\n    raise SystemExit\nleave()\n").await;
    assert!(finding(&report, "script_error")["hint"].as_str().unwrap().contains("thread"), "{report:#}");

    let report = dry_run(&user, "import time\ntime.sleep(5)\n").await;
    let error = finding(&report, "script_error");
    assert!(error["message"].as_str().unwrap().contains("instead of 'time.sleep'"), "{report:#}");
    user.call("queue.hold", json!({})).await;
    let submitted = json!({"job": {"name": "sleeps", "script": "import time\ntime.sleep(5)\n"}});
    let submitted = user.call("job.submit", submitted).await;
    assert_eq!(submitted["findings"][0]["code"], "nicos_time_sleep", "{submitted:#}");

    let report = dry_run(&user, "from nicos import session\nsession.log.warning('careful')\n").await;
    assert_eq!(report["ok"], true, "{report:#}");
    let warning = finding(&report, "nicos_warning");
    assert_eq!((&warning["severity"], &warning["message"]), (&json!("warning"), &json!("careful")));
}

#[tokio::test]
async fn a_dry_run_that_does_not_end_is_cut_short_in_nicos_too() {
    let daemon = Daemon::with_cache().await;
    let (_server, user) = serving(&daemon).await;
    let report = dry_run(&user, "n = 0\nwhile True:\n    n += 1\n").await;
    assert_eq!((&report["ok"], &report["truncated"]), (&json!(false), &json!(true)), "{report:#}");
    assert!(finding(&report, "too_long")["message"].as_str().unwrap().contains("10 s"), "{report:#}");
    // Its process is gone, and the next one is run.
    let (nicos, _events) = daemon.admin().await;
    let running = "[t.name for t in __import__('threading').enumerate() if t.name == 'SimulationSupervisor']";
    let running =
        nicos.call(beamq::wire::nicos::Command::Eval, &[json!(running), json!(false)]).await.unwrap();
    assert_eq!(running, json!([]));
    assert_eq!(dry_run(&user, "sleep(3)\n").await["totals"]["seconds"]["expected"], 3.0);
}

#[tokio::test]
async fn a_nicos_that_cannot_simulate_is_no_fault_of_the_script() {
    let daemon = Daemon::start().await;
    let (_server, user) = serving(&daemon).await;
    let report = dry_run(&user, MOVES).await;
    assert_eq!((&report["ok"], &report["totals"]["seconds"]["at_least"]), (&json!(true), &json!(true)));
    let finding = finding(&report, "not_simulated");
    assert_eq!(finding["severity"], "warning");
    assert!(finding["message"].as_str().unwrap().contains("no cache is configured"), "{report:#}");
}

#[tokio::test]
async fn a_nicos_that_is_away_is_no_fault_of_the_script() {
    let server = Daemon::prepared("").server("").await;
    let report = dry_run(&server.client().await, MOVES).await;
    assert_eq!(report["ok"], true, "{report:#}");
    let finding = finding(&report, "not_simulated");
    assert!(finding["message"].as_str().unwrap().contains("no NICOS daemon can be reached"), "{report:#}");
}

/// What a client of NICOS relies on: nothing but an acknowledgement, then messages and one result with its id.
async fn simulates(gui: &mut Gui) {
    for (code, good) in [("x = 1\n", true), ("x = 1\n1/0\n", false)] {
        let simulate = json!({"command": "simulate", "name": "a script", "code": code, "uuid": "my-own"});
        assert_eq!(gui.does(simulate).await, Value::Null);
        let mut passed = gui.until("simresult", |event| event["event"] == "simresult").await;
        let result = passed.pop().unwrap()["payload"].clone();
        assert_eq!((result[0].as_f64().unwrap() >= 0.0, &result[2]), (good, &json!("my-own")), "{result}");
        assert!(result[1].is_object(), "{result}");
        let messages: Vec<_> = passed.iter().filter(|event| event["event"] == "simmessage").collect();
        assert!(messages.iter().all(|message| message["payload"][5] == "my-own"), "{messages:#?}");
        let errors: Vec<_> = messages.iter().filter(|message| message["payload"][2] == 40).collect();
        assert_eq!(errors.is_empty(), good, "{messages:#?}");
        assert!(
            errors.iter().all(|error| error["payload"][3].as_str().unwrap().contains("ZeroDivisionError"))
        );
    }
}

#[tokio::test]
async fn clients_of_the_proxy_dialect_simulate_with_either_engine() {
    let server = Server::start().await;
    simulates(&mut Gui::login(&server, "ibex").await).await;

    let daemon = Daemon::with_cache().await;
    let (server, _user) = serving(&daemon).await;
    let mut gui = Gui::login(&server, "ibex").await;
    simulates(&mut gui).await;

    // With NICOS its own words come through.
    let simulate = json!({"command": "simulate", "name": "", "code": MOVES, "uuid": "moves"});
    gui.does(simulate).await;
    let mut passed = gui.until("simresult", |event| event["event"] == "simresult").await;
    let result = passed.pop().unwrap()["payload"].clone();
    assert_eq!((&result[0], &result[1]["slow"][2]), (&json!(102.0), &json!("2.000")), "{result}");
    let texts: Vec<_> = passed.iter().map(|event| event["payload"][3].as_str().unwrap_or_default()).collect();
    assert!(texts.contains(&"begins\n") && texts.contains(&"Dry run finished\n"), "{texts:?}");
}
