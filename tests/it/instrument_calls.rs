//! R13, R14: what is known of the calls of commands when something goes wrong in them.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Home, QUICK, Server};

const CATALOGUE: &str = "\
catalogue: 1
group: Laboratory
commands:
  weigh:
    summary: Weighs a sample.
    parameters:
      grams: {type: number, unit: g, minimum: 0, maximum: 100}
      label: {type: string, default: sample}
    implementation: laboratory:weigh
  weigh_quietly:
    summary: Weighs a sample; errors are printed and swallowed.
    parameters:
      grams: {type: number, unit: g, minimum: 0, maximum: 100}
    implementation: laboratory:weigh_quietly
  crash:
    summary: Ends the process.
    parameters:
      how: {type: string, default: hard}
    implementation: laboratory:crash
";

/// A library in the manner of those that instruments have.
const LIBRARY: &str = "\
import functools, os, signal, traceback
import beamq

def handled(function):
    @functools.wraps(function)
    def decorated(*given, **named):
        try:
            return function(*given, **named)
        except Exception:
            traceback.print_exc()
    return decorated

def weigh(grams, label='sample'):
    if grams > 50:
        raise RuntimeError('the balance takes 50 g, not %g g' % grams)
    return grams

@handled
def weigh_quietly(grams):
    return weigh(grams)

def crash(how='hard'):
    os.kill(os.getpid(), signal.SIGKILL)

def tare():
    try:
        raise OSError('the balance does not answer')
    except OSError as error:
        beamq.report_error(error, 'tare', port=3)
";

/// A server with a catalogue of its own.
async fn laboratory(config: &str) -> Server {
    let home = Home::new(&format!("{QUICK}{config}"));
    let folder = home.path().join("commands");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("laboratory.yaml"), CATALOGUE).unwrap();
    fs::write(folder.join("laboratory.py"), LIBRARY).unwrap();
    home.start().await
}

/// Runs a script and gives the state it ended in and its report.
async fn report(server: &Server, script: &str) -> (String, Value) {
    let mut user = server.client().await;
    let id = user.submit("a script", script).await;
    user.ended(&id).await;
    let job = user.job(&id).await;
    if user.queue().await["state"] == "held" {
        user.call("queue.release", json!({})).await;
    }
    (job["state"].as_str().unwrap().to_owned(), job["report"].clone())
}

#[tokio::test]
async fn r14_an_error_that_a_decorator_swallows_is_listed_and_the_job_is_no_plain_success() {
    let server = laboratory("").await;
    let script = "\
from beamq.commands import *
weigh_quietly(40)
for grams in (60, 70):
    weigh_quietly(grams)
weigh_quietly(10)
";
    let (state, report) = report(&server, script).await;
    assert_eq!(state, "succeeded_with_errors", "{report:#}");
    let expected = |grams: f64| {
        json!({
            "command": "weigh_quietly", "arguments": {"grams": grams}, "line": 4,
            "message": format!("RuntimeError: the balance takes 50 g, not {grams} g"),
        })
    };
    let errors = report["command_errors"].as_array().unwrap();
    assert_eq!(errors.len(), 2, "{errors:#?}");
    for (error, grams) in errors.iter().zip([60.0, 70.0]) {
        assert_eq!(error["arguments"]["grams"].as_f64(), Some(grams));
        let mut error = error.clone();
        error["arguments"]["grams"] = json!(grams);
        assert_eq!(error, expected(grams));
    }
}

#[tokio::test]
async fn r14_a_library_reports_what_it_swallowed_through_the_hook() {
    let server = laboratory("").await;
    let (state, report) = report(&server, "import laboratory\n\nlaboratory.tare()\n").await;
    assert_eq!(state, "succeeded_with_errors", "{report:#}");
    let expected = json!([{
        "command": "tare", "arguments": {"port": 3}, "line": 3,
        "message": "OSError: the balance does not answer",
    }]);
    assert_eq!(report["command_errors"], expected);
}

#[tokio::test]
async fn r14_the_policy_can_make_swallowed_errors_a_failure_or_let_them_pass() {
    for (policy, ends) in [("fail", "failed"), ("ignore", "succeeded")] {
        let server = laboratory(&format!("jobs: {{command_errors: {policy}}}\n")).await;
        let (state, report) = report(&server, "from beamq.commands import *\nweigh_quietly(60)\n").await;
        assert_eq!(state, ends, "{report:#}");
    }
}

#[tokio::test]
async fn r13_a_failing_command_is_in_the_report_with_its_arguments() {
    let server = laboratory("").await;
    let script = "from beamq.commands import *\nweigh(10)\ntry:\n    weigh(55, label='first')\nexcept RuntimeError:\n    pass\nweigh(60)\n";
    let (state, report) = report(&server, script).await;
    assert_eq!(state, "failed");
    assert_eq!((&report["type"], &report["line"]), (&json!("RuntimeError"), &json!(7)), "{report:#}");
    assert_eq!(report["command"]["name"], "weigh");
    assert_eq!(report["command"]["arguments"]["grams"].as_f64(), Some(60.0));
    // The one that the script went on after is listed, the one that ended it is not.
    let errors = report["command_errors"].as_array().unwrap();
    assert_eq!(errors.len(), 1, "{errors:#?}");
    assert_eq!((&errors[0]["line"], &errors[0]["arguments"]["label"]), (&json!(4), &json!("first")));
}

#[tokio::test]
async fn r14_a_refused_argument_that_the_script_goes_on_after_is_no_plain_success() {
    let server = laboratory("").await;
    let script = "\
import threading
from beamq.commands import *
try:
    weigh(200)
except ValueError:
    pass
def other():
    try: weigh(gramms=1)
    except TypeError: pass
thread = threading.Thread(target=other)
thread.start()
thread.join()
try:
    weigh_quietly(300)
except Exception:
    weigh('heavy')
";
    let (state, report) = report(&server, script).await;
    assert_eq!(state, "failed", "{report:#}");
    assert_eq!(report["hint"], "`beamq commands weigh` shows what it takes", "{report:#}");
    let errors = report["command_errors"].as_array().unwrap();
    let told: Vec<_> =
        errors.iter().map(|error| (&error["command"], &error["arguments"], &error["line"])).collect();
    // What ended the script, and what led to it, is in the report and not in the list.
    let expected = [
        (&json!("weigh"), &json!({"grams": 200}), &json!(4)),
        (&json!("weigh"), &json!({"gramms": 1}), &Value::Null),
    ];
    assert_eq!(told, expected, "{report:#}");
    let (state, report) =
        self::report(&server, "from beamq.commands import *\ntry: weigh(200)\nexcept ValueError: pass\n")
            .await;
    assert_eq!(state, "succeeded_with_errors", "{report:#}");
}

#[tokio::test]
async fn r11_r13_the_command_in_which_a_process_died_is_known() {
    let server = laboratory("").await;
    let (state, report) =
        report(&server, "from beamq.commands import *\nweigh_quietly(60)\ncrash(how='now')\n").await;
    assert_eq!((state.as_str(), &report["signal"]), ("failed", &json!("SIGKILL")), "{report:#}");
    assert_eq!(report["command"], json!({"name": "crash", "arguments": {"how": "now"}}));
    assert_eq!(report["command_errors"][0]["command"], "weigh_quietly");
}

#[tokio::test]
async fn r15_a_wrong_argument_is_refused_before_anything_happens() {
    let server = laboratory("").await;
    let (state, report) = report(&server, "from beamq.commands import weigh\nweigh(gramms=5)\n").await;
    assert_eq!(state, "failed");
    let message = report["message"].as_str().unwrap();
    assert_eq!(message, "weigh has no parameter gramms; allowed: grams, label; did you mean grams?");
    assert_eq!((&report["line"], report.get("command")), (&json!(2), None), "{report:#}");
    let text = "from beamq.commands import wiegh\n";
    let (_, report) = self::report(&server, text).await;
    assert_eq!((&report["phase"], &report["type"]), (&json!("import"), &json!("ImportError")));
    assert_eq!(report["hint"], "did you mean 'weigh'?");
    for (script, hint) in [
        ("weigh(5)\n", "'from beamq.commands import weigh' is missing"),
        (
            "wiegh_quietly(5)\n",
            "did you mean 'weigh_quietly'? 'from beamq.commands import weigh_quietly' is missing",
        ),
    ] {
        let (_, report) = self::report(&server, script).await;
        assert_eq!(report["hint"], hint);
    }
}
