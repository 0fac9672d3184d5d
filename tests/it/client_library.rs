//! The client as a library: calls side by side, notifications, the end of a connection.

use std::time::Duration;

use beamq::client::{Client, ClientError, Credentials, LoginWith, ServerAddress};
use serde_json::{Value, json};

use crate::support::{DEADLINE, Server};

async fn connect(server: &Server) -> Client {
    let address: ServerAddress = server.ready["stomp"].as_str().unwrap().parse().unwrap();
    let token = std::fs::read_to_string(server.data().join("token")).unwrap().trim().to_owned();
    let client = Client::connect(&address, Credentials::token(token.clone())).await.unwrap();
    assert!(client.peer_is_beamq());
    let login = client.login(LoginWith::Token(token), "a test").await.unwrap();
    assert_eq!(login.role, "admin");
    client
}

#[tokio::test]
async fn calls_run_side_by_side_and_each_gets_its_own_reply() {
    let server = Server::start();
    let client = connect(&server).await;
    let _: Value = client.call("queue.hold", json!({})).await.unwrap();
    let names: Vec<_> = (0..50).map(|n| format!("job number {n}")).collect();
    let submitting = &client;
    let submissions = names.iter().map(|name| async move {
        let submitted: Value =
            submitting.call("job.submit", json!({"job": {"name": name, "script": "pass"}})).await.unwrap();
        let whole: Value = submitting.call("job.get", json!({"id": submitted["id"]})).await.unwrap();
        assert_eq!(whole["job"]["name"], name.as_str());
    });
    futures_util::future::join_all(submissions).await;
    client.close().await;
}

#[tokio::test]
async fn an_error_of_the_server_keeps_its_code_and_data_and_harms_nothing_else() {
    let server = Server::start();
    let client = connect(&server).await;
    let missing = client.call::<Value>("job.get", json!({"id": "999"})).await.unwrap_err();
    let missing = missing.rpc().expect("an answer of the server");
    assert_eq!((missing.code, missing.kind()), (-32011, "not_found"));
    let unknown = client.call::<Value>("job.fly", json!({})).await.unwrap_err();
    assert_eq!(unknown.rpc().unwrap().code, -32601);
    let status: Value = client.call("server.status", json!({})).await.unwrap();
    assert_eq!(status["queue"]["state"], "idle");
    client.close().await;
}

#[tokio::test]
async fn notifications_reach_every_listener_in_order() {
    let server = Server::start();
    let client = connect(&server).await;
    let mut listeners = [client.events(), client.events()];
    let _: Value = client.call("events.subscribe", json!({"kinds": ["job"]})).await.unwrap();
    let _: Value = client.call("job.submit", json!({"job": {"name": "n", "script": "pass"}})).await.unwrap();
    for listener in &mut listeners {
        let mut last = 0;
        loop {
            let event = tokio::time::timeout(DEADLINE, listener.recv()).await.unwrap().expect("an event");
            let seq = event["params"]["seq"].as_u64().unwrap();
            assert!(seq > last, "{event}");
            last = seq;
            if event["params"]["job"]["state"] == "succeeded" {
                break;
            }
        }
    }
    client.close().await;
}

#[tokio::test]
async fn a_refused_login_to_the_endpoint_is_told_from_an_absent_server() {
    let server = Server::start();
    let address: ServerAddress = server.ready["stomp"].as_str().unwrap().parse().unwrap();
    let refused = Client::connect(&address, Credentials::token("wrong")).await.unwrap_err();
    assert!(matches!(refused, ClientError::Refused { .. }), "{refused:?}");
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let absent = Client::connect(&nobody.into(), Credentials::token("x")).await.unwrap_err();
    assert!(matches!(absent, ClientError::Unreachable { .. }), "{absent:?}");
}

#[tokio::test]
async fn the_end_of_the_server_ends_calls_and_notifications() {
    let mut server = Server::start();
    let client = connect(&server).await;
    let mut events = client.events();
    assert_eq!(server.stop(), Some(0));
    // A server that stops may still announce it.
    while tokio::time::timeout(DEADLINE, events.recv()).await.expect("the end comes").is_some() {}
    let lost = client.call::<Value>("server.status", json!({})).await.unwrap_err();
    assert!(matches!(lost, ClientError::Lost { .. }), "{lost:?}");
}

#[tokio::test]
async fn something_that_speaks_no_stomp_is_named() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        tokio::time::sleep(Duration::from_secs(5)).await;
    });
    let error = Client::connect(&address.into(), Credentials::token("x")).await.unwrap_err();
    assert!(matches!(error, ClientError::NotStomp { .. }), "{error:?}");
    answer.abort();
}
