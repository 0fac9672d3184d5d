//! R20, R21, R22: descriptions and output can be read back whole, by whoever comes late.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{Server, text, waits_for};

#[tokio::test]
async fn r20_the_description_of_a_job_is_read_back_whole_in_every_state() {
    let server = Server::start().await;
    let mut user = server.client().await;
    let script = "# \u{1f600} first\r\nprint('é')\n";
    let given = json!({"name": "näme", "script": script, "tags": ["a", "b c"], "group": "g", "timeout": "2h",
        "deadline": "2099-12-31T23:00:00+02:00", "black_box": true, "held": true});
    let id = user.submit_job(given).await;
    let waits = user.job(&id).await;
    let listed = user.call("queue.get", json!({"scripts": true})).await["waiting"][0].clone();
    assert_eq!(listed["script"], script);
    assert!(user.queue().await["waiting"][0].get("script").is_none());
    user.call("job.unhold", json!({"id": id})).await;
    user.ends(&id, "succeeded").await;
    let ended = user.job(&id).await;
    for job in [&waits, &ended] {
        assert_eq!((&job["name"], &job["script"]), (&json!("näme"), &json!(script)));
        assert_eq!((&job["tags"], &job["group"]), (&json!(["a", "b c"]), &json!("g")));
        assert_eq!((&job["kind"], &job["timeout"]), (&json!("black_box"), &json!("2h")));
        let deadline: jiff::Timestamp = text(&job["deadline"]).parse().unwrap();
        assert_eq!(deadline, "2099-12-31T21:00:00Z".parse().unwrap());
        assert_eq!(job["owner"], "admin");
    }
}

#[tokio::test]
async fn r21_twenty_thousand_lines_are_complete_for_a_client_that_comes_late() {
    let server = Server::start().await;
    let mut user = server.client().await;
    let id = user.submit("many", "for n in range(20000):\n    print('line', n)\n").await;
    user.ends(&id, "succeeded").await;
    let late = server.client().await;
    let lines = late.output(&id).await;
    assert_eq!(lines.len(), 20_000);
    for (n, line) in lines.iter().enumerate() {
        assert_eq!(line, &format!("line {n}"));
    }
    let page = late.call("output.get", json!({"job": id, "from": 19_999, "limit": 10})).await;
    assert_eq!(
        (&page["lines"][0]["n"], &page["next"], &page["dropped"]),
        (&json!(19_999), &json!(20_001), &json!(0))
    );
    assert_eq!(late.job(&id).await["output"]["lines"], 20_000);
    // The listener of the events had them all as well, each once and in order.
    user.until("every line", |user| (user.lines(&id).len() >= 20_000).then_some(())).await;
    assert_eq!(user.lines(&id), lines);
}

#[tokio::test]
async fn r21_a_client_that_comes_in_the_middle_joins_the_history_and_the_events_without_a_gap() {
    let server = Server::start().await;
    let mut user = server.client().await;
    let gate = server.home.path().join("gate");
    let half = "for n in range(10000):\n    print('line', n + first)\n";
    let wait = format!("import os, time\nwhile not os.path.exists({:?}):\n    time.sleep(0.01)\n", gate);
    let script = format!("first = 0\n{half}{wait}first = 10000\n{half}");
    let id = user.submit("many", &script).await;
    let all: Vec<_> = (0..20_000).map(|n| format!("line {n}")).collect();
    user.line(&id, "line 9999").await;

    // It subscribes, and asks for what it has missed while more is printed.
    let mut late = server.client().await;
    std::fs::write(&gate, "").unwrap();
    let history = late.output(&id).await;
    assert!(history.len() >= 10_000, "{}", history.len());
    assert_eq!(history, all[..history.len()]);
    late.ends(&id, "succeeded").await;
    late.until("the last line", |late| late.lines(&id).contains(&all[19_999]).then_some(())).await;

    // Numbers join the two: what is in both is the same, and together they are everything once.
    let told: Vec<_> = late
        .seen
        .iter()
        .filter(|event| event["method"] == "event.output" && event["params"]["job"] == id.as_str())
        .flat_map(|event| event["params"]["lines"].as_array().unwrap())
        .map(|line| (line["n"].as_u64().unwrap(), text(&line["text"])))
        .collect();
    assert_eq!(told.first().map(|(n, _)| *n), Some(10_001), "nothing of before, all from then on");
    let rest = told.into_iter().filter(|(n, _)| *n > history.len() as u64).map(|(_, text)| text);
    let joined: Vec<_> = history.iter().cloned().chain(rest).collect();
    assert_eq!(joined.len(), 20_000);
    assert_eq!(joined, all);
    assert_eq!(late.output(&id).await, all);
}

#[tokio::test]
async fn r21_streams_are_told_apart_and_numbered_in_one_row() {
    let server = Server::start().await;
    let mut user = server.client().await;
    let job = user.run("import sys\nprint('out', flush=True)\nprint('err', file=sys.stderr, flush=True)\nprint('no end', end='')\n").await;
    let page = user.call("output.get", json!({"job": job["id"]})).await;
    let lines = page["lines"].as_array().unwrap();
    let numbers: Vec<_> = lines.iter().map(|line| line["n"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [1, 2, 3]);
    let mut told: Vec<_> = lines.iter().map(|line| (text(&line["stream"]), text(&line["text"]))).collect();
    told.sort();
    assert_eq!(
        told,
        [("err", "err"), ("out", "no end"), ("out", "out")].map(|(a, b)| (a.to_owned(), b.to_owned())).map(
            |(stream, line)| (if stream == "err" { "stderr".to_owned() } else { "stdout".to_owned() }, line)
        )
    );
    for line in lines {
        assert!(line["time"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
    }
}

#[tokio::test]
async fn r21_a_flood_is_bounded_and_the_dropped_lines_are_counted() {
    let server = Server::with("output: {keep_per_job: \"64 KiB\"}\n").await;
    let mut user = server.client().await;
    let id =
        user.submit("flood", "for n in range(50000):\n    print('a line of the flood, number', n)\n").await;
    user.ends(&id, "succeeded").await;
    let mut kept = 0;
    let mut from = 1;
    let dropped = loop {
        let page = user.call("output.get", json!({"job": id, "from": from})).await;
        let lines = page["lines"].as_array().unwrap();
        // A line that says that lines were dropped is the server's own.
        kept += lines.iter().filter(|line| text(&line["text"]).starts_with("a line")).count() as u64;
        from = page["next"].as_u64().unwrap();
        if lines.is_empty() {
            break page["dropped"].as_u64().unwrap();
        }
    };
    assert_eq!(kept + dropped, 50_000, "{kept} kept, {dropped} dropped");
    assert!(kept > 100 && dropped > 40_000);
    let size = user.job(&id).await["output"].clone();
    assert!(size["bytes"].as_u64().unwrap() <= 64 << 10, "{size}");
    assert_eq!(size["dropped"], dropped);
}

#[tokio::test]
async fn r21_a_client_that_comes_back_gets_every_event_that_it_missed_once_and_in_order() {
    let server = Server::start().await;
    let mut user = server.client().await;
    let gate = server.home.path().join("gate");
    let id = user.submit("runs", &waits_for(&gate)).await;
    user.line(&id, "group").await;
    let seen = user.seen.iter().filter_map(|event| event["params"]["seq"].as_u64()).max().unwrap();
    let other = server.client().await;
    drop(user);
    for n in 0..30 {
        other.submit(&format!("missed {n}"), &format!("print({n})")).await;
    }
    std::fs::write(&gate, "").unwrap();
    let mut user = server.client().await;
    user.call("events.unsubscribe", json!({})).await;
    user.catch_up();
    user.seen.clear();
    user.call("events.subscribe", json!({"from": seen})).await;
    user.until("the end of the last job", |user| {
        user.seen
            .iter()
            .any(|event| {
                event["params"]["job"]["name"] == "missed 29"
                    && event["params"]["job"]["state"] == "succeeded"
            })
            .then_some(())
    })
    .await;
    let numbers: Vec<_> = user.seen.iter().map(|event| event["params"]["seq"].as_u64().unwrap()).collect();
    let expected: Vec<_> = (seen + 1..).take(numbers.len()).collect();
    assert_eq!(numbers, expected);
    let finished: BTreeSet<_> = user
        .seen
        .iter()
        .filter(|event| event["params"]["job"]["state"] == "succeeded")
        .map(|event| text(&event["params"]["job"]["id"]))
        .collect();
    assert_eq!(finished.len(), 31);
}

#[tokio::test]
async fn r21_only_the_kinds_that_were_asked_for_are_sent() {
    let server = Server::start().await;
    let mut user = server.client().await;
    user.call("events.subscribe", json!({"kinds": ["queue"]})).await;
    user.catch_up();
    user.seen.clear();
    let other = server.client().await;
    let id = other.submit("x", "print('hello')").await;
    let mut other = other;
    other.ends(&id, "succeeded").await;
    user.queue_is("idle").await;
    user.catch_up();
    assert!(!user.seen.is_empty() && user.seen.iter().all(|event| event["method"] == "event.queue"));
    user.call("events.unsubscribe", json!({})).await;
    user.catch_up();
    user.seen.clear();
    other.run("print('again')").await;
    user.call("server.info", json!({})).await;
    user.catch_up();
    assert_eq!(user.seen, Vec::<Value>::new());
    let error = user.refused("events.subscribe", json!({"kinds": ["jobs"]})).await;
    assert!(error.hint().is_some_and(|hint| hint.contains("job")), "{error:?}");
}

#[tokio::test]
async fn r22_the_history_is_searched_filtered_and_paged() {
    let server = Server::with("queue: {after_failure: continue}\n").await;
    let mut user = server.client().await;
    let good = user.submit("alpha scan", "print(1)").await;
    let bad = user.submit("beta scan", "raise ValueError('no beam today')").await;
    user.ended(&bad).await;
    user.call("queue.hold", json!({})).await;
    let gone = user.submit_job(json!({"name": "gamma", "script": "pass", "tags": ["calibration"]})).await;
    user.call("job.remove", json!({"ids": [gone]})).await;
    user.ends(&gone, "cancelled").await;
    let start: jiff::Timestamp = text(&user.job(&good).await["submitted_at"]).parse().unwrap();
    let before = (start - jiff::SignedDuration::from_secs(60)).to_string();
    for (filter, found) in [
        (json!({}), vec![&gone, &bad, &good]),
        (json!({"state": "failed"}), vec![&bad]),
        (json!({"state": ["failed", "cancelled"]}), vec![&gone, &bad]),
        (json!({"state": []}), vec![&gone, &bad, &good]),
        (json!({"text": "scan"}), vec![&bad, &good]),
        (json!({"text": "no beam"}), vec![&bad]),
        (json!({"text": "calibration"}), vec![&gone]),
        (json!({"text": "100%"}), vec![]),
        (json!({"owner": "admin"}), vec![&gone, &bad, &good]),
        (json!({"owner": "nobody"}), vec![]),
        (json!({"since": before}), vec![&gone, &bad, &good]),
        (json!({"until": before}), vec![]),
        (json!({"before": gone}), vec![&bad, &good]),
    ] {
        let page = user.call("history.list", filter.clone()).await;
        let ids: Vec<_> = page["jobs"].as_array().unwrap().iter().map(|job| text(&job["id"])).collect();
        assert_eq!(ids.iter().collect::<Vec<_>>(), found, "{filter}");
        assert_eq!(page["more"], false, "{filter}");
    }
    let page = user.call("history.list", json!({"limit": 2})).await;
    assert_eq!((page["jobs"].as_array().unwrap().len(), &page["more"]), (2, &json!(true)));
    let job = &user.call("history.list", json!({"text": "beta"})).await["jobs"][0];
    for member in ["owner", "submitted_at", "started_at", "finished_at", "elapsed", "report"] {
        assert!(!job[member].is_null(), "{member} is missing: {job:#}");
    }
}
