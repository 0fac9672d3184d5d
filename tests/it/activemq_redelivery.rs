//! R31: requests that are delivered again, because somebody died at the wrong moment, and sessions that end
//! by themselves.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use beamq::wire::stomp::{Command, Limits, Received, StompCodec};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinHandle,
};
use tokio_util::codec::{FramedRead, FramedWrite};

use crate::{
    access::hash,
    broker::{Broker, call, request, state_is},
    harness::{DEADLINE, Home, QUICK, eventually, text},
};

/// A way to the broker that can be cut, and on which acknowledgements may get lost: there is no other way to
/// end a server for sure after it has carried out a request and before the broker knows.
struct Way {
    port: u16,
    lost: Arc<Notify>,
    cut: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Way {
    async fn to(broker: &Broker, loses_acknowledgements: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (lost, broker) = (Arc::new(Notify::new()), broker.stomp);
        let tell = Arc::clone(&lost);
        let cut = Arc::<Notify>::default();
        let end = Arc::clone(&cut);
        let task = tokio::spawn(async move {
            while let Ok((server, _)) = listener.accept().await {
                let (tell, end) = (Arc::clone(&tell), Arc::clone(&end));
                let broker = TcpStream::connect(("127.0.0.1", broker)).await.unwrap();
                tokio::spawn(async move {
                    tokio::select! {
                        () = Self::carry(server, broker, tell, loses_acknowledgements) => {}
                        () = end.notified() => {}
                    }
                });
            }
        });
        Self { port, lost, cut, task }
    }

    /// Cuts all connections; new ones can be made.
    fn cut(&self) {
        self.cut.notify_waiters();
    }

    async fn carry(server: TcpStream, broker: TcpStream, tell: Arc<Notify>, loses_acknowledgements: bool) {
        let (from_server, mut to_server) = server.into_split();
        let (mut from_broker, to_broker) = broker.into_split();
        let back = async move { tokio::io::copy(&mut from_broker, &mut to_server).await.ok() };
        let there = async move {
            let limits = Limits { body_bytes: 64 << 20, ..Limits::default() };
            let mut frames = FramedRead::new(from_server, StompCodec::new(limits));
            let mut wire = FramedWrite::new(to_broker, StompCodec::new(limits));
            while let Some(Ok(received)) = frames.next().await {
                let sent = match received {
                    Received::Frame(frame) if frame.command == Command::Ack && loses_acknowledgements => {
                        tell.notify_one();
                        Ok(())
                    }
                    Received::Frame(frame) => wire.send(frame).await,
                    Received::HeartBeat => wire.send(beamq::wire::stomp::HeartBeat).await,
                };
                if sent.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            _ = back => {}
            () = there => {}
        }
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn submit(name: &str) -> String {
    call("job.submit", json!({"job": {"name": name, "script": "pass", "held": true}}))
}

#[tokio::test]
async fn activemq_r31_a_server_killed_before_it_could_acknowledge_does_nothing_twice() {
    let broker = Broker::start().await;
    let way = Way::to(&broker, true).await;
    let lossy = broker.transport().replace(&format!(":{}", broker.stomp), &format!(":{}", way.port));
    // The token is another one after a restart; a password is not.
    let accounts = format!(
        "{QUICK}accounts:\n  - {{user: ibex, role: user, password_hash: \"{}\"}}\n",
        hash("ibex secret")
    );
    let server = Home::new(&format!("{accounts}{lossy}")).start().await;
    state_is(&server.client().await, "connected").await;

    let mut raw = broker.raw().await;
    let login = json!({"user": "ibex", "password": "ibex secret"});
    assert!(raw.call("login", "session.login", login).await["result"].is_object());
    raw.send(request("submit", &submit("once"))).await;
    let (_, reply) = raw.message().await;
    let id = text(&reply["result"]["id"]);
    way.lost.notified().await;
    let home = server.kill().await;
    // The next server is connected to the broker directly.
    std::fs::write(home.config(), format!("{accounts}{}", broker.transport())).unwrap();
    let server = home.start().await;
    let watcher = server.client().await;
    state_is(&watcher, "connected").await;

    // Both requests come again. The login opens a session; the submission is not carried out once more.
    let mut replies = BTreeSet::new();
    while replies.len() < 2 {
        let (frame, reply) = raw.message().await;
        let correlation = frame.get("correlation-id").unwrap().to_owned();
        match correlation.as_str() {
            "login" => assert!(reply["result"].is_object(), "{reply}"),
            "submit" => {
                assert_eq!(reply["error"]["code"], -32030, "{reply}");
                assert!(text(&reply["error"]["message"]).contains("restarted"), "{reply}");
            }
            other => panic!("{other}: {reply}"),
        }
        replies.insert(correlation);
    }
    let jobs = |queue: &Value| -> Vec<String> {
        queue["waiting"].as_array().unwrap().iter().map(|job| text(&job["id"])).collect()
    };
    assert_eq!(jobs(&watcher.queue().await), [id.as_str()]);
    // What is new is carried out.
    let reply =
        raw.call("next", "job.submit", json!({"job": {"name": "next", "script": "pass", "held": true}}));
    let next = text(&reply.await["result"]["id"]);
    assert_eq!(jobs(&watcher.queue().await), [id, next]);
}

#[tokio::test]
async fn activemq_a_request_that_comes_again_and_again_without_an_end_is_taken_off_the_queue_and_done_once() {
    let broker = Broker::start().await;
    let way = Way::to(&broker, false).await;
    let by_the_way = broker.transport().replace(&format!(":{}", broker.stomp), &format!(":{}", way.port));
    let server = Home::new(&format!("{QUICK}{by_the_way}")).start().await;
    let watcher = server.client().await;
    state_is(&watcher, "connected").await;
    let mut raw = broker.raw().await;
    raw.call("login", "session.login", json!({"token": server.token})).await;

    // While somebody else has locked the journal, a submission never comes to its end; and each time the
    // connection is cut, the broker delivers it once more.
    let thief = rusqlite::Connection::open(server.home.data().join("beamq.db")).unwrap();
    thief.execute_batch("BEGIN IMMEDIATE").unwrap();
    raw.send(request("submit", &submit("once"))).await;
    let logged = |what: &str| server.home.log().matches(what).count();
    let (connected, dropped) = ("connected to the broker", "delivered again and again is dropped");
    let mut cuts = 0;
    while logged(dropped) == 0 {
        cuts += 1;
        assert!(cuts <= 12, "it is delivered for ever: {}", server.home.log());
        let before = logged(connected);
        way.cut();
        eventually("connected again", || logged(connected) > before).await;
        // What the broker delivers again comes at once, if it comes.
        let comes = eventually("it is given up", || logged(dropped) > 0);
        let _not_yet = tokio::time::timeout(Duration::from_millis(500), comes).await;
    }
    assert!(cuts >= 4, "a request is not to be given up after {cuts} cuts");
    // It is off the queue: it does not come once more.
    let before = logged(connected);
    way.cut();
    eventually("connected again", || logged(connected) > before).await;

    // It was accepted, so it is carried out and answered when that is possible, once.
    thief.execute_batch("ROLLBACK").unwrap();
    let reply = loop {
        let (frame, reply) = raw.message().await;
        if frame.get("correlation-id") == Some("submit") {
            break reply;
        }
    };
    let id = text(&reply["result"]["id"]);
    assert_eq!(watcher.order().await, [id]);
    let info = raw.call("next", "server.info", json!({})).await;
    assert_eq!(info["result"]["name"], "beamq", "{info}");
    assert_eq!(logged(dropped), 1, "{}", server.home.log());
}

#[tokio::test]
async fn activemq_a_session_that_the_server_ended_says_no_more_and_may_begin_anew() {
    let broker = Broker::start().await;
    let server = broker.server("").await;
    let mut raw = broker.raw().await;
    for round in 0..2 {
        // What comes while the old session is being let go of is refused.
        let give_up = Instant::now() + DEADLINE;
        for n in 0.. {
            let login = json!({"token": server.token});
            if raw.call(&format!("login {round} {n}"), "session.login", login).await["result"].is_object() {
                break;
            }
            assert!(Instant::now() < give_up, "no new session begins");
        }
        let status = raw.call(&format!("status {round}"), "server.status", json!({})).await;
        assert!(status["result"].is_object(), "{status}");
        let logout = raw.call(&format!("logout {round}"), "session.logout", json!({})).await;
        assert!(logout.get("result").is_some(), "{logout}");
        // Every message up to the answer is one, and no empty text.
        let status = raw.call(&format!("out {round}"), "server.status", json!({})).await;
        assert_eq!(status["error"]["code"], -32001, "{status}");
    }
    // A request that comes again is answered again although its session is over.
    let again = raw.call("status 0", "server.status", json!({})).await;
    assert!(again["result"].is_object(), "{again}");
}
