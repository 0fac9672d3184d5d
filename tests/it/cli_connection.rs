//! Finding the server, logging in, and what is said when that does not work.

use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt, process::Stdio};

use crate::support::{Process, Server, program, run, serve};

#[test]
fn the_ready_line_and_the_endpoint_file_say_where_the_server_is() {
    let server = Server::start();
    let port = server.ready["stomp"].as_str().unwrap().rsplit_once(':').unwrap().1;
    assert_ne!(port, "0");
    let endpoint: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(server.data().join("endpoint.json")).unwrap()).unwrap();
    assert_eq!(endpoint["stomp"], server.ready["stomp"]);
    assert_eq!(endpoint["pid"], server.ready["pid"]);
    let status = server.json(&["status"]);
    assert_eq!(status["queue"]["state"], "idle");
    assert_eq!(status["clients"], 1);
}

#[test]
fn nobody_there_is_exit_3_with_the_directory_and_what_to_start() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("nothing");
    let ended = run(program().arg("--data").arg(&data).arg("status"), b"").expect_code(3);
    assert!(ended.err.contains("error: ") && ended.err.contains(data.to_str().unwrap()), "{}", ended.err);
    assert!(ended.err.contains("beamq serve"), "{}", ended.err);

    // A port that was free a moment ago, with nobody behind it.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("stomp://beamq:token@127.0.0.1:{port}");
    run(program().args(["--server", &url, "status"]), b"").expect_code(3);
}

#[test]
fn a_server_that_was_stopped_is_not_reachable_any_more() {
    let mut server = Server::start();
    server.run(&["status"]).expect_code(0);
    assert_eq!(server.stop(), Some(0));
    let ended = server.run(&["status"]).expect_code(3);
    assert!(ended.err.contains("hint: "), "{}", ended.err);
}

#[test]
fn a_wrong_token_is_refused() {
    let server = Server::start();
    let url = format!("stomp://beamq:wrong@{}", server.ready["stomp"].as_str().unwrap());
    let ended = run(program().args(["--server", &url, "--json", "status"]), b"").expect_code(4);
    let error: serde_json::Value = serde_json::from_str(&ended.err).unwrap();
    assert_eq!(error["error"]["exit"], 4);
    assert!(!ended.err.contains("wrong@"), "a password is never shown: {}", ended.err);
}

#[test]
fn the_token_in_the_url_is_enough() {
    let server = Server::start();
    let token = server.run(&["token"]).expect_code(0).out.trim().to_owned();
    assert_eq!(server.json(&["token"])["token"], token.as_str());
    let mode = fs::metadata(server.data().join("token")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let elsewhere = tempfile::tempdir().unwrap();
    let url = format!("stomp://beamq:{token}@{}", server.ready["stomp"].as_str().unwrap());
    let mut command = program();
    command.env("BEAMQ_SERVER", url).env("BEAMQ_DATA", elsewhere.path()).arg("status");
    run(&mut command, b"").expect_code(0);
}

#[test]
fn an_account_may_do_what_its_role_allows() {
    let hash = run(program().args(["account", "hash"]), b"open sesame\n").expect_code(0).out;
    assert!(hash.starts_with("$argon2id$"), "{hash}");
    let server = Server::start_with(&format!(
        "accounts: [{{user: guest, role: viewer, password_hash: \"{}\"}}]\n",
        hash.trim()
    ));
    let as_guest = |password: &str, arguments: &[&str]| {
        let mut command = server.command(arguments);
        run(command.env("BEAMQ_USER", "guest").env("BEAMQ_PASSWORD", password), b"pass\n")
    };
    as_guest("open sesame", &["status"]).expect_code(0);
    let refused = as_guest("open sesame", &["submit", "-"]).expect_code(4);
    assert!(refused.err.contains("role"), "{}", refused.err);
    as_guest("wrong", &["status"]).expect_code(4);
}

#[test]
fn wrong_usage_is_exit_2() {
    for arguments in
        [&["frobnicate"][..], &["submit"], &["--server", "tcp://x", "status"], &["submit", "/nonexistent.py"]]
    {
        let ended = run(program().env("XDG_STATE_HOME", "/nonexistent").args(arguments), b"").expect_code(2);
        assert!(ended.err.contains("error"), "{arguments:?}: {}", ended.err);
        assert_eq!(ended.out, "");
    }
}

#[test]
fn wrong_usage_is_json_too_where_json_was_asked_for() {
    for arguments in [&["--json", "frobnicate"][..], &["queue", "move", "2", "--json"], &["submit", "--json"]]
    {
        let ended = run(program().args(arguments), b"").expect_code(2);
        let error: serde_json::Value = serde_json::from_str(&ended.err).expect(&ended.err);
        assert_eq!(error["error"]["exit"], 2, "{error}");
        assert!(error["error"]["message"].as_str().is_some_and(|message| message.len() > 10), "{error}");
        assert!(error["error"]["hint"].as_str().is_some_and(|hint| hint.contains("Usage: beamq")), "{error}");
    }
    let text = run(program().args(["submit", "--", "--json"]), b"").err;
    assert!(text.starts_with("error: "), "a file that is called --json: {text}");
}

#[test]
fn help_names_the_exit_codes_and_completions_are_for_the_shell() {
    let help = run(program().arg("--help"), b"").expect_code(0).out;
    assert!(help.contains("Exit codes:") && help.contains("70"), "{help}");
    let bash = run(program().args(["completions", "bash"]), b"").expect_code(0).out;
    assert!(bash.contains("complete") && bash.contains("duplicate"), "{}", bash.len());
}

#[test]
fn a_port_in_use_is_one_clear_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = program();
    command.args(["serve", "--stomp", &address, "--data"]).arg(folder.path());
    let mut process = Process::spawn(command.stdout(Stdio::null()).stderr(Stdio::piped()));
    let code = process.wait().code();
    let complaint = process.complaint();
    assert_ne!(code, Some(0), "{complaint}");
    let port = taken.local_addr().unwrap().port().to_string();
    assert!(complaint.starts_with("error: ") && complaint.contains(&port), "{complaint}");
    assert_eq!((code, complaint.lines().count()), (Some(5), 1), "{complaint}");
}

#[test]
fn a_second_server_on_the_same_directory_is_refused() {
    let server = Server::start();
    let mut second = Process::spawn(serve(&server.data()).stdout(Stdio::null()).stderr(Stdio::piped()));
    let code = second.wait().code();
    assert_eq!(code, Some(5), "{}", second.complaint());
    server.run(&["status"]).expect_code(0);
}
