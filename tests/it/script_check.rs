//! R12: a script is judged when it is submitted, and on request, without being run.

use std::fs;

use serde_json::{Value, json};

use crate::{
    harness::{Home, Server, User, text},
    proxy::Gui,
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

/// The codes of what a job's events say about it, one list an event.
fn told(user: &User, id: &str) -> Vec<Vec<String>> {
    let events = user.seen.iter().filter(|event| event["method"] == "event.job");
    let jobs = events.map(|event| &event["params"]["job"]).filter(|job| job["id"] == id);
    jobs.map(|job| match &job["findings"] {
        Value::Null => Vec::new(),
        findings => codes(findings).into_iter().map(str::to_owned).collect(),
    })
    .collect()
}

async fn tells(user: &mut User, id: &str, codes: &[&str]) {
    let what = format!("job {id} with {codes:?}");
    user.until(&what, |user| told(user, id).last().is_some_and(|last| last == codes).then_some(())).await;
}

#[tokio::test]
async fn what_is_found_stays_with_the_job_until_it_is_edited() {
    let server = Server::start().await;
    let mut user = server.client().await;
    user.call("queue.hold", json!({"why": "checks"})).await;
    let id = user.submit("bad", TOO_HOT).await;
    tells(&mut user, &id, &["unknown_command"]).await;
    let job = user.job(&id).await;
    assert_eq!(codes(&job["findings"]), ["unknown_command"]);
    assert_eq!((&job["findings"][0]["line"], &job["findings"][0]["file"]), (&json!(2), &Value::Null));
    assert_eq!(user.queue().await["waiting"][0]["findings"], job["findings"]);

    // What is not about the script leaves what was found in it.
    let renamed = user.call("job.edit", json!({"id": id, "name": "still bad"})).await;
    assert_eq!(renamed["job"]["findings"], job["findings"]);
    user.event("the new name", 0, |event| event["params"]["job"]["name"] == "still bad").await;
    let copy = text(&user.call("job.duplicate", json!({"id": id})).await["id"]);
    assert_eq!(user.job(&copy).await["findings"], job["findings"]);

    let before = told(&user, &id).len();
    user.call("job.edit", json!({"id": id, "script": "print(1)\n"})).await;
    assert_eq!(user.job(&id).await["findings"], Value::Null);
    user.until("an event after the edit", |user| (told(user, &id).len() > before).then_some(())).await;
    let after = told(&user, &id).split_off(before);
    assert!(after.iter().all(Vec::is_empty), "no event shows what was found in another script: {after:?}");
    assert_eq!(
        codes(&user.job(&copy).await["findings"]),
        ["unknown_command"],
        "the copy is a job of its own"
    );
}

#[tokio::test]
async fn what_is_queued_in_other_ways_is_read_as_well() {
    let server = Server::start().await;
    let mut user = server.client().await;
    let failed = user.submit("bad", TOO_HOT).await;
    user.ends(&failed, "failed").await;
    let again = text(&user.call("job.rerun", json!({"id": failed})).await["id"]);
    assert_eq!(
        codes(&user.job(&again).await["findings"]),
        ["unknown_command"],
        "the queue is held after a failure"
    );

    let jobs =
        json!([{"name": "good", "script": "print(1)\n"}, {"name": "bad", "script": TOO_HOT, "repeat": 2}]);
    let batch = user.call("job.submit_batch", json!({"jobs": jobs})).await;
    for id in batch["verdicts"][1]["ids"].as_array().unwrap() {
        tells(&mut user, &text(id), &["unknown_command"]).await;
    }
    assert_eq!(told(&user, &text(&batch["verdicts"][0]["id"])), [Vec::<String>::new()]);

    let mut gui = Gui::login(&server, "ibex").await;
    let queued = text(&gui.does(json!({"command": "queue", "name": "g", "code": "print(1)\n"})).await);
    gui.does(json!({"command": "update", "newcode": TOO_HOT, "reason": "", "reqid": queued})).await;
    tells(&mut user, &queued, &["unknown_command"]).await;
}

#[tokio::test]
async fn the_final_word_of_the_interpreter_follows_the_reply() {
    let server = Server::start().await;
    let mut user = server.client().await;
    user.call("queue.hold", json!({"why": "checks"})).await;
    // Only the interpreter itself knows this one.
    let script = "def f():\n    x = 1\n    global x\n";
    let reply = user.call("job.submit", json!({"job": {"name": "late", "script": script}})).await;
    assert_eq!(reply["findings"], json!([]), "the reply does not wait for an interpreter");
    let id = text(&reply["id"]);
    tells(&mut user, &id, &["syntax_error"]).await;
    assert_eq!(user.job(&id).await["findings"][0]["line"], 3);
}

#[tokio::test]
async fn a_job_shows_the_first_findings_and_says_that_there_are_more() {
    let server = Server::start().await;
    let user = server.client().await;
    user.call("queue.hold", json!({"why": "checks"})).await;
    let script = "import sys\n".to_owned() + &"if x: sys.exit()\n".repeat(30);
    let id = user.submit("long", &script).await;
    let job = user.job(&id).await;
    let found = codes(&job["findings"]);
    assert_eq!((found.len(), found[19], found[20]), (21, "exits", "more_findings"), "{found:?}");
    let report = user.call("dryrun.job", json!({"id": id, "mode": "static"})).await;
    assert_eq!(codes(&report["findings"]).len(), 30);
}

#[tokio::test]
async fn r17_scripts_that_wait_are_read_again_after_a_restart_and_by_another_catalogue() {
    let catalogue = |most: u32| {
        format!(
            "catalogue: 1\ncommands:\n  warm:\n    summary: Warms.\n    parameters: {{value: {{type: number, \
             unit: K, maximum: {most}}}}}\n    implementation: lab.a:warm\n"
        )
    };
    let home = Home::new("");
    let file = home.path().join("commands/lab.yaml");
    fs::create_dir(home.path().join("commands")).unwrap();
    fs::write(&file, catalogue(300)).unwrap();
    let server = home.start().await;
    let mut user = server.client().await;
    user.call("queue.hold", json!({"why": "checks"})).await;
    let good = user.submit("good", "from beamq.commands import *\nwarm(20)\n").await;
    let hot = user.submit("hot", "from beamq.commands import *\nwarm(250)\n").await;
    assert_eq!(user.job(&hot).await["findings"], Value::Null);
    fs::write(&file, catalogue(200)).unwrap();
    tells(&mut user, &hot, &["bad_value"]).await;
    assert_eq!(user.job(&good).await["findings"], Value::Null);

    let server = server.kill().await.start().await;
    let mut user = server.client().await;
    let mut found = Value::Null;
    while found.is_null() {
        found = user.job(&hot).await["findings"].clone();
    }
    assert_eq!(codes(&found), ["bad_value"]);
    fs::write(&file, catalogue(300)).unwrap();
    tells(&mut user, &hot, &[]).await;
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
