//! Steering the running job and watching it.

use std::process::Stdio;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::{DEADLINE, ENDLESS, Process, Server};

#[test]
fn a_job_is_paused_resumed_and_aborted() {
    let server = Server::start();
    let id = server.submit(ENDLESS);
    server.until_state(&id, "running");
    let paused = server.json(&["pause", "--level", "now"]);
    assert!(paused["acts"].is_string(), "{paused}");
    server.until_state(&id, "paused");
    let status = server.run(&["status"]).expect_code(0);
    assert!(status.out.contains("paused") && status.out.contains("line "), "{}", status.out);
    server.run(&["resume"]).expect_code(0);
    server.until_state(&id, "running");
    server.run(&["abort", "--why", "enough"]).expect_code(0);
    server.until_state(&id, "aborted");
    assert_eq!(server.json(&["queue", "list"])["state"], "held", "the queue is held after an abort");
}

#[test]
fn with_nothing_running_there_is_nothing_to_steer() {
    let server = Server::start();
    for command in ["pause", "resume", "skip", "abort"] {
        let refused = server.run(&[command]).expect_code(5);
        assert!(refused.err.starts_with("error: "), "{command}: {}", refused.err);
    }
}

#[test]
fn a_black_box_cannot_be_paused() {
    let server = Server::start();
    let script = server.script("box.py", ENDLESS);
    let id = server.json(&["submit", &script, "--black-box"])["jobs"][0]["id"].as_str().unwrap().to_owned();
    server.until_state(&id, "running");
    server.run(&["pause"]).expect_code(5);
    server.run(&["abort"]).expect_code(0);
    server.until_state(&id, "aborted");
}

#[test]
fn a_question_is_shown_and_answered() {
    let server = Server::start();
    let id = server.submit("name = input('Which sample? ')\nprint('measuring', name)\n");
    let mut watch = Process::spawn(server.command(&["watch", &id, "--json"]).stdout(Stdio::piped()));
    let lines = watch.lines();
    let prompt = loop {
        let line: Value =
            serde_json::from_str(&lines.recv_timeout(DEADLINE).expect("a question comes")).unwrap();
        if line["method"] == "event.prompt" {
            break line["params"]["prompt"].as_str().unwrap().to_owned();
        }
    };
    let late = server.run(&["status"]).expect_code(0).out;
    assert!(
        late.contains("Which sample?") && late.contains(&format!("beamq answer {prompt} VALUE")),
        "{late}"
    );
    server.run(&["answer", &prompt, "water"]).expect_code(0);
    assert_eq!(watch.wait().code(), Some(0));
    assert!(server.run(&["output", &id]).out.contains("measuring water"));
    let late = server.run(&["answer", &prompt, "oil"]);
    assert!(matches!(late.code, Some(1 | 5)), "{late:?}");
}

#[test]
fn watching_a_job_shows_its_output_and_ends_with_it() {
    let server = Server::start();
    let good =
        server.submit("import time\nfor n in range(5):\n    print('point', n)\n    time.sleep(0.05)\n");
    let watched = server.run(&["watch", &good]).expect_code(0);
    for part in ["point 0", "point 4", "succeeded"] {
        assert_eq!(watched.out.matches(part).count(), 1, "{part}: {}", watched.out);
    }
    let bad = server.submit("print('so far')\nraise ValueError('too cold')\n");
    let watched = server.run(&["watch", &bad]).expect_code(1);
    for part in ["so far", "ValueError: too cold", "line 2"] {
        assert!(watched.out.contains(part), "{part}: {}", watched.out);
    }
    let again = server.run(&["watch", &bad]).expect_code(1);
    assert!(again.out.contains("ValueError: too cold"), "also after the job has ended: {}", again.out);
}

#[test]
fn watching_everything_goes_on_until_it_is_interrupted() {
    let server = Server::start();
    let mut watch = Process::spawn(server.command(&["watch", "--json"]).stdout(Stdio::piped()));
    let lines = watch.lines();
    crate::support::until("somebody watches", || server.json(&["status"])["clients"] == 2);
    let id = server.submit("print('hello')\n");
    loop {
        let line: Value =
            serde_json::from_str(&lines.recv_timeout(DEADLINE).expect("the end comes")).unwrap();
        if line["method"] == "event.job" && line["params"]["job"]["state"] == "succeeded" {
            assert_eq!(line["params"]["job"]["id"], id);
            assert!(line["params"]["seq"].is_u64(), "{line}");
            break;
        }
    }
    watch.signal(Signal::SIGINT);
    assert_eq!(watch.wait().code(), Some(0));
}

#[test]
fn output_is_followed_to_the_end_of_the_job_without_gaps_or_repetitions() {
    let server = Server::start();
    let id = server
        .submit("import time\nfor n in range(3000):\n    print(n)\n    if n % 500 == 0: time.sleep(0.1)\n");
    let followed = server.run(&["output", &id, "-f"]).expect_code(0);
    let numbers: Vec<u32> = followed.out.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(numbers, (0..3000).collect::<Vec<_>>());
    let lines = server.run(&["output", &id, "-f", "--json"]).expect_code(0).documents();
    assert_eq!(lines.len(), 3000);
    assert_eq!((&lines[2999]["n"], &lines[2999]["text"]), (&3000.into(), &"2999".into()));
    let tail = server.json(&["output", &id, "--from", "2999"]);
    assert_eq!(tail["lines"].as_array().unwrap().len(), 2);
}

#[test]
fn a_failed_job_is_run_again_corrected() {
    let server = Server::start();
    let failed = server.submit("print(1 / 0)\n");
    server.until_state(&failed, "failed");
    let corrected = server.script("corrected.py", "print(1 / 1)\n");
    let rerun = server.json(&["rerun", &failed, "--edit", &corrected, "--name", "second try"]);
    let id = rerun["id"].as_str().unwrap();
    server.run(&["queue", "release"]).expect_code(0);
    server.run(&["watch", id]).expect_code(0);
    let job = server.json(&["history", "--limit", "1"])["jobs"][0].clone();
    assert_eq!(job["rerun_of"], failed.as_str());
    assert_eq!(job["name"], "second try");
    assert_eq!(server.run(&["output", id]).out, "1.0\n");
    assert_eq!(server.state(&failed), "failed", "a job that has ended never changes");
    let again = server.run(&["rerun", id, "--wait"]).expect_code(0);
    assert!(again.out.contains("succeeded"), "{}", again.out);
}

#[test]
fn the_history_is_searched_and_paged() {
    let server = Server::start_with("queue: {after_failure: continue}\n");
    let ids: Vec<_> = ["pass\n", "1 / 0\n", "pass\n"].map(|text| server.submit(text)).into();
    server.until_state(&ids[2], "succeeded");
    let failed = server.json(&["history", "--state", "failed"]);
    assert_eq!(failed["jobs"].as_array().unwrap().len(), 1);
    assert_eq!(failed["jobs"][0]["report"]["type"], "ZeroDivisionError");
    let page = server.json(&["history", "--limit", "2"]);
    assert_eq!((&page["jobs"][0]["id"], &page["more"]), (&ids[2].as_str().into(), &true.into()));
    let next = server.json(&["history", "--before", &ids[1], "--limit", "2"]);
    assert_eq!((&next["jobs"][0]["id"], &next["more"]), (&ids[0].as_str().into(), &false.into()));
    assert_eq!(server.json(&["history", "--since", "1h"])["jobs"].as_array().unwrap().len(), 0);
    let table = server.run(&["history"]).expect_code(0).out;
    assert!(table.contains("ZeroDivisionError") && table.contains("owner"), "{table}");
    server.run(&["history", "--state", "sleeping"]).expect_code(2);
}

#[test]
fn after_a_crash_the_queue_is_there_the_job_is_interrupted_and_nothing_runs_unasked() {
    let mut server = Server::start();
    let running = server.submit(ENDLESS);
    let waiting = [server.submit("print('a')\n"), server.submit("print('b')\n")];
    server.run(&["queue", "move", &waiting[1], "--front"]).expect_code(0);
    server.until_state(&running, "running");
    let (order, revision) = (server.order(), server.revision());
    let mut watch =
        Process::spawn(server.command(&["watch", &running]).stdout(Stdio::null()).stderr(Stdio::piped()));
    crate::support::until("somebody watches", || server.json(&["status"])["clients"] == 2);

    server.crash_and_restart();
    assert_eq!(watch.wait().code(), Some(3), "{}", watch.complaint());
    assert_eq!(server.state(&running), "interrupted");
    assert_eq!(server.order(), order);
    assert!(server.revision() >= revision);
    assert_eq!(server.json(&["queue", "list"])["state"], "held");
    server.run(&["watch", &running]).expect_code(1);
    server.run(&["queue", "release"]).expect_code(0);
    server.until_state(&waiting[0], "succeeded");
    server.until_state(&waiting[1], "succeeded");
}

#[test]
fn a_reader_who_has_seen_enough_does_no_harm() {
    let server = Server::start();
    let id = server.submit("for n in range(20000): print('line', n)\n");
    server.run(&["watch", &id]).expect_code(0);
    let mut output =
        Process::spawn(server.command(&["output", &id]).stdout(Stdio::piped()).stderr(Stdio::piped()));
    let first = output.first_line();
    assert_eq!(first, "line 0");
    assert_eq!(output.wait().code(), Some(0));
    assert_eq!(output.complaint(), "");
}
