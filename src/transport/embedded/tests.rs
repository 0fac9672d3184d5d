//! The endpoint over real sockets, with a small server behind it and a raw client in front.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod handshake;
mod hostile;
mod requests;
mod time;
mod topic;

use std::{
    collections::HashMap,
    future::Future,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use beamq_machines::SessionId;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use stomp_rs::protocol::frame as build;
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tokio_util::codec::Framed;

use super::*;
use crate::{
    protocol::Decoded,
    transport::{Origin, Outgoing, link::Delivery, outbox::Outbox},
    wire::stomp::{Command, Frame, HeartBeat, Received, StompCodec, Version},
};

/// Far more than anything here takes; a test that waits this long has failed.
const DEADLINE: Duration = Duration::from_secs(20);

async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.unwrap_or_else(|_| panic!("waited too long for {what}"))
}

struct OneToken;

impl CredentialCheck for OneToken {
    fn admits(&self, login: &str, passcode: &str) -> bool {
        login == "beamq" && passcode == "the-token"
    }
}

/// The endpoint and the server behind it. Both end with the test.
struct World {
    address: SocketAddr,
    clients: Clients,
    sessions: watch::Receiver<Sessions>,
    stop: watch::Sender<bool>,
    endpoint: JoinHandle<()>,
    server: JoinHandle<()>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.endpoint.abort();
        self.server.abort();
    }
}

/// What the server knows of its clients.
#[derive(Clone, Debug, Default)]
struct Sessions {
    announced: Vec<Origin>,
    gone: Vec<Origin>,
    /// How many replies have been handed over.
    answered: usize,
}

impl World {
    async fn new() -> Self {
        Self::with(EndpointLimits::default()).await
    }

    async fn with(limits: EndpointLimits) -> Self {
        let endpoint = bind((Ipv4Addr::LOCALHOST, 0).into()).await.unwrap();
        let address = endpoint.local_addr();
        let (clients, deliveries) = Clients::new("DEMO");
        let (stop, stopped) = watch::channel(false);
        let (seen, sessions) = watch::channel(Sessions::default());
        let server = tokio::spawn(serve_requests(clients.clone(), deliveries, seen));
        let endpoint = tokio::spawn(endpoint.serve(clients.clone(), Arc::new(OneToken), limits, stopped));
        Self { address, clients, sessions, stop, endpoint, server }
    }

    async fn connect(&self) -> Client {
        let mut client = Client::open(self.address).await;
        client.send(login_frame()).await;
        assert_eq!(client.next().await.command, Command::Connected);
        client
    }

    /// Waits until what the server knows fulfils a condition.
    async fn until(&self, what: &str, condition: impl Fn(&Sessions) -> bool) {
        let mut sessions = self.sessions.clone();
        in_time(what, sessions.wait_for(condition)).await.unwrap();
    }
}

/// A server with just enough behaviour: the first word of a body says what it does.
async fn serve_requests(
    clients: Clients,
    mut deliveries: mpsc::Receiver<Delivery>,
    seen: watch::Sender<Sessions>,
) {
    struct Known {
        origin: Origin,
        outbox: Option<Outbox>,
        may_read_events: Arc<std::sync::atomic::AtomicBool>,
    }
    let mut known: HashMap<SessionId, Known> = HashMap::new();
    while let Some(delivery) = deliveries.recv().await {
        match delivery {
            Delivery::Announce { session, origin, outbox, may_read_events } => {
                seen.send_modify(|sessions| sessions.announced.push(origin.clone()));
                known.insert(session, Known { origin, outbox: Some(outbox), may_read_events });
            }
            Delivery::Look(_) => {}
            Delivery::Gone { session, .. } => {
                let gone = known.remove(&session).expect("a session goes once");
                seen.send_modify(|sessions| sessions.gone.push(gone.origin));
            }
            Delivery::Message { session, correlation, decoded, .. } => {
                let client = known.get_mut(&session).expect("a session is announced first");
                let text = wish(&decoded).to_owned();
                let Some(outbox) = &client.outbox else { continue };
                let (verb, rest) = text.split_once(' ').unwrap_or((&text, ""));
                let mut answer = text.clone();
                match verb {
                    "login" => client.may_read_events.store(true, Ordering::Release),
                    "events" => {
                        for number in 0..rest.parse::<u64>().unwrap() {
                            clients.broadcast(&format!("event {number}").into());
                        }
                    }
                    "flood" => {
                        let body: Arc<str> = "x".repeat(100_000).into();
                        for _ in 0..rest.parse::<u64>().unwrap() {
                            let event = Outgoing::new(None, Arc::clone(&body));
                            assert!(outbox.push(event), "the flood fits into the outbox");
                        }
                    }
                    "overfill" => {
                        let body: Arc<str> = "x".repeat(100_000).into();
                        while outbox.push(Outgoing::new(None, Arc::clone(&body))) {}
                        client.outbox = None;
                        continue;
                    }
                    "long" => answer = "y".repeat(rest.parse().unwrap()),
                    _ => {}
                }
                assert!(outbox.push(Outgoing::new(correlation, answer.into())));
                seen.send_modify(|sessions| sessions.answered += 1);
                if verb == "logout" {
                    client.outbox = None;
                }
            }
        }
    }
}

/// What a client wishes of the server of these tests; a plain echo, if it does not say.
fn wish(decoded: &Decoded) -> &str {
    match decoded {
        Decoded::Proxy(Value::Array(items)) => items.first().and_then(Value::as_str).unwrap_or("echo"),
        _ => "echo",
    }
}

fn login_frame() -> Frame {
    build::Connect::new("1.0,1.1,1.2", "beamq")
        .header("login", "beamq")
        .header("passcode", "the-token")
        .into()
}

/// A client that writes what it is told to, be it right or wrong.
struct Client {
    framed: Framed<TcpStream, StompCodec>,
}

impl Client {
    async fn open(address: SocketAddr) -> Self {
        let stream = in_time("a connection", TcpStream::connect(address)).await.unwrap();
        Self { framed: Framed::new(stream, StompCodec::new(Limits::default())) }
    }

    fn speak(&mut self, version: Version) {
        self.framed.codec_mut().set_version(version);
    }

    async fn send(&mut self, frame: impl Into<Frame>) {
        let frame: Frame = frame.into();
        in_time("a frame to be written", self.framed.send(frame)).await.unwrap();
    }

    async fn send_bytes(&mut self, bytes: &[u8]) {
        in_time("bytes to be written", self.framed.get_mut().write_all(bytes)).await.unwrap();
    }

    async fn beat(&mut self) {
        in_time("a heart-beat to be written", self.framed.send(HeartBeat)).await.unwrap();
    }

    async fn receive(&mut self) -> Option<Received> {
        in_time("something to come", self.framed.next()).await.map(|received| received.expect("good frames"))
    }

    /// The next frame; heart-beats are passed over.
    async fn next(&mut self) -> Frame {
        loop {
            match self.receive().await.expect("the connection is open") {
                Received::Frame(frame) => return frame,
                Received::HeartBeat => {}
            }
        }
    }

    /// The next frame, which is an ERROR that says this.
    async fn next_error(&mut self, part: &str) -> Frame {
        let frame = self.next().await;
        assert_eq!(frame.command, Command::Error, "{frame:?}");
        let text = format!("{} {}", frame.get("message").unwrap(), body(&frame));
        assert!(text.contains(part), "{part:?} is not in {text:?}");
        assert!(text.contains("hint: "), "{text:?} says what to do");
        frame
    }

    /// The server closes the connection; only heart-beats may come before.
    async fn expect_end(&mut self) {
        while let Some(received) = self.receive().await {
            assert_eq!(received, Received::HeartBeat);
        }
    }

    async fn subscribe(&mut self, id: &str, destination: &str) {
        self.send(build::Subscribe::new(id, destination).receipt(format!("subscribed-{id}"))).await;
        let receipt = self.next().await;
        assert_eq!(receipt.command, Command::Receipt, "{receipt:?}");
        assert_eq!(receipt.get("receipt-id"), Some(format!("subscribed-{id}").as_str()));
    }

    async fn request(&mut self, reply_to: &str, correlation: &str, body: &str) {
        let body = json!([body]).to_string();
        self.send(request(reply_to).header("correlation-id", correlation).with_body(body)).await;
    }

    /// A request and its reply, on a queue that is subscribed to.
    async fn call(&mut self, reply_to: &str, text: &str) -> Frame {
        self.request(reply_to, "call", text).await;
        let reply = self.next().await;
        assert_eq!(
            (reply.command, reply.get("correlation-id")),
            (Command::Message, Some("call")),
            "{reply:?}"
        );
        reply
    }
}

fn request(reply_to: &str) -> Frame {
    Frame::from(build::Send::new("/queue/ss_admin").header("reply-to", reply_to))
}

fn body(frame: &Frame) -> &str {
    std::str::from_utf8(&frame.body).unwrap()
}
