//! R19, R26, R27: estimates that come by themselves, learn from what was measured, and make a forecast.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Home, Server, User, text};

/// Short grace times, and estimates in the background as they are by default.
const FORECASTING: &str = "abort: {cooperative: \"700ms\", terminate: \"700ms\"}\n";

async fn server() -> Server {
    Home::new(FORECASTING).start().await
}

/// A command whose instrument takes 30 % longer than its formula says, ± 15 % at random, on a scale of
/// 1 : 10, and one that nothing is known of.
async fn noisy() -> Server {
    let home = Home::new(&format!("{FORECASTING}catalogue: {{folders: [commands]}}\n"));
    let folder = home.path().join("commands");
    fs::create_dir(&folder).unwrap();
    fs::write(
        folder.join("noisy.yaml"),
        "catalogue: 1\ncommands:\n  \
         noisy:\n    summary: Takes longer than it says.\n    parameters:\n      \
         seconds: {type: number, unit: s, minimum: 0, description: Length.}\n    \
         implementation: noisy:noisy\n    estimate: seconds * 10\n  \
         obscure:\n    summary: Nobody knows how long it takes.\n    implementation: noisy:obscure\n",
    )
    .unwrap();
    fs::write(
        folder.join("noisy.py"),
        "import os, random, time\n\n\
         random.seed()\n\n\
         def noisy(seconds):\n    \
             began = time.perf_counter()\n    \
             time.sleep(seconds * 1.3 * random.uniform(0.85, 1.15))\n    \
             with open(os.path.join(os.path.dirname(__file__), 'taken'), 'a') as taken:\n        \
                 print(time.perf_counter() - began, file=taken)\n\n\
         def obscure():\n    time.sleep(0.3)\n",
    )
    .unwrap();
    home.start().await
}

fn calls(command: &str, seconds: &[f64]) -> Value {
    let calls: Vec<_> =
        seconds.iter().map(|s| json!({"command": command, "parameters": {"seconds": s}})).collect();
    json!(calls)
}

/// Waits until the job has an estimate that satisfies the condition.
async fn estimated(user: &mut User, id: &str, fits: impl Fn(&Value) -> bool) -> Value {
    let job = user.job(id).await;
    if job.get("estimate").is_some_and(&fits) {
        return job;
    }
    let id = id.to_owned();
    let event = user.event("an estimate", 0, |event| {
        let job = &event["params"]["job"];
        event["method"] == "event.job" && job["id"] == id && job.get("estimate").is_some_and(&fits)
    });
    event.await["params"]["job"].clone()
}

#[tokio::test]
async fn r27_a_waiting_job_gets_its_estimate_by_itself_and_again_when_it_is_edited() {
    let server = server().await;
    let mut user = server.client().await;
    user.call("queue.hold", json!({})).await;
    let wait = json!([{"command": "waitfor_time", "parameters": {"minutes": 10}}]);
    let id = user.submit_job(json!({"name": "wait", "commands": wait})).await;
    let job = estimated(&mut user, &id, |_| true).await;
    assert_eq!(job["estimate"]["expected_s"], 600.0, "{job}");
    assert!(job["estimate"].get("at_least").is_none(), "all of it is known: {job}");
    let (low, high) =
        (job["estimate"]["low_s"].as_f64().unwrap(), job["estimate"]["high_s"].as_f64().unwrap());
    assert!(low <= 600.0 && 600.0 <= high && low > 0.0, "{job}");
    let longer = json!([{"command": "waitfor_time", "parameters": {"minutes": 20}}]);
    user.call("job.edit", json!({"id": id, "commands": longer})).await;
    estimated(&mut user, &id, |estimate| estimate["expected_s"] == 1200.0).await;
}

#[tokio::test]
async fn r27_what_nobody_knows_has_no_estimate_and_never_0() {
    let server = noisy().await;
    let mut user = server.client().await;
    user.call("queue.hold", json!({})).await;
    let unknown = user.submit_job(json!({"name": "x", "commands": [{"command": "obscure"}]})).await;
    let mixed = json!([{"command": "obscure"}, {"command": "noisy", "parameters": {"seconds": 6}}]);
    let mixed = user.submit_job(json!({"name": "mixed", "commands": mixed})).await;
    let job = estimated(&mut user, &mixed, |_| true).await;
    assert_eq!(job["estimate"]["at_least"], true, "{job}");
    assert!(job["estimate"]["expected_s"].as_f64().unwrap() >= 60.0, "{job}");
    let forecast = user.call("dryrun.queue", json!({})).await;
    assert_eq!(forecast["at_least"], true, "{forecast}");
    assert_eq!(forecast["jobs"][0]["id"], json!(unknown));
    let estimate = forecast["jobs"][0].get("estimate");
    assert!(estimate.is_none_or(|estimate| estimate["expected_s"].as_f64().unwrap() > 0.0), "{forecast}");
    assert!(forecast.get("expected_finish").is_none(), "{forecast}");
}

#[tokio::test]
async fn the_author_of_a_script_is_asked_when_nobody_else_knows() {
    let server = Home::new(&format!("{FORECASTING}estimates: {{background: true}}\n")).start().await;
    let mut user = server.client().await;
    user.call("queue.hold", json!({})).await;
    let script = "# %% Cool [beamq] estimate=\"10 min\"\nimport nothing_of_that_name\n# %% Count [beamq] estimate=2h\n";
    let id = user.submit("cells", script).await;
    let job = estimated(&mut user, &id, |estimate| estimate["source"] == "author").await;
    assert_eq!(job["estimate"]["expected_s"], 7800.0, "{job}");
}

/// How long the calls of the noisy command took, each measured by itself: what a busy machine adds to a job around
/// them says nothing about the instrument.
fn taken(server: &Server) -> Vec<f64> {
    let taken = fs::read_to_string(server.home.path().join("commands/taken")).unwrap();
    taken.lines().map(|line| line.parse().unwrap()).collect()
}

#[tokio::test]
async fn r27_after_20_repeats_the_median_error_is_under_10_per_cent_also_after_a_restart() {
    let server = noisy().await;
    let mut user = server.client().await;
    let lengths: Vec<f64> = (0..22).map(|n| 0.15 + 0.01 * f64::from(n)).collect();
    let id = user.submit_job(json!({"name": "learn", "commands": calls("noisy", &lengths)})).await;
    let learnt = user.ends(&id, "succeeded").await;
    // What the formula promised is kept beside what it took.
    let sum: f64 = lengths.iter().sum();
    assert!((learnt["estimate"]["expected_s"].as_f64().unwrap() - sum * 10.0).abs() < 0.01, "{learnt}");
    let history = user.call("history.list", json!({})).await;
    assert_eq!(history["jobs"][0]["estimate"], learnt["estimate"]);
    let active = history["jobs"][0]["elapsed"]["active_s"].as_f64().unwrap();
    let calls_took: f64 = taken(&server).iter().sum();
    assert!(active >= calls_took && calls_took > sum * 1.3 * 0.85, "{active} s, {calls_took} s of {sum} s");

    let server = server.restart().await;
    let mut user = server.client().await;
    user.call("queue.hold", json!({})).await;
    let mut jobs = Vec::new();
    for n in 0..7 {
        let lengths: Vec<f64> = (0..4).map(|part| 0.2 + 0.02 * f64::from(n + part)).collect();
        let name = format!("job {n}");
        let id = user.submit_job(json!({"name": name, "commands": calls("noisy", &lengths)})).await;
        let computed: f64 = lengths.iter().sum::<f64>() * 10.0;
        let learnt =
            |estimate: &Value| (estimate["expected_s"].as_f64().unwrap() / computed - 1.0).abs() > 1e-6;
        let job = estimated(&mut user, &id, learnt).await;
        jobs.push((id, job["estimate"]["expected_s"].as_f64().unwrap()));
    }
    user.call("queue.release", json!({})).await;
    let mut errors = Vec::new();
    for (n, (id, expected)) in jobs.iter().enumerate() {
        user.ends(id, "succeeded").await;
        let took: f64 = taken(&server)[22 + 4 * n..][..4].iter().sum();
        errors.push((expected / took - 1.0).abs());
    }
    errors.sort_by(f64::total_cmp);
    assert!(errors[errors.len() / 2] < 0.10, "{errors:?}");
}

#[tokio::test]
async fn r19_a_running_job_is_followed_on_its_plan_and_stands_still_in_a_pause() {
    let server = server().await;
    let mut user = server.client().await;
    let wait = |seconds: u32| json!({"command": "waitfor_time", "parameters": {"seconds": seconds}});
    let id = user.submit_job(json!({"name": "waits", "commands": [wait(2), wait(600), wait(2)]})).await;
    let follows = |event: &Value| {
        let params = &event["params"];
        event["method"] == "event.progress"
            && params["progress"]["basis"] == "timeline"
            && params["progress"]["line"] == 2
            // What comes of the simulation is not to come in the pause.
            && params["estimate"]["source"] == "simulated"
            // The first moments of a wait on a busy machine say little about its rate.
            && params["estimate"]["expected_s"].as_f64().is_some_and(|whole| (580.0..640.0).contains(&whole))
    };
    let event = user.event("progress on the timeline", 0, follows).await;
    let percent = event["params"]["progress"]["percent"].as_f64().unwrap();
    assert!((0.1..20.0).contains(&percent), "{event}");
    let status = user.call("server.status", json!({})).await;
    assert!(status["active"].get("expected_finish").is_some(), "{status}");
    assert!(status["queue"].get("expected_finish").is_some(), "{status}");

    user.call("run.pause", json!({"level": "now"})).await;
    user.settles(&id, "paused").await;
    let before = user.job(&id).await;
    let told = user.seen.len();
    // Two seconds of real time in which a clock that went on would have told something.
    user.call("queue.hold", json!({})).await;
    tokio::time::sleep(std::time::Duration::from_millis(2200)).await;
    user.catch_up();
    let after = user.job(&id).await;
    assert_eq!(after["progress"]["percent"], before["progress"]["percent"]);
    assert_eq!(after["estimate"], before["estimate"], "what is left stands still");
    assert!(
        user.seen[told..].iter().all(|event| event["method"] != "event.progress"),
        "{:?}",
        &user.seen[told..]
    );
    user.call("run.abort", json!({})).await;
    user.ends(&id, "aborted").await;
    let percents = user.seen.iter().filter(|event| event["method"] == "event.progress");
    let percents: Vec<f64> =
        percents.filter_map(|event| event["params"]["progress"]["percent"].as_f64()).collect();
    assert!(percents.is_sorted(), "percent never falls: {percents:?}");
}

#[tokio::test]
async fn r26_the_queue_is_forecast_with_the_start_and_the_finish_of_every_job() {
    let server = server().await;
    let user = server.client().await;
    let wait = |minutes: u32| json!([{"command": "waitfor_time", "parameters": {"minutes": minutes}}]);
    user.call("queue.hold", json!({"why": "sample change"})).await;
    for (name, minutes) in [("a", 10), ("b", 20), ("c", 30)] {
        user.submit_job(json!({"name": name, "commands": wait(minutes), "group": "series"})).await;
    }
    let held = user.submit_job(json!({"name": "held", "commands": wait(5), "held": true})).await;
    let now = user.call("server.info", json!({})).await["time"].clone();
    let before = |minutes: i64| {
        let at: jiff::Timestamp = text(&now).parse().unwrap();
        (at + jiff::SignedDuration::from_mins(minutes)).to_string()
    };
    let forecast = user.call("dryrun.queue", json!({"before": before(61)})).await;
    assert_eq!(forecast["fits_before"], true, "{forecast}");
    assert!(text(&forecast["assumes"]).contains("as if it were released now"), "{forecast}");
    let at = |value: &Value| text(value).parse::<jiff::Timestamp>().unwrap();
    let jobs = forecast["jobs"].as_array().unwrap();
    assert_eq!(jobs.len(), 4);
    for (job, minutes) in jobs.iter().zip([10, 20, 30]) {
        assert_eq!(job["ok"], true, "{job}");
        let length = at(&job["expected_finish"]).duration_since(at(&job["expected_start"]));
        assert_eq!(length.as_mins(), minutes, "{job}");
    }
    assert_eq!(jobs[1]["expected_start"], jobs[0]["expected_finish"]);
    assert_eq!(jobs[2]["expected_finish"], forecast["expected_finish"]);
    assert_eq!(jobs[3]["id"], json!(held));
    assert!(jobs[3].get("expected_start").is_none(), "a held job has no turn: {forecast}");
    assert_eq!(user.call("dryrun.queue", json!({"before": before(59)})).await["fits_before"], false);
    // While the queue starts nothing by itself there are no times to promise.
    assert!(user.call("server.status", json!({})).await["queue"].get("expected_finish").is_none());
    user.call("queue.release", json!({})).await;
    let status = user.call("server.status", json!({})).await;
    let left = at(&status["queue"]["expected_finish"]).duration_since(at(&now)).as_secs();
    assert!((3550..3700).contains(&left), "{status}");
    let queue = user.queue().await;
    assert_eq!(
        queue["groups"]["series"]["expected_finish"], queue["waiting"][1]["expected_finish"],
        "{queue}"
    );
    assert_eq!(queue["waiting"][0]["expected_finish"], queue["waiting"][1]["expected_start"], "{queue}");
    user.call("run.abort", json!({})).await;
}

#[tokio::test]
async fn a_job_that_cannot_start_before_its_deadline_is_told_in_the_forecast() {
    let server = server().await;
    let user = server.client().await;
    user.call("queue.hold", json!({})).await;
    let wait = json!([{"command": "waitfor_time", "parameters": {"hours": 2}}]);
    user.submit_job(json!({"name": "long", "commands": wait, "timeout": "1h"})).await;
    let now: jiff::Timestamp = text(&user.call("server.info", json!({})).await["time"]).parse().unwrap();
    let deadline = (now + jiff::SignedDuration::from_mins(30)).to_string();
    user.submit_job(json!({"name": "late", "script": "pass", "deadline": deadline})).await;
    let forecast = user.call("dryrun.queue", json!({})).await;
    let codes = |n: usize| {
        let findings = forecast["jobs"][n]["findings"].as_array().unwrap();
        findings.iter().map(|finding| text(&finding["code"])).collect::<Vec<_>>()
    };
    assert!(codes(0).contains(&"longer_than_timeout".to_owned()), "{forecast}");
    assert!(codes(1).contains(&"expires_before_start".to_owned()), "{forecast}");
}

#[tokio::test]
async fn a_client_of_the_proxy_dialect_is_told_what_a_simulation_found_by_events() {
    let server = server().await;
    let mut raw = crate::raw::Raw::connect(&server).await;
    let login = json!({"command": "authenticate", "login": "gui", "passwd": server.token, "display": ""});
    raw.body(login.to_string()).await;
    while raw.message().await["success"] != true {}
    let wish = json!({"command": "simulate", "code": "if True\n  pass\n", "name": "x", "uuid": "abc-1"});
    raw.body(wish.to_string()).await;
    let (mut acknowledged, mut told) = (false, false);
    let result = loop {
        let message = raw.message().await;
        match message["event"].as_str() {
            None => {
                assert_eq!(message, json!({"success": true, "payload": null}));
                acknowledged = true;
            }
            Some("simmessage") => {
                let payload = &message["payload"];
                told |=
                    payload[2] == 40 && payload[5] == "abc-1" && text(&payload[3]).starts_with("line 1: ");
            }
            Some("simresult") => break message["payload"].clone(),
            Some(_) => {}
        }
    };
    assert!(acknowledged && told, "a message for each finding, after the reply");
    assert_eq!((&result[0], &result[2]), (&json!(-1.0), &json!("abc-1")), "{result}");
    assert!(result[1].is_object(), "{result}");
}
