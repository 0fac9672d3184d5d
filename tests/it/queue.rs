//! R8, R8a: the queue can be edited, at any time, by everybody who may, and nobody overwrites another.

use serde_json::{Value, json};

use crate::harness::{Server, User, waits_for};

/// A held queue with four waiting jobs.
async fn four(user: &User) -> [String; 4] {
    user.call("queue.hold", json!({"why": "edits"})).await;
    let mut ids = Vec::new();
    for name in ["a", "b", "c", "d"] {
        ids.push(user.submit(name, &format!("print({name:?})")).await);
    }
    ids.try_into().unwrap()
}

fn pick(ids: &[String; 4], wanted: &str) -> Vec<String> {
    wanted.bytes().map(|letter| ids[usize::from(letter - b'a')].clone()).collect()
}

#[tokio::test]
async fn r08_jobs_are_added_at_every_place() {
    let server = Server::start().await;
    let user = server.client().await;
    let [a, b, c, d] = four(&user).await;
    let mut expected = vec![a.clone(), b.clone(), c.clone(), d.clone()];
    for (place, index) in [
        (json!("front"), 0),
        (json!("back"), 5),
        (json!({"index": 2}), 2),
        (json!({"index": 1000}), 7),
        (json!({"before": b}), 3),
        (json!({"after": d}), 7),
    ] {
        let reply =
            user.call("job.submit", json!({"job": {"name": "new", "script": "pass"}, "place": place})).await;
        assert_eq!(reply["position"], index, "{place}");
        expected.insert(index, reply["id"].as_str().unwrap().to_owned());
        assert_eq!(user.order().await, expected, "{place}");
        assert_eq!(reply["revision"], user.revision().await);
    }
    for (place, code) in [
        (json!({"index": -1}), -32015),
        (json!({"before": "999"}), -32011),
        (json!("middle"), -32015),
        (json!({"beside": a}), -32602),
    ] {
        let job = json!({"job": {"name": "new", "script": "pass"}, "place": place});
        assert_eq!(user.refused("job.submit", job).await.code, code, "{place}");
    }
    assert_eq!(user.order().await, expected);
}

#[tokio::test]
async fn r08_places_are_told_from_the_active_job() {
    let server = Server::start().await;
    let mut user = server.client().await;
    let gate = server.home.path().join("gate");
    let active = user.submit("active", &waits_for(&gate)).await;
    let waits = user.submit("waits", "pass").await;
    user.line(&active, "group").await;
    let job = json!({"name": "new", "script": "pass"});
    let after = user.call("job.submit", json!({"job": job, "place": {"after": active}})).await;
    assert_eq!(after["position"], 0);
    let error = user.refused("job.submit", json!({"job": job, "place": {"before": active}})).await;
    assert_eq!((error.code, error.text("field")), (-32015, Some("place")));
    assert_eq!(user.order().await, [after["id"].as_str().unwrap(), &waits]);
    std::fs::write(&gate, "").unwrap();
    user.ends(&waits, "succeeded").await;
}

#[tokio::test]
async fn r08_one_and_many_jobs_are_moved_and_a_move_that_changes_nothing_is_no_edit() {
    let server = Server::start().await;
    let user = server.client().await;
    let ids = four(&user).await;
    for (moved, place, order) in [
        ("c", json!("front"), "cabd"),
        ("ad", json!("back"), "cbad"),
        ("dc", json!({"index": 1}), "bdca"),
        ("b", json!({"after": ids[2]}), "dcba"),
        ("ab", json!({"before": ids[3]}), "abdc"),
    ] {
        let reply = user.call("queue.move", json!({"ids": pick(&ids, moved), "place": place})).await;
        assert_eq!(reply["order"], json!(pick(&ids, order)), "{moved} to {place}");
        assert_eq!(user.order().await, pick(&ids, order));
    }
    let revision = user.revision().await;
    let reply = user.call("queue.move", json!({"ids": [ids[0]], "place": "front"})).await;
    assert_eq!(reply["revision"], revision);
    let error = user.refused("queue.move", json!({"ids": [ids[0]], "place": {"after": ids[0]}})).await;
    assert_eq!(error.code, -32015);
    let error = user.refused("queue.move", json!({"ids": [ids[0], "77"], "place": "front"})).await;
    assert_eq!((error.code, error.text("value")), (-32011, Some("77")));
    assert_eq!(user.revision().await, revision);
}

#[tokio::test]
async fn r08_the_whole_order_is_given_or_refused_with_what_is_wrong() {
    let server = Server::start().await;
    let user = server.client().await;
    let ids = four(&user).await;
    let revision = user.revision().await;
    let reply = user.call("queue.reorder", json!({"ids": pick(&ids, "dbca"), "revision": revision})).await;
    assert_eq!(reply["order"], json!(pick(&ids, "dbca")));
    let revision = reply["revision"].as_u64().unwrap();
    let wrong = json!({"ids": [ids[0], ids[0], ids[1], "99"], "revision": revision});
    let error = user.refused("queue.reorder", wrong).await;
    assert_eq!(error.code, -32602);
    assert_eq!(error.data["missing"], json!([ids[2], ids[3]]));
    assert_eq!(error.data["unknown"], json!(["99"]));
    assert_eq!(error.data["twice"], json!([ids[0]]));
    assert_eq!(user.order().await, pick(&ids, "dbca"));
}

#[tokio::test]
async fn r08_a_stale_edit_is_refused_with_the_present_order() {
    let server = Server::start().await;
    let user = server.client().await;
    let other = server.client().await;
    let ids = four(&user).await;
    let seen = user.revision().await;
    other.call("queue.move", json!({"ids": [ids[3]], "place": "front"})).await;
    let now = user.revision().await;
    assert!(now > seen);
    for (method, mut params) in [
        ("queue.move", json!({"ids": [ids[0]], "place": "back"})),
        ("queue.reorder", json!({"ids": ids})),
        ("job.edit", json!({"id": ids[0], "name": "x"})),
        ("job.remove", json!({"ids": [ids[0]]})),
        ("queue.clear", json!({})),
        ("job.submit", json!({"job": {"name": "x", "script": "pass"}})),
        ("job.submit_batch", json!({"jobs": [{"name": "x", "script": "pass"}]})),
    ] {
        params["revision"] = seen.into();
        let error = user.refused(method, params).await;
        assert_eq!((error.code, error.kind()), (-32012, "stale_revision"), "{method}");
        assert_eq!(error.data["revision"], now, "{method}");
        assert_eq!(error.data["order"], json!(pick(&ids, "dabc")), "{method}");
    }
    assert_eq!(user.order().await, pick(&ids, "dabc"));
    user.call("queue.move", json!({"ids": [ids[0]], "place": "back", "revision": now})).await;
}

#[tokio::test]
async fn r08_a_waiting_job_is_edited_whole_and_an_edit_that_changes_nothing_is_none() {
    let server = Server::start().await;
    let mut user = server.client().await;
    let [a, ..] = four(&user).await;
    let before = user.revision().await;
    let edit = json!({"id": a, "name": "new name", "script": "print('new')", "tags": ["x"], "timeout": "2h", "black_box": true});
    let reply = user.call("job.edit", edit.clone()).await;
    assert_eq!(reply["revision"], before + 1);
    let job = user.job(&a).await;
    assert_eq!((&job["name"], &job["script"]), (&json!("new name"), &json!("print('new')")));
    assert_eq!((&job["tags"], &job["kind"]), (&json!(["x"]), &json!("black_box")));
    assert_eq!(user.call("job.edit", edit).await["revision"], before + 1);
    let error = user.refused("job.edit", json!({"id": a, "name": 7})).await;
    assert_eq!(error.text("field"), Some("name"), "{error:?}");
    let error = user.refused("job.edit", json!({"id": a, "nmae": "x"})).await;
    assert_eq!(error.text("hint").map(|hint| hint.contains("name")), Some(true), "{error:?}");
    user.call("queue.release", json!({})).await;
    user.ends(&a, "succeeded").await;
    assert_eq!(user.output(&a).await, ["new"]);
}

#[tokio::test]
async fn r08_jobs_are_removed_duplicated_and_replaced() {
    let server = Server::start().await;
    let mut user = server.client().await;
    let [a, b, c, d] = four(&user).await;
    let error = user.refused("job.remove", json!({"ids": [a, "99"]})).await;
    assert_eq!(error.code, -32011);
    let reply = user.call("job.remove", json!({"ids": [a, "99", a], "lenient": true})).await;
    assert_eq!(reply["removed"], json!([a]));
    let gone = user.ends(&a, "cancelled").await;
    assert_eq!(gone["started_at"], Value::Null);
    let copy = user.call("job.duplicate", json!({"id": c, "place": {"after": b}})).await["id"].clone();
    assert_eq!(json!(user.order().await), json!([b, copy, c, d]));
    let job = user.job(copy.as_str().unwrap()).await;
    assert_eq!((&job["name"], &job["script"]), (&json!("c"), &json!("print(\"c\")")));
    // What has ended can be copied from the history.
    let again = user.call("job.duplicate", json!({"id": a})).await["id"].clone();
    assert_eq!(user.job(again.as_str().unwrap()).await["script"], "print(\"a\")");
    // An edit that gives another script replaces the job and keeps its place.
    user.call("job.edit", json!({"id": c, "script": "print('instead')"})).await;
    assert_eq!(user.order().await[2], c);
}

#[tokio::test]
async fn r08_a_held_job_keeps_its_place_and_is_passed_over() {
    let server = Server::start().await;
    let mut user = server.client().await;
    let [a, b, c, d] = four(&user).await;
    user.call("job.hold", json!({"id": a})).await;
    let revision = user.revision().await;
    assert_eq!(user.call("job.hold", json!({"id": a})).await["revision"], revision, "held already");
    assert_eq!(user.order().await[0], a);
    user.call("queue.release", json!({})).await;
    for id in [&b, &c, &d] {
        user.ends(id, "succeeded").await;
    }
    assert_eq!(user.job(&a).await["state"], "held");
    assert_eq!(user.order().await, std::slice::from_ref(&a));
    user.call("job.unhold", json!({"id": a})).await;
    user.ends(&a, "succeeded").await;
}

#[tokio::test]
async fn r08_a_batch_is_all_or_none_with_one_verdict_per_job() {
    let server = Server::start().await;
    let user = server.client().await;
    four(&user).await;
    let before = (user.order().await, user.revision().await);
    let bad = json!({"jobs": [
        {"name": "good", "script": "pass"},
        {"name": "neither"},
        {"name": "no such command", "commands": [{"command": "no_such_command", "parameters": {}}]},
        {"name": "good too", "script": "pass"},
    ]});
    let error = user.refused("job.submit_batch", bad).await;
    assert_eq!(error.code, -32015);
    let verdicts = error.data["verdicts"].as_array().unwrap();
    let oks: Vec<_> = verdicts.iter().map(|verdict| verdict["ok"].as_bool().unwrap()).collect();
    assert_eq!(oks, [true, false, false, true]);
    assert!(verdicts[0].get("id").is_none() && verdicts[1]["error"]["code"].is_i64(), "{verdicts:?}");
    assert_eq!((user.order().await, user.revision().await), before);

    let good =
        json!({"jobs": [{"name": "x", "script": "pass"}, {"name": "y", "script": "pass"}], "place": "front"});
    let reply = user.call("job.submit_batch", good).await;
    let ids: Vec<_> =
        reply["verdicts"].as_array().unwrap().iter().map(|verdict| verdict["id"].clone()).collect();
    assert_eq!(json!(user.order().await[..2]), json!(ids));
    assert_eq!(reply["revision"], user.revision().await);

    let revision = user.revision().await;
    let empty = user.call("job.submit_batch", json!({"jobs": []})).await;
    assert_eq!((&empty["verdicts"], &empty["revision"]), (&json!([]), &json!(revision)));
}

#[tokio::test]
async fn r08_repeat_makes_jobs_in_a_row_that_share_a_group() {
    let server = Server::start().await;
    let mut user = server.client().await;
    let [a, ..] = four(&user).await;
    let job = json!({"job": {"name": "r", "script": "pass", "repeat": 3}, "place": {"after": a}});
    let reply = user.call("job.submit", job).await;
    let ids = reply["ids"].as_array().unwrap().clone();
    assert_eq!((ids.len(), &reply["id"]), (3, &ids[0]));
    assert_eq!(json!(user.order().await[1..4]), json!(ids));
    let group = user.job(ids[0].as_str().unwrap()).await["group"].clone();
    assert!(group.is_string());
    for id in &ids {
        assert_eq!(user.job(id.as_str().unwrap()).await["group"], group);
    }
    for repeat in [json!(0), json!(-1), json!(1.5), json!("3")] {
        let job = json!({"job": {"name": "r", "script": "pass", "repeat": repeat}});
        let error = user.refused("job.submit", job).await;
        assert_eq!(error.text("field"), Some("job.repeat"), "{error:?}");
    }
    let removed = user.call("job.remove", json!({"group": group})).await;
    assert_eq!(removed["removed"], json!(ids));
    user.ends(ids[2].as_str().unwrap(), "cancelled").await;
}

#[tokio::test]
async fn r08_a_job_waits_for_its_time_lets_others_go_first_and_expires_after_its_deadline() {
    let server = Server::start().await;
    let mut user = server.client().await;
    user.call("queue.hold", json!({})).await;
    let soon = (jiff::Timestamp::now() + jiff::SignedDuration::from_secs(2)).to_string();
    let past = "2020-01-01T00:00:00Z";
    let later = user.submit_job(json!({"name": "later", "script": "pass", "not_before": soon})).await;
    let late = user
        .client
        .call::<Value>("job.submit", json!({"job": {"name": "late", "script": "pass", "deadline": past}}));
    // A deadline in the past is refused or the job expires at once; it never runs.
    if let Ok(reply) = late.await {
        user.ends(reply["id"].as_str().unwrap(), "expired").await;
    }
    let expires =
        user.submit_job(json!({"name": "expires", "script": "pass", "deadline": soon, "held": true})).await;
    let other = user.submit("other", "pass").await;
    user.call("queue.release", json!({})).await;
    let first = user.ends(&other, "succeeded").await;
    let second = user.ends(&later, "succeeded").await;
    assert!(second["started_at"].as_str() > first["started_at"].as_str());
    let begun: jiff::Timestamp = second["started_at"].as_str().unwrap().parse().unwrap();
    assert!(begun >= soon.parse().unwrap(), "{begun} is before {soon}");
    let expired = user.ends(&expires, "expired").await;
    assert_eq!(expired["started_at"], Value::Null);
}

#[tokio::test]
async fn r08_a_job_that_exceeds_its_timeout_fails_as_killed_with_a_timeout_error() {
    let server = Server::start().await;
    let mut user = server.client().await;
    let script = "import time\nwhile True:\n    time.sleep(0.01)\n";
    let id = user.submit_job(json!({"name": "too long", "script": script, "timeout": "500ms"})).await;
    let job = user.ends(&id, "failed").await;
    let report = &job["report"];
    assert_eq!((&report["type"], &report["phase"]), (&json!("TimeoutError"), &json!("killed")), "{job:#}");
}

#[tokio::test]
async fn r08a_a_group_is_moved_held_and_removed_as_one() {
    let server = Server::start().await;
    let mut user = server.client().await;
    let [a, b, c, d] = four(&user).await;
    let mut group = Vec::new();
    for angle in 1..=3 {
        let job = json!({"name": format!("angle {angle}"), "script": format!("print({angle})"), "group": "scan", "tags": [format!("{angle} of 3")]});
        group.push(user.submit_job(job).await);
    }
    user.call("queue.move", json!({"ids": [group[1]], "place": "front"})).await;
    let reply = user.call("queue.move", json!({"group": "scan", "place": {"after": a}})).await;
    let together = json!([a, group[1], group[0], group[2], b, c, d]);
    assert_eq!(reply["order"], together);
    let held = user.call("job.hold", json!({"group": "scan"})).await;
    assert_eq!(held["jobs"].as_array().map(Vec::len), Some(3), "{held}");
    user.call("queue.release", json!({})).await;
    user.ends(&d, "succeeded").await;
    for id in &group {
        assert_eq!(user.job(id).await["state"], "held");
    }
    user.call("job.unhold", json!({"ids": [group[1]]})).await;
    user.ends(&group[1], "succeeded").await;
    let removed = user.call("job.remove", json!({"group": "scan"})).await;
    assert_eq!(removed["removed"], json!([group[0], group[2]]));
    let error = user.refused("queue.move", json!({"group": "scan", "place": "front"})).await;
    assert_eq!((error.code, error.text("field")), (-32011, Some("group")));
}

#[tokio::test]
async fn r8a_a_group_shows_how_far_it_has_come_until_its_last_job_has_ended() {
    let server = Server::start().await;
    let mut user = server.client().await;
    let gate = server.home.path().join("gate");
    user.call("queue.hold", json!({})).await;
    let group = |script: &str| json!({"name": "angle", "script": script, "group": "night"});
    let first = user.submit_job(group("pass")).await;
    let fails = user.submit_job(group("raise SystemExit(1)")).await;
    let active = user.submit_job(group(&waits_for(&gate))).await;
    let removed = user.submit_job(group("pass")).await;
    let last = user.submit_job(group("pass")).await;
    let other = user.submit("of no group", "pass").await;
    let all = json!({"submitted": 5, "ended": 0, "failed": 0, "waiting": 5});
    assert_eq!(user.queue().await["groups"], json!({"night": all}));

    user.call("job.remove", json!({"ids": [removed]})).await;
    user.call("queue.release", json!({})).await;
    user.ends(&first, "succeeded").await;
    user.ends(&fails, "failed").await;
    user.call("queue.release", json!({})).await;
    user.line(&active, "group").await;
    let two_of_four = json!({"submitted": 4, "ended": 2, "failed": 1, "waiting": 1, "active": active});
    assert_eq!(user.queue().await["groups"], json!({"night": two_of_four}));
    // A page tells of its own series and of the active job's.
    let page = user.call("queue.get", json!({"offset": 1})).await;
    assert_eq!((&page["waiting"][0]["id"], page["groups"].get("night")), (&json!(other), Some(&two_of_four)));

    // A restart keeps the count, and the job that it interrupted has ended.
    let server = server.kill().await.start().await;
    let mut user = server.client().await;
    let three_of_four = json!({"submitted": 4, "ended": 3, "failed": 2, "waiting": 1});
    assert_eq!(user.queue().await["groups"], json!({"night": three_of_four}));
    user.call("queue.release", json!({})).await;
    user.ends(&last, "succeeded").await;
    user.ends(&other, "succeeded").await;
    assert_eq!(user.queue().await.get("groups"), None, "the series is over");
    let again = json!({"name": "angle", "script": "pass", "group": "night", "held": true});
    user.submit_job(again).await;
    let anew = json!({"submitted": 1, "ended": 0, "failed": 0, "waiting": 1});
    assert_eq!(user.queue().await["groups"], json!({"night": anew}));
}
