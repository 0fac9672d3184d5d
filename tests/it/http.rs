//! R39: health and numbers over HTTP, on loopback only.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::harness::{DEADLINE, LOOP, Server};

async fn with_http() -> Server {
    Server::with("transports:\n  http: {address: \"127.0.0.1:0\"}\n").await
}

fn address(server: &Server) -> String {
    server.ready["http"].as_str().expect("the ready line tells the address").to_owned()
}

/// Sends bytes and gives the status and everything after the head.
async fn exchange(server: &Server, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address(server)).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    timeout(DEADLINE, stream.read_to_end(&mut answer)).await.expect("an answer").unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("{answer:?}")), body.to_owned())
}

async fn get(server: &Server, path: &str) -> (u16, String) {
    exchange(server, &format!("GET {path} HTTP/1.1\r\nHost: localhost:8910\r\nConnection: close\r\n\r\n"))
        .await
}

/// The values of the metrics by name and labels.
pub async fn metrics(server: &Server) -> BTreeMap<String, f64> {
    let (status, text) = get(server, "/metrics").await;
    assert_eq!(status, 200, "{text}");
    assert!(text.ends_with("# EOF\n"), "{text}");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap_or_else(|_| panic!("{line}")))
        })
        .collect()
}

#[tokio::test]
async fn r39_metrics_tell_what_the_server_is_doing() {
    let server = with_http().await;
    let mut user = server.client().await;
    let status = user.call("server.status", json!({})).await;
    assert_eq!(status["transports"]["http"], format!("listening on {}", address(&server)));
    let id = user.submit("runs", "print('x')").await;
    user.ends(&id, "succeeded").await;
    let failed = user.submit("fails", "1 / 0").await;
    user.ends(&failed, "failed").await;
    user.call("queue.release", json!({})).await;
    let running = user.submit("loops", LOOP).await;
    user.settles(&running, "running").await;
    for held in [true, false, false] {
        user.submit_job(json!({"name": "slumbers", "script": "pass", "held": held})).await;
    }
    user.refused("job.get", json!({"id": "999"})).await;

    let metrics = metrics(&server).await;
    let value = |name: &str| *metrics.get(name).unwrap_or_else(|| panic!("no {name} in {metrics:#?}"));
    assert_eq!(value(r#"beamq_queue_jobs{state="queued"}"#), 2.0);
    assert_eq!(value(r#"beamq_queue_jobs{state="held"}"#), 1.0);
    assert_eq!(value(r#"beamq_queue_state{state="busy"}"#), 1.0);
    assert_eq!(value(r#"beamq_active_job{state="running"}"#), 1.0);
    assert_eq!(value(r#"beamq_engine_state{state="ready"}"#), 1.0);
    assert_eq!(value(r#"beamq_jobs_ended_total{state="succeeded"}"#), 1.0);
    assert_eq!(value(r#"beamq_jobs_ended_total{state="failed"}"#), 1.0);
    assert_eq!(value("beamq_job_duration_seconds_count"), 2.0);
    assert_eq!(value(r#"beamq_requests_total{method="job.submit"}"#), 6.0);
    assert_eq!(value(r#"beamq_request_errors_total{kind="not_found"}"#), 1.0);
    assert!(value(r#"beamq_events_total{kind="event.job"}"#) >= 8.0);
    assert!(value("beamq_journal_commit_seconds_count") >= 6.0);
    assert_eq!(value("beamq_journal_commit_failures_total"), 0.0);
    assert_eq!(value("beamq_sessions"), 1.0);
    assert_eq!(value("beamq_broker_connected"), 0.0);
    assert!(value("beamq_uptime_seconds") > 0.0);
    assert!(value("beamq_client_backlog_messages") < 100.0);
    assert!(metrics.keys().any(|name| name.starts_with("beamq_server_info{") && name.contains("DEMO")));
    // Every one of them is explained, and nothing is explained that is not there.
    let page = include_str!("../../docs/operating.md");
    for name in metrics.keys() {
        let name = name.split('{').next().unwrap();
        let name = ["_total", "_bucket", "_count", "_sum"]
            .iter()
            .find_map(|end| name.strip_suffix(end))
            .unwrap_or(name);
        assert!(page.contains(&format!("`{name}")), "docs/operating.md does not explain {name}");
    }
    // Nothing that only those may know who have logged in.
    let (_, text) = get(&server, "/metrics").await;
    for secret in [server.token.as_str(), "loops", "slumbers", "1 / 0"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

#[tokio::test]
async fn r39_health_is_what_the_loop_and_the_journal_say() {
    let server = with_http().await;
    let (status, text) = get(&server, "/healthz").await;
    assert_eq!((status, text.as_str()), (200, r#"{"status":"ok"}"#));
    // Somebody else holds the journal's lock: nothing can be committed.
    let thief = rusqlite::Connection::open(server.home.data().join("beamq.db")).unwrap();
    thief.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (status, text) = get(&server, "/healthz").await;
    assert_eq!(status, 503, "{text}");
    let said: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(said["status"], "failing");
    assert!(said["part"].is_string() && said["why"].is_string(), "{said}");
    thief.execute_batch("ROLLBACK").unwrap();
    assert_eq!(get(&server, "/healthz").await.0, 200);
}

#[tokio::test]
async fn http_answers_nobody_who_was_lured_here_and_nothing_else() {
    let server = with_http().await;
    let head = |line: &str, host: &str| format!("{line} HTTP/1.1\r\n{host}Connection: close\r\n\r\n");
    for host in
        ["Host: 127.0.0.1\r\n", "Host: 127.0.0.1:1\r\n", "Host: LOCALHOST\r\n", "Host: [::1]:8910\r\n"]
    {
        assert_eq!(exchange(&server, &head("GET /healthz", host)).await.0, 200, "{host}");
    }
    for host in [
        "",
        "Host: evil.example\r\n",
        "Host: evil.example:8910\r\n",
        "Host: 127.0.0.1.evil.example\r\n",
        "Host: localhost.\r\n",
        "Host: localhost:x\r\n",
        "Host: localhost\r\nHost: evil.example\r\n",
    ] {
        for path in ["/healthz", "/metrics", "/other"] {
            let (status, _) = exchange(&server, &head(&format!("GET {path}"), host)).await;
            assert!(matches!(status, 400 | 403), "{host}: {status}");
        }
    }
    let localhost = "Host: localhost\r\n";
    assert_eq!(exchange(&server, &head("GET /", localhost)).await.0, 404);
    assert_eq!(exchange(&server, &head("GET /rpc", localhost)).await.0, 404);
    assert_eq!(exchange(&server, &head("POST /metrics", localhost)).await.0, 405);
    assert_eq!(exchange(&server, &head("DELETE /healthz", localhost)).await.0, 405);
    let (status, body) = exchange(&server, &head("HEAD /metrics", localhost)).await;
    assert_eq!((status, body.as_str()), (200, ""));
    // What is too large or no HTTP at all is refused, and harms nobody.
    let large = format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(100_000));
    assert_eq!(exchange(&server, &large).await.0, 431);
    let mut rubbish = TcpStream::connect(address(&server)).await.unwrap();
    rubbish.write_all(b"\x00\xff CONNECT\n\n\0").await.unwrap();
    assert_eq!(get(&server, "/healthz").await.0, 200);
}

#[tokio::test]
async fn http_connections_that_say_nothing_hold_up_others_for_seconds_at_most() {
    let server = with_http().await;
    let mut silent = Vec::new();
    for _ in 0..64 {
        silent.push(TcpStream::connect(address(&server)).await.unwrap());
    }
    assert_eq!(get(&server, "/healthz").await.0, 200);
}
