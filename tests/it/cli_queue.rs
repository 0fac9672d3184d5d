//! Editing the queue.

use serde_json::json;

use crate::support::{ENDLESS, Server};

/// A server whose queue is held, with this many waiting jobs.
fn held_with(jobs: usize) -> (Server, Vec<String>) {
    let server = Server::start();
    server.run(&["queue", "hold", "--why", "a test"]).expect_code(0);
    let ids = (0..jobs).map(|_| server.submit("pass\n")).collect();
    (server, ids)
}

fn strs(ids: &[String]) -> Vec<&str> {
    ids.iter().map(String::as_str).collect()
}

#[test]
fn the_list_shows_what_waits_and_why_nothing_starts() {
    let (server, ids) = held_with(2);
    let listed = server.run(&["queue"]).expect_code(0);
    let lines: Vec<_> = listed.out.lines().collect();
    assert!(lines[0].starts_with("queue held by admin: a test, 2 waiting, revision "), "{}", listed.out);
    assert!(lines[1].contains("owner") && lines[2].contains(&ids[0]) && lines[2].contains("unknown"));
    assert_eq!(lines.len(), 4);
    let status = server.run(&["status"]).expect_code(0);
    assert!(status.out.contains("held by admin: a test, 2 waiting"), "{}", status.out);
}

#[test]
fn r8a_the_list_and_the_status_show_how_far_a_series_has_come() {
    let (server, _) = held_with(1);
    let script = server.script("angle.py", "pass\n");
    server.run(&["submit", &script, "--repeat", "3", "--group", "night", "--front"]).expect_code(0);
    let listed = server.run(&["queue"]).expect_code(0);
    assert_eq!(listed.out.lines().last(), Some("group night: 0 of 3"));
    let status = server.run(&["status"]).expect_code(0);
    assert!(status.out.contains("group       night: 0 of 3\n"), "{}", status.out);
}

#[test]
fn jobs_are_moved_one_by_one_and_many_together() {
    let (server, ids) = held_with(4);
    let [a, b, c, d] = strs(&ids)[..] else { panic!("four jobs") };
    let moved = server.json(&["queue", "move", c, d, "--front"]);
    assert_eq!(moved["order"], json!([c, d, a, b]));
    server.run(&["queue", "move", c, "--back"]).expect_code(0);
    server.run(&["queue", "move", a, "--before", d]).expect_code(0);
    server.run(&["queue", "move", b, "--after", a]).expect_code(0);
    assert_eq!(server.order(), [a, b, d, c]);
    server.run(&["queue", "move", c, "--index", "1"]).expect_code(0);
    assert_eq!(server.order(), [a, c, b, d]);
}

#[test]
fn the_whole_order_is_given_at_once_and_must_be_complete() {
    let (server, ids) = held_with(3);
    let [a, b, c] = strs(&ids)[..] else { panic!("three jobs") };
    server.run(&["queue", "reorder", c, b, a]).expect_code(0);
    assert_eq!(server.order(), [c, b, a]);
    let incomplete = server.run(&["queue", "reorder", c, b]);
    assert_ne!(incomplete.code, Some(0), "{incomplete:?}");
    assert_eq!(server.order(), [c, b, a]);
}

#[test]
fn an_edit_for_an_old_revision_is_a_conflict_that_changes_nothing() {
    let (server, ids) = held_with(2);
    let old = server.revision();
    server.run(&["queue", "move", &ids[1], "--front"]).expect_code(0);
    let order = server.order();
    let stale =
        server.run(&["queue", "move", &ids[0], "--front", "--revision", &old.to_string()]).expect_code(5);
    assert!(
        stale.err.contains("error:") && stale.err.contains("look at `beamq queue list`"),
        "{}",
        stale.err
    );
    assert_eq!(server.order(), order);
    let present = server.revision().to_string();
    server.run(&["queue", "move", &ids[0], "--front", "--revision", &present]).expect_code(0);
}

#[test]
fn single_jobs_and_groups_are_held_and_released() {
    let (server, ids) = held_with(1);
    let script = server.script("s.py", "pass\n");
    server.run(&["submit", &script, &script, "--group", "night"]).expect_code(0);
    server.run(&["queue", "hold", &ids[0]]).expect_code(0);
    assert_eq!(server.state(&ids[0]), "held");
    server.run(&["queue", "release", &ids[0]]).expect_code(0);
    assert_eq!(server.state(&ids[0]), "queued");
    server.run(&["queue", "hold", "--group", "night"]).expect_code(0);
    let states = |server: &Server| -> Vec<String> {
        let queue = server.json(&["queue", "list"]);
        queue["waiting"]
            .as_array()
            .unwrap()
            .iter()
            .map(|job| job["state"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(states(&server), ["queued", "held", "held"]);
    server.run(&["queue", "release", "--group", "night"]).expect_code(0);
    assert_eq!(states(&server), ["queued", "queued", "queued"]);
}

#[test]
fn removed_jobs_stay_in_the_history_as_cancelled() {
    let (server, ids) = held_with(3);
    let removed = server.json(&["queue", "remove", &ids[0], &ids[1]]);
    assert_eq!(removed["removed"], json!([ids[0], ids[1]]));
    assert_eq!(server.order(), [ids[2].as_str()]);
    assert_eq!(server.state(&ids[0]), "cancelled");
    let again = server.run(&["queue", "remove", &ids[2], &ids[0]]);
    assert_ne!(again.code, Some(0), "{again:?}");
    assert_eq!(server.order(), [ids[2].as_str()], "nothing is removed when one of them cannot be");
    server.run(&["queue", "remove", &ids[2], &ids[0], "--lenient"]).expect_code(0);
    assert_eq!(server.order(), Vec::<String>::new());
}

#[test]
fn the_queue_is_cleared() {
    let (server, _) = held_with(3);
    let cleared = server.json(&["queue", "clear"]);
    assert_eq!(cleared["removed"].as_array().unwrap().len(), 3);
    assert_eq!(server.order(), Vec::<String>::new());
}

#[test]
fn a_waiting_job_is_edited_and_duplicated() {
    let (server, ids) = held_with(1);
    let script = server.script("new.py", "print('new')\n");
    server.run(&["queue", "edit", &ids[0], "--name", "renamed", "--script", &script]).expect_code(0);
    let copy = server.json(&["queue", "duplicate", &ids[0], "--front"])["id"].as_str().unwrap().to_owned();
    assert_eq!(server.order(), [copy.clone(), ids[0].clone()]);
    assert_eq!(server.json(&["queue", "list"])["waiting"][0]["name"], "renamed");
    server.run(&["queue", "release"]).expect_code(0);
    server.until_state(&ids[0], "succeeded");
    assert_eq!(server.run(&["output", &copy]).out, "new\n");
    assert_eq!(server.run(&["output", &ids[0]]).out, "new\n");
}

#[test]
fn an_edit_without_a_change_needs_a_terminal_for_the_editor() {
    let (server, ids) = held_with(1);
    let refused = server.run(&["queue", "edit", &ids[0]]).expect_code(2);
    assert!(refused.err.contains("--script"), "{}", refused.err);
}

#[test]
fn the_queue_stops_after_the_running_job_unless_that_is_taken_back() {
    let server = Server::start();
    let idle = server.run(&["queue", "stop"]).expect_code(5);
    assert!(idle.err.contains("error:"), "{}", idle.err);
    let first = server.submit(ENDLESS);
    let second = server.submit("pass\n");
    server.until_state(&first, "running");
    assert_eq!(server.json(&["queue", "stop"])["state"], "draining");
    assert_eq!(server.json(&["queue", "stop", "--cancel"])["state"], "busy");
    assert_eq!(server.json(&["queue", "stop"])["state"], "draining");
    server.run(&["abort"]).expect_code(0);
    server.until_state(&first, "aborted");
    assert_eq!(server.json(&["queue", "list"])["state"], "held");
    assert_eq!(server.state(&second), "queued");
}

#[test]
fn a_job_that_is_not_there_is_named() {
    let (server, _) = held_with(0);
    let unknown = server.run(&["queue", "move", "999", "--front"]).expect_code(1);
    assert!(unknown.err.contains("999"), "{}", unknown.err);
    server.run(&["output", "999"]).expect_code(1);
    server.run(&["watch", "999"]).expect_code(1);
    server.run(&["rerun", "999"]).expect_code(1);
}
