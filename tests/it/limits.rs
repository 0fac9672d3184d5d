//! Bounds that hold without anybody asking: keys of bound sessions, logins that fail again and again, clients
//! that say nothing, the age and the size of the history, a disk that takes nothing any more.

use std::{path::Path, process::Stdio, time::Duration};

use beamq::client::LoginWith;
use futures_util::{StreamExt, stream::FuturesUnordered};
use serde_json::{Value, json};
use tokio::{process::Command, time::timeout};

use crate::{
    harness::{DEADLINE, Home, QUICK, Server, eventually, text, waits_for},
    raw::Raw,
};

fn call(method: &str, params: Value, key: Option<&str>) -> String {
    let mut request = json!({"jsonrpc": "2.0", "id": "raw", "method": method, "params": params});
    if let Some(key) = key {
        request["key"] = key.into();
    }
    request.to_string()
}

#[tokio::test]
async fn r36_a_bound_session_is_of_no_use_without_its_key_and_who_tries_is_audited() {
    let server = Server::start().await;
    let admin = server.client().await;
    let mut bound = Raw::connect(&server).await;
    let login = bound.call("session.login", json!({"token": server.token, "bind": true})).await;
    let key = text(&login["result"]["key"]);
    let hold = |key| call("queue.hold", json!({}), key);
    for wrong in [None, Some("wrong"), Some("")] {
        let reply = bound.ask(hold(wrong)).await;
        assert_eq!(reply["error"]["code"], -32002, "{reply}");
        assert_eq!(reply["error"]["data"]["field"], "key", "{reply}");
        assert!(!reply.to_string().contains(&key), "{reply}");
    }
    assert_eq!(admin.queue().await["state"], "idle");
    assert_eq!(bound.ask(hold(Some(&key))).await["result"]["state"], "held");
    let audit = admin.call("audit.list", json!({})).await;
    let refused = audit["entries"].as_array().unwrap().iter();
    let refused = refused.filter(|entry| entry["method"] == "queue.hold" && entry["outcome"] == "forbidden");
    assert_eq!(refused.count(), 3, "{audit:#}");
    assert!(!audit.to_string().contains(&key), "the audit holds the key");
    // A new login makes a new key, and the old one is worth nothing.
    let login = bound.call("session.login", json!({"token": server.token, "bind": true})).await;
    let new = text(&login["result"]["key"]);
    assert_ne!(new, key);
    let release = |key| call("queue.release", json!({}), key);
    assert_eq!(bound.ask(release(Some(&key))).await["error"]["code"], -32002);
    assert_eq!(bound.ask(release(Some(&new))).await["result"]["state"], "idle");
}

#[tokio::test]
async fn r38_who_guesses_has_to_wait_and_the_running_job_and_others_do_not() {
    let server = Server::start().await;
    let mut user = server.client().await;
    let gate = server.home.path().join("gate");
    let job = user.submit("long", &waits_for(&gate)).await;
    user.line(&job, "group").await;
    let mut guesser = Raw::connect(&server).await;
    let mut hints = Vec::new();
    for guess in 0..6 {
        let reply = guesser.call("session.login", json!({"token": format!("guess {guess}")})).await;
        assert_eq!(reply["error"]["code"], -32002, "{reply}");
        hints.push(reply["error"]["data"]["hint"].as_str().unwrap_or_default().to_owned());
    }
    assert!(hints[0].is_empty() || !hints[0].contains("try again"), "{hints:?}");
    assert!(hints[5].contains("too many logins failed: try again in"), "{hints:?}");
    // The right token has to wait, too: otherwise the waiting would tell which guess was good.
    let reply = guesser.call("session.login", json!({"token": server.token})).await;
    assert_eq!(reply["error"]["code"], -32002, "{reply}");
    let give_up = tokio::time::Instant::now() + DEADLINE;
    while guesser.call("session.login", json!({"token": server.token})).await.get("result").is_none() {
        assert!(tokio::time::Instant::now() < give_up, "the wait does not end");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    std::fs::write(&gate, "").unwrap();
    user.ends(&job, "succeeded").await;
}

#[tokio::test]
async fn the_session_of_a_client_that_falls_silent_ends_and_nobody_elses() {
    let server = Server::with("sessions: {idle: \"2s\"}\n").await;
    let mut talker = Raw::login(&server).await;
    let mut silent = Raw::login(&server).await;
    assert_eq!(talker.call("server.status", json!({})).await["result"]["clients"], 2);
    let ends = async {
        while talker.call("server.status", json!({})).await["result"]["clients"] != 1 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(DEADLINE, ends).await.expect("the session of the silent client goes on");
    // Its connection is still good for a new login.
    assert_eq!(silent.call("server.status", json!({})).await["error"]["code"], -32001);
    let login = silent.call("session.login", json!({"token": server.token})).await;
    assert!(login.get("result").is_some(), "{login}");
    assert_eq!(talker.call("server.status", json!({})).await["result"]["clients"], 2);
}

#[tokio::test]
async fn the_session_of_a_client_that_does_not_log_in_ends() {
    let server = Server::with("sessions: {login: \"500ms\"}\n").await;
    let number = |login: Value| login["result"]["session"].as_str().unwrap().parse::<u64>().unwrap();
    let login = json!({"token": server.token});
    let mut nobody = Raw::connect(&server).await;
    let info = nobody.call("server.info", json!({})).await;
    assert_eq!(info["result"]["name"], "beamq");
    let since = std::time::Instant::now();
    eventually("much more time has passed than a login may take", || since.elapsed().as_secs() >= 3).await;
    // The next message begins a session anew, after those that others have begun meanwhile.
    let other = number(Raw::connect(&server).await.call("session.login", login.clone()).await);
    let late = number(nobody.call("session.login", login).await);
    assert!(late > other, "session {late} was there before {other}");
}

#[tokio::test]
async fn r22_the_history_forgets_what_is_older_than_is_kept() {
    let server = Server::with("history: {keep: \"1s\"}\n").await;
    let mut user = server.client().await;
    let old = text(&user.run("print('old')").await["id"]);
    let finished = std::time::Instant::now();
    eventually("the job is older than a second", || finished.elapsed().as_millis() > 1100).await;
    let waits = user.submit_job(json!({"name": "waits", "script": "pass", "held": true})).await;
    // A start looks for what is too old.
    let server = server.restart().await;
    let user = server.client().await;
    let give_up = tokio::time::Instant::now() + DEADLINE;
    while user.call("history.list", json!({})).await["jobs"] != json!([]) {
        assert!(tokio::time::Instant::now() < give_up, "the old job is still there");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(user.refused("job.get", json!({"id": old})).await.code, -32011);
    assert_eq!(user.call("output.get", json!({"job": old})).await["lines"], json!([]));
    assert_eq!(user.order().await, [waits]);
}

#[tokio::test]
async fn r22_the_history_stays_below_its_size_and_loses_the_oldest_first() {
    let server = Server::with("history: {keep: none, keep_size: \"1 MiB\"}\n").await;
    let mut user = server.client().await;
    let script = "for n in range(4000):\n    print(n, 'x' * 90)\n";
    let mut ids = Vec::new();
    for _ in 0..5 {
        let id = user.submit("loud", script).await;
        user.ends(&id, "succeeded").await;
        ids.push(id);
    }
    let server = server.restart().await;
    let user = server.client().await;
    let give_up = tokio::time::Instant::now() + DEADLINE;
    let kept = loop {
        let history = user.call("history.list", json!({})).await;
        let kept: Vec<_> = history["jobs"].as_array().unwrap().iter().map(|job| text(&job["id"])).collect();
        if kept.len() < 4 {
            break kept;
        }
        assert!(tokio::time::Instant::now() < give_up, "nothing is forgotten: {kept:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    // The newest is there with all its output, the oldest is gone.
    assert_eq!(kept.first(), ids.last(), "{kept:?}");
    assert!(!kept.contains(&ids[0]), "{kept:?}");
    assert_eq!(user.output(&ids[4]).await.len(), 4000);
}

/// Lets the server's files grow no further than this, as a full disk does; `unlimited` makes room again.
async fn files_end_at(server: &Server, bytes: &str) {
    let limited = Command::new("prlimit")
        .args(["--pid", &server.pid().to_string(), &format!("--fsize={bytes}:unlimited")])
        .status()
        .await
        .unwrap();
    assert!(limited.success());
}

/// A server that gets an error, and not a signal, when a file would be too large.
async fn server_that_survives_large_files() -> Server {
    let home = Home::new(QUICK);
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"]);
    home.start_with(command).await
}

#[tokio::test]
async fn r09_a_disk_that_takes_nothing_stops_changes_and_nothing_else_and_loses_nothing() {
    let server = server_that_survives_large_files().await;
    let mut user = server.client().await;
    let gate = server.home.path().join("gate");
    let running = user.submit("running", &waits_for(&gate)).await;
    user.line(&running, "group").await;
    let waits = user.submit("waits", "print('after all')").await;
    let mut clients = Vec::new();
    for _ in 0..4 {
        let client = server.stranger().await;
        client.login(LoginWith::Token(server.token.clone()), "tests").await.unwrap();
        clients.push(client);
    }
    files_end_at(&server, "4096").await;

    // The first change is neither confirmed nor refused: it is retried until there is room. Those that come
    // later are told why nothing is changed; one that comes at the same moment may share the first one's fate.
    let submit = json!({"job": {"name": "submitted meanwhile", "script": "pass"}});
    let mut replies: FuturesUnordered<_> = (clients.iter().zip([0, 700, 1400, 2100]))
        .map(|(client, wait)| {
            let submit = submit.clone();
            async move {
                tokio::time::sleep(Duration::from_millis(wait)).await;
                client.call::<Value>("job.submit", submit).await
            }
        })
        .collect();
    let refused = match timeout(DEADLINE, replies.next()).await.expect("nobody is told why").unwrap() {
        Ok(done) => panic!("it was confirmed without being on the disk: {done}"),
        Err(error) => error.rpc().unwrap().clone(),
    };
    assert_eq!((refused.code, refused.data["kind"].as_str()), (-32030, Some("unavailable")), "{refused:?}");
    assert!(refused.message.contains("beamq.db"), "{refused:?}");
    assert!(refused.data["hint"].as_str().unwrap().contains("nothing was changed"), "{refused:?}");
    // Whoever waits for nothing of their own can look, also somebody who comes only now and is told why.
    let status = user.call("server.status", json!({})).await;
    assert_eq!(
        (&status["active"]["id"], &status["queue"]["length"]),
        (&json!(running), &json!(1)),
        "{status}"
    );
    let reply = Raw::connect(&server).await.call("session.login", json!({"token": server.token})).await;
    assert_eq!(reply["error"]["code"], -32030, "{reply}");
    // The script runs on: it sees the file that it waits for, and ends.
    std::fs::write(&gate, "").unwrap();

    files_end_at(&server, "unlimited").await;
    let mut confirmed = vec![running.clone(), waits];
    while let Some(reply) = timeout(DEADLINE, replies.next()).await.expect("a reply is missing") {
        match reply {
            Ok(done) => confirmed.push(text(&done["id"])),
            Err(error) => assert_eq!(error.rpc().unwrap().code, -32030),
        }
    }
    assert!(confirmed.len() > 2, "the first change was not made when there was room again");
    for id in &confirmed {
        user.ends(id, "succeeded").await;
    }
    assert_eq!(user.output(&running).await.last().map(String::as_str), Some("seen"));
    let home = server.kill().await;
    let server = home.start().await;
    let user = server.client().await;
    for id in &confirmed {
        assert_eq!(user.job(id).await["state"], "succeeded");
    }
}

/// `/proc` takes no directory from anybody.
#[tokio::test]
async fn bad_start_on_a_file_system_that_takes_nothing_also_from_root() {
    let home = Home::new("");
    let output = Command::new(env!("CARGO_BIN_EXE_beamq"))
        .args(["serve", "--stomp", "127.0.0.1:0", "--data", "/proc/beamq/data"])
        .current_dir(home.path())
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    assert!(!Path::new("/proc/beamq").exists());
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.trim_end().lines().count(), 1, "{said}");
    for word in ["/proc/beamq", "--data"] {
        assert!(said.contains(word), "{word:?} is missing in: {said}");
    }
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
}
