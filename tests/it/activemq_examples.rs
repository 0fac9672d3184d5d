//! The example clients, as somebody who reads them would run them.

use std::{path::PathBuf, process::Stdio};

use serde_json::json;
use tokio::{process::Command, time::timeout};

use crate::{
    broker::Broker,
    harness::{DEADLINE, Server},
    installed::installed,
    java::Classes,
};

fn examples() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples")
}

/// Runs a client to its end. It has submitted three jobs then, of which one ran to its end.
async fn runs(mut client: Command, broker: &Broker, server: &Server) {
    client
        .env("BROKER_PASSWORD", broker.password("ss_client"))
        .env("BEAMQ_TOKEN", &server.token)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let ended = timeout(DEADLINE, client.output()).await.expect("the example ends").unwrap();
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert!(ended.status.success() && said.ends_with("done\n"), "{ended:?}\n{}", server.home.log());
    let watcher = server.client().await;
    let history = watcher.call("history.list", json!({})).await;
    let states: Vec<_> = history["jobs"].as_array().unwrap().iter().map(|job| &job["state"]).collect();
    for state in ["succeeded", "aborted", "cancelled"] {
        assert_eq!(states.iter().filter(|found| **found == state).count(), 1, "{states:?}");
    }
    // It has taken its leave.
    assert_eq!(watcher.call("server.status", json!({})).await["clients"], 1);
}

#[tokio::test]
async fn activemq_r29_the_java_example_runs_with_plain_jms() {
    let broker = Broker::start().await;
    let server = broker.server("").await;
    let classes = Classes::compile(server.home.path(), &["examples/java/BeamqClient.java"]).await;
    let address = format!("tcp://127.0.0.1:{}", broker.openwire);
    let client = classes.command("BeamqClient", &broker, &server, &address);
    runs(client, &broker, &server).await;
}

#[tokio::test]
async fn activemq_a_client_like_the_gui_works_with_plain_jms_and_the_proxy_dialect() {
    let broker = Broker::start().await;
    let server = broker.server("").await;
    let classes = Classes::compile(server.home.path(), &["examples/java/ProxyClient.java"]).await;
    let address = format!("tcp://127.0.0.1:{}", broker.openwire);
    let mut client = classes.command("ProxyClient", &broker, &server, &address);
    let ended =
        timeout(DEADLINE, client.stdin(Stdio::null()).output()).await.expect("the client ends").unwrap();
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    let lines: Vec<_> = said.lines().collect();
    let expected = [
        "user level 20",
        r#"processing "reqid":"1""#,
        "message begun",
        "status [1,",
        r#"rearranged "4","2""#,
        r#"blocked "2""#,
        "updated third, changed",
        "status [0,",
        r#"done "reqid":"1""#,
        "message third, changed",
        r#"done "reqid":"3""#,
        "done",
    ];
    assert!(ended.status.success() && lines == expected, "{ended:?}\n{}", server.home.log());
    let watcher = server.client().await;
    let history = watcher.call("history.list", json!({})).await;
    let ended: Vec<_> =
        history["jobs"].as_array().unwrap().iter().map(|job| (&job["name"], &job["state"])).collect();
    for (name, state) in [
        ("slow.py", "aborted"),
        ("first.py", "cancelled"),
        ("second.py", "succeeded"),
        ("third.py", "succeeded"),
    ] {
        assert!(ended.contains(&(&json!(name), &json!(state))), "{name} is not {state}: {ended:?}");
    }
    assert_eq!(watcher.call("server.status", json!({})).await["clients"], 1, "it has taken its leave");
}

#[tokio::test]
async fn activemq_the_python_example_runs_with_stomp_py() {
    let broker = Broker::start().await;
    let server = broker.server("").await;
    let mut client = Command::new(installed("clients-python/bin/python"));
    client.arg(examples().join("python/beamq_client.py"));
    client.args(["127.0.0.1", &broker.stomp.to_string(), "ss_client"]);
    runs(client, &broker, &server).await;
}

#[tokio::test]
async fn activemq_the_javascript_example_runs_with_stompjs() {
    let broker = Broker::start().await;
    let server = broker.server("").await;
    let folder = server.home.path().join("javascript");
    std::fs::create_dir(&folder).unwrap();
    for file in ["beamq_client.mjs", "tcp_socket.mjs", "package.json"] {
        std::fs::copy(examples().join("javascript").join(file), folder.join(file)).unwrap();
    }
    let modules = installed("clients-javascript/node_modules");
    std::os::unix::fs::symlink(modules, folder.join("node_modules")).unwrap();
    let mut client = Command::new("node");
    client.arg(folder.join("beamq_client.mjs"));
    client.args(["127.0.0.1", &broker.stomp.to_string(), "ss_client"]);
    runs(client, &broker, &server).await;
}
