//! R12: a script is judged when it is submitted, and on request, without being run.

use std::fs;

use serde_json::{Value, json};

use crate::{
    harness::Server,
    support::{program, run},
};

const TOO_HOT: &str = "from beamq.commands import *\nset_temprature(5)\n";

fn codes(findings: &Value) -> Vec<&str> {
    findings.as_array().unwrap().iter().map(|finding| finding["code"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_script_with_a_syntax_error_is_accepted_with_an_error_finding_and_can_be_edited() {
    let server = Server::start().await;
    let user = server.client().await;
    user.call("queue.hold", json!({"why": "checks"})).await;
    let reply = user.call("job.submit", json!({"job": {"name": "bad", "script": "print((1)\n"}})).await;
    assert_eq!(codes(&reply["findings"]), ["syntax_error"]);
    let finding = &reply["findings"][0];
    assert_eq!(
        (&finding["severity"], &finding["line"], &finding["column"]),
        (&json!("error"), &json!(1), &json!(6))
    );
    assert_eq!(finding["message"], "'(' was never closed");
    let id = reply["id"].clone();
    let edited = user.call("job.edit", json!({"id": id, "script": TOO_HOT})).await;
    assert_eq!(codes(&edited["job"]["findings"]), ["unknown_command"]);
    let edited = user.call("job.edit", json!({"id": id, "script": "print(1)\n"})).await;
    assert_eq!(edited["job"]["findings"], Value::Null);
    let good = user.call("job.submit", json!({"job": {"name": "good", "script": "print(1)\n"}})).await;
    assert_eq!(good["findings"], json!([]));
}

#[tokio::test]
async fn a_static_dry_run_reads_scripts_calls_and_jobs() {
    let server = Server::start().await;
    let user = server.client().await;
    user.call("queue.hold", json!({"why": "checks"})).await;
    let report = user.call("dryrun.script", json!({"script": TOO_HOT, "mode": "static"})).await;
    assert_eq!((&report["ok"], codes(&report["findings"])), (&json!(false), vec!["unknown_command"]));
    assert_eq!((&report["timeline"], &report["totals"]["seconds"]["at_least"]), (&json!([]), &json!(true)));
    // Only the interpreter itself knows this one.
    let script = "def f():\n    x = 1\n    global x\n";
    let report = user.call("dryrun.script", json!({"script": script, "mode": "static"})).await;
    assert_eq!(codes(&report["findings"]), ["syntax_error"]);
    let job = user.call("job.submit", json!({"job": {"name": "bad", "script": TOO_HOT}})).await;
    let report = user.call("dryrun.job", json!({"id": job["id"], "mode": "static"})).await;
    assert_eq!(codes(&report["findings"]), ["unknown_command"]);
    let calls = json!([{"command": "nothing_like_it", "parameters": {}}]);
    let report = user.call("dryrun.commands", json!({"commands": calls, "mode": "static"})).await;
    assert_eq!((&report["ok"], codes(&report["findings"])), (&json!(false), vec!["unknown_command"]));
    let refused = user.refused("dryrun.script", json!({"script": "print(1)"})).await;
    assert_eq!(refused.data["kind"], "unavailable");
}

#[test]
fn check_shows_what_is_wrong_with_scripts() {
    let folder = tempfile::tempdir().unwrap();
    let good = folder.path().join("good.py");
    fs::write(&good, "print(1)\n").unwrap();
    assert_eq!(run(program().arg("check").arg(&good), b"").expect_code(0).out, "good: 1 script\n");
    let bad = folder.path().join("bad.py");
    fs::write(&bad, TOO_HOT).unwrap();
    let shown = run(program().arg("check").arg(folder.path()), b"").expect_code(1);
    assert!(shown.out.contains("error[unknown_command]: there is no command set_temprature"), "{shown:?}");
    assert!(shown.out.contains("2 | set_temprature(5)"), "{shown:?}");
    let json = run(program().args(["check", "--json"]).arg(&bad), b"").expect_code(1).document();
    assert_eq!((&json["ok"], &json["findings"][0]["line"]), (&json!(false), &json!(2)));
}
