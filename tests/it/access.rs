//! R36, R37, R38: who may do what, who did what, and that secrets stay secret.

use std::{fs, io::Write, os::unix::fs::PermissionsExt, process::Stdio};

use beamq::client::{Client, ClientError, Credentials, LoginWith};
use serde_json::{Value, json};

use crate::harness::{LOOP, Server, text};

/// The hash of a password, as an administrator makes it.
pub fn hash(password: &str) -> String {
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_beamq"))
        .args(["account", "hash"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(format!("{password}\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

pub async fn with_accounts() -> Server {
    let mut config = String::from("queue: {after_abort: continue}\naccounts:\n");
    for role in ["viewer", "user", "scientist", "admin"] {
        let hash = hash(&format!("{role} secret"));
        config.push_str(&format!("  - {{user: {role}-1, role: {role}, password_hash: \"{hash}\"}}\n"));
    }
    let hash = hash("other secret");
    config.push_str(&format!("  - {{user: user-2, role: user, password_hash: \"{hash}\"}}\n"));
    Server::with(&config).await
}

#[tokio::test]
async fn r36_roles_allow_what_they_are_for_and_nothing_more() {
    let server = with_accounts().await;
    let viewer = server.account("viewer-1", "viewer secret").await;
    let mut user = server.account("user-1", "user secret").await;
    let other = server.account("user-2", "other secret").await;
    let scientist = server.account("scientist-1", "scientist secret").await;

    for (method, params) in
        [("server.status", json!({})), ("queue.get", json!({})), ("history.list", json!({}))]
    {
        viewer.call(method, params).await;
    }
    let job = json!({"job": {"name": "x", "script": "pass"}});
    for (method, params) in [
        ("job.submit", job.clone()),
        ("queue.hold", json!({})),
        ("run.abort", json!({})),
        ("audit.list", json!({})),
    ] {
        let error = viewer.refused(method, params).await;
        assert_eq!((error.code, error.kind()), (-32002, "forbidden"), "{method}");
    }

    let mine = user.submit("mine", LOOP).await;
    let waits = user.submit("mine too", "pass").await;
    user.line(&mine, "group").await;
    assert_eq!(user.job(&mine).await["owner"], "user-1");
    // Another user neither steers nor edits what is not theirs, nor the queue as a whole.
    for (method, params) in [
        ("run.pause", json!({})),
        ("run.abort", json!({})),
        ("job.edit", json!({"id": waits, "name": "taken"})),
        ("job.remove", json!({"ids": [waits]})),
        ("job.hold", json!({"id": waits})),
        ("queue.move", json!({"ids": [waits], "place": "front"})),
        ("queue.hold", json!({})),
        ("queue.clear", json!({})),
        ("queue.reorder", json!({"ids": [waits], "revision": other.revision().await})),
        ("audit.list", json!({})),
    ] {
        let error = other.refused(method, params).await;
        assert_eq!((error.code, error.kind()), (-32002, "forbidden"), "{method} {error:?}");
    }
    let removed = other.call("job.remove", json!({"ids": [waits], "lenient": true})).await;
    assert_eq!(removed["removed"], json!([]));
    user.call("job.edit", json!({"id": waits, "name": "renamed"})).await;
    user.call("run.pause", json!({})).await;
    user.settles(&mine, "paused").await;
    // A scientist controls everything on the queue.
    scientist.call("run.resume", json!({})).await;
    scientist.call("job.hold", json!({"id": waits})).await;
    scientist.call("run.abort", json!({"why": "not your turn"})).await;
    user.ends(&mine, "aborted").await;
    scientist.call("queue.hold", json!({})).await;
    scientist.call("audit.list", json!({})).await;
}

#[tokio::test]
async fn r36_wrong_credentials_are_refused_without_saying_which_part_is_wrong() {
    let server = with_accounts().await;
    let mut said = Vec::new();
    for params in [
        json!({"token": "wrong"}),
        json!({"user": "user-1", "password": "wrong"}),
        json!({"user": "nobody", "password": "user secret"}),
    ] {
        let stranger = server.stranger().await;
        let error = stranger.call::<Value>("session.login", params).await.unwrap_err();
        let error = error.rpc().unwrap().clone();
        assert_eq!(error.code, -32002);
        said.push(error.message);
    }
    assert!(said.iter().all(|message| *message == said[0]), "{said:?}");
    let stranger = server.stranger().await;
    for method in ["server.status", "job.submit", "queue.get", "audit.list"] {
        let error = stranger.call::<Value>(method, json!({})).await.unwrap_err();
        let code = error.rpc().unwrap().code;
        assert!([-32001, -32602].contains(&code), "{method}: {code}");
    }
    assert_eq!(stranger.call::<Value>("server.info", json!({})).await.unwrap()["name"], "beamq");
    for (user, passcode) in [("beamq", "wrong"), ("admin", &*server.token), ("", "")] {
        let credentials = Credentials { user: user.into(), passcode: passcode.into() };
        let error = Client::connect(&server.address, credentials).await.unwrap_err();
        assert!(matches!(error, ClientError::Refused { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn r37_every_change_is_audited_with_user_client_before_and_after() {
    let server = with_accounts().await;
    let admin = server.client().await;
    let user = server.account("user-1", "user secret").await;
    admin.call("queue.hold", json!({"why": "audit"})).await;
    let id = user.submit("audited", "print('a secret script')").await;
    user.call("job.edit", json!({"id": id, "name": "renamed"})).await;
    user.refused("queue.clear", json!({})).await;
    admin.call("queue.clear", json!({})).await;
    let entries = admin.call("audit.list", json!({})).await["entries"].as_array().unwrap().clone();
    let find = |method: &str, outcome: &str| {
        entries
            .iter()
            .find(|entry| entry["method"] == method && entry["outcome"] == outcome)
            .unwrap_or_else(|| panic!("no {method} {outcome} in {entries:#?}"))
    };
    let submitted = find("job.submit", "ok");
    assert_eq!((&submitted["user"], &submitted["role"]), (&json!("user-1"), &json!("user")));
    assert!(text(&submitted["client"]).contains("tests"), "{submitted:#}");
    assert_eq!(submitted["transport"], "embedded");
    assert_eq!((&submitted["before"]["waiting"], &submitted["after"]["waiting"]), (&json!(0), &json!(1)));
    assert!(submitted["time"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
    let cleared = find("queue.clear", "ok");
    assert_eq!((&cleared["before"]["waiting"], &cleared["after"]["waiting"]), (&json!(1), &json!(0)));
    let refused = find("queue.clear", "forbidden");
    assert_eq!(refused["user"], "user-1");
    find("job.edit", "ok");
    find("queue.hold", "ok");
    find("session.login", "ok");
    let only = admin.call("audit.list", json!({"user": "user-1", "limit": 2})).await;
    let only = only["entries"].as_array().unwrap();
    assert!(only.len() == 2 && only.iter().all(|entry| entry["user"] == "user-1"), "{only:#?}");
}

#[tokio::test]
async fn r38_secrets_are_in_no_log_process_list_environment_or_readable_file() {
    let server = Server::with("log: {level: trace}\n").await;
    let mut user = server.client().await;
    let secret = server.token.clone();
    let wrong = "hunter2-wrong-password";
    let stranger = server.stranger().await;
    let refused = stranger.call::<Value>("session.login", json!({"user": "x", "password": wrong})).await;
    assert!(!format!("{refused:?}").contains(wrong));
    let mistyped = stranger.call::<Value>("session.login", json!({"token": [secret]})).await;
    assert!(!format!("{mistyped:?}").contains(&secret));
    let job = user.run("import os, sys\nprint(os.environ, sys.argv)\nprint(open('/proc/self/cmdline').read())\nprint(open('/proc/%d/cmdline' % os.getppid()).read(), open('/proc/%d/environ' % os.getppid(), errors='replace').read())\n").await;
    let output = user.output(job["id"].as_str().unwrap()).await.join("\n");
    assert!(!output.contains(&secret), "the script can read the token in its surroundings");
    let data = server.home.data();
    assert_eq!(fs::metadata(data.join("token")).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(data.join("beamq.db")).unwrap().permissions().mode() & 0o077, 0);
    // No login at all may have left the token or a password behind: look into every file there is.
    let mut looked_at = 0;
    let mut folders = vec![server.home.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path != data.join("token") && path.is_file() {
                let bytes = fs::read(&path).unwrap();
                for word in [secret.as_bytes(), wrong.as_bytes()] {
                    let found = bytes.windows(word.len()).any(|window| window == word);
                    assert!(!found, "{} holds a secret", path.display());
                }
                looked_at += 1;
            }
        }
    }
    assert!(looked_at >= 3, "{looked_at}");
    assert!(!server.home.log().is_empty());
    let commands = fs::read(format!("/proc/{}/cmdline", server.pid())).unwrap();
    assert!(!String::from_utf8_lossy(&commands).contains(&secret));
    drop(LoginWith::Token(secret));
}
