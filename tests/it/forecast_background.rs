//! What is simulated without anybody asking gives way to everything else, and nothing is simulated twice.

use std::fs;

use serde_json::{Value, json};
use tokio::time::{Duration, Instant, sleep};

use crate::harness::{DEADLINE, Home, QUICK, Server, User, children, eventually, text};

/// Estimates in the background as they are by default.
async fn server() -> (Server, User) {
    let server = Home::new("abort: {cooperative: \"700ms\", terminate: \"700ms\"}\n").start().await;
    let user = server.client().await;
    user.call("queue.hold", json!({})).await;
    (server, user)
}

/// The seconds that the simulation of a job has found.
async fn simulated(user: &mut User, id: &str) -> f64 {
    let by_simulation = |job: &Value| {
        let simulated = job["estimate"]["source"] == "simulated";
        simulated.then(|| job["estimate"]["expected_s"].as_f64().unwrap())
    };
    if let Some(seconds) = by_simulation(&user.job(id).await) {
        return seconds;
    }
    let id = id.to_owned();
    let event = user.event("a simulated estimate", 0, |event| {
        let job = &event["params"]["job"];
        event["method"] == "event.job" && job["id"] == id && by_simulation(job).is_some()
    });
    by_simulation(&event.await["params"]["job"]).unwrap()
}

/// The scheduler's number for processes that run only when nothing else does.
const SCHED_IDLE: f64 = 5.0;

#[tokio::test]
async fn a_simulation_that_nobody_waits_for_runs_when_nothing_else_does() {
    let (_server, mut user) = server().await;
    let script = "import os, time\nnice = os.getpriority(os.PRIO_PROCESS, 0)\n\
                  time.sleep(1000 * os.sched_getscheduler(0) + nice)\n";
    let id = user.submit("background", script).await;
    let background = simulated(&mut user, &id).await;
    let asked = user.call("dryrun.script", json!({"script": script})).await;
    let asked = asked["totals"]["seconds"]["expected"].as_f64().unwrap();
    assert!(asked < 1000.0, "one that somebody waits for is only nicer than others: {asked}");
    // Where the machine never rests, the one in the background was begun again like the other.
    assert!(
        background == 1000.0 * SCHED_IDLE + 19.0 || background == asked,
        "in the background {background}, asked for {asked}"
    );
}

/// A script whose estimate is the number of the process that has simulated it.
const WHO: &str = "import os, time\ntime.sleep(os.getpid() % 1_000_000 + 1)\n";

#[tokio::test]
async fn the_same_script_from_the_same_state_is_simulated_once() {
    let (_server, mut user) = server().await;
    let first = user.submit("first", WHO).await;
    let seconds = simulated(&mut user, &first).await;
    let second = user.submit("another name", WHO).await;
    assert_eq!(simulated(&mut user, &second).await, seconds);
    let other = user.submit("other", &format!("x = 1\n{WHO}")).await;
    assert_ne!(simulated(&mut user, &other).await, seconds, "another text is another simulation");
    user.call("queue.move", json!({"ids": [other], "place": "front"})).await;
    let forecast = user.call("dryrun.queue", json!({})).await;
    let found = |n: usize| forecast["jobs"][n]["estimate"]["expected_s"].as_f64().unwrap();
    assert_eq!((found(1), found(2)), (seconds, seconds), "nor again in another order: {forecast}");
}

#[tokio::test]
async fn what_is_known_of_many_equal_jobs_is_told_together() {
    let (_server, mut user) = server().await;
    let job =
        |n: u32| json!({"name": format!("job {n}"), "script": "import time\ntime.sleep(5)\n", "held": true});
    user.call("job.submit_batch", json!({"jobs": (0..1_000).map(job).collect::<Vec<_>>()})).await;
    let is_simulated = |job: &Value| job["estimate"]["source"] == "simulated";
    let deadline = Instant::now() + DEADLINE;
    loop {
        let queue = user.call("queue.get", json!({"limit": 1_000})).await;
        let waiting = queue["waiting"].as_array().unwrap();
        assert_eq!(waiting.len(), 1_000);
        user.catch_up();
        if waiting.iter().all(is_simulated) {
            break;
        }
        assert!(Instant::now() < deadline, "not all of them have a simulated estimate");
        sleep(Duration::from_millis(50)).await;
    }
    let told = user.seen.iter().filter(|event| is_simulated(&event["params"]["job"])).count();
    assert!(told < 100, "{told} of 1000 equal jobs were told one by one");
}

#[tokio::test]
async fn a_script_that_looks_at_its_job_is_simulated_for_each() {
    let (_server, mut user) = server().await;
    let script = format!("import beamq\nname = beamq.job.name\n{WHO}");
    let first = user.submit("first", &script).await;
    let second = user.submit("second", &script).await;
    let (first_s, second_s) = (simulated(&mut user, &first).await, simulated(&mut user, &second).await);
    assert_ne!(first_s, second_s);
    let again = user.submit("first", &script).await;
    assert_eq!(simulated(&mut user, &again).await, first_s, "the same job is the same simulation");
}

#[tokio::test]
async fn an_endless_script_is_not_simulated_again_from_every_state() {
    let (_server, mut user) = server().await;
    let endless = "import os, time\ntime.sleep(os.getpid() % 1_000_000 + 1)\nx = 1\nwhile x:\n    x += 1\n";
    let first = user.submit("endless", endless).await;
    let seconds = simulated(&mut user, &first).await;
    let job = user.job(&first).await;
    assert_eq!(job["estimate"]["at_least"], true, "{job}");
    let warm = json!([{"command": "set_temperature", "parameters": {"value": 250, "wait": true}}]);
    let mover = user.submit_job(json!({"name": "mover", "commands": warm})).await;
    simulated(&mut user, &mover).await;
    let second = user.submit("endless again", endless).await;
    assert_eq!(simulated(&mut user, &second).await, seconds, "although the instrument is elsewhere");
}

#[tokio::test]
async fn r26_the_newest_request_for_a_forecast_is_answered_first() {
    let server = Home::new(QUICK).start().await;
    let (one, other) = (server.client().await, server.client().await);
    one.call("queue.hold", json!({})).await;
    // A simulation of this takes as long as one may take.
    let endless = one.submit("endless", "x = 1\nwhile x:\n    x += 1\n").await;
    one.submit("short", "import time\ntime.sleep(60)\n").await;
    let without = children(server.pid());
    let mut first = std::pin::pin!(one.call("dryrun.queue", json!({})));
    let simulated = eventually("the endless job is being simulated", || children(server.pid()) > without);
    tokio::select! {
        forecast = &mut first => panic!("nothing was simulated for {forecast}"),
        () = simulated => {}
    }
    other.call("job.remove", json!({"ids": [endless]})).await;
    let forecast = tokio::select! {
        biased;
        _ = &mut first => panic!("the older request was answered first"),
        forecast = other.call("dryrun.queue", json!({})) => forecast,
    };
    assert_eq!(forecast["jobs"].as_array().unwrap().len(), 1, "{forecast}");
    assert_eq!(forecast["jobs"][0]["estimate"]["expected_s"], 60.0, "{forecast}");
    let older = first.await;
    assert_eq!(older["jobs"].as_array().unwrap().len(), 2, "it is answered all the same: {older}");
}

#[tokio::test]
async fn r26_a_script_that_waits_for_a_time_of_day_is_simulated_from_its_own_start() {
    let (_server, user) = server().await;
    // It waits until the next full hour.
    let until = "import time\ntime.sleep(3600 - time.time() % 3600)\n";
    user.submit("an hour", "import time\ntime.sleep(2700)\n").await;
    user.submit("until the hour", until).await;
    let forecast = user.call("dryrun.queue", json!({"at": "2040-03-01T22:00:00Z"})).await;
    let ends: Vec<_> =
        forecast["jobs"].as_array().unwrap().iter().map(|job| text(&job["expected_finish"])).collect();
    let at: Vec<jiff::Timestamp> = ends.iter().map(|end| end.parse().unwrap()).collect();
    let wanted: Vec<jiff::Timestamp> =
        ["22:45:00", "23:00:00"].iter().map(|time| format!("2040-03-01T{time}Z").parse().unwrap()).collect();
    assert_eq!(at.len(), wanted.len());
    for (found, wanted) in at.iter().zip(&wanted) {
        assert!((found.as_second() - wanted.as_second()).abs() <= 2, "{ends:?}");
    }
}

#[tokio::test]
async fn r27_a_waiting_job_gets_another_estimate_by_another_catalogue() {
    let home = Home::new("catalogue: {folders: [commands]}\n");
    let file = home.path().join("commands/own.yaml");
    fs::create_dir(home.path().join("commands")).unwrap();
    let catalogue = |seconds: u32| {
        format!(
            "catalogue: 1\ncommands:\n  settle:\n    summary: Settles.\n    implementation: lab:settle\n    \
             estimate: {seconds}\n"
        )
    };
    fs::write(&file, catalogue(60)).unwrap();
    let server = home.start().await;
    let mut user = server.client().await;
    user.call("queue.hold", json!({})).await;
    let script = "from beamq.commands import settle\nsettle()\nsettle()\n";
    let id = user.submit("settle", script).await;
    assert_eq!(simulated(&mut user, &id).await, 120.0);
    fs::write(&file, catalogue(90)).unwrap();
    let of_this_job = id.clone();
    let event = user.event("an estimate by the new catalogue", 0, move |event| {
        let job = &event["params"]["job"];
        event["method"] == "event.job" && job["id"] == of_this_job && job["estimate"]["expected_s"] == 180.0
    });
    event.await;
}

#[tokio::test]
async fn what_breaks_a_simulation_is_told_of_its_job_and_breaks_nothing_else() {
    let (_server, mut user) = server().await;
    let broken = [
        ("crash", "import faulthandler\nfaulthandler._sigsegv()\n", "crashed"),
        ("memory", "x = 'a' * (1 << 40)\n", "too_much_memory"),
        ("recursion", "def f():\n    f()\nf()\n", "script_error"),
        ("end", "import os\nos._exit(3)\n", "ended_early"),
    ];
    for (name, script, _) in broken {
        user.submit(name, script).await;
    }
    let last = user.submit("last", "import time\ntime.sleep(77)\n").await;
    assert_eq!(simulated(&mut user, &last).await, 77.0);
    let forecast = user.call("dryrun.queue", json!({})).await;
    for (n, (name, _, code)) in broken.iter().enumerate() {
        let findings = forecast["jobs"][n]["findings"].as_array().unwrap();
        assert!(findings.iter().any(|finding| finding["code"] == *code), "{name}: {forecast}");
    }
}
