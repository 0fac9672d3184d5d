//! The status that clients of the proxy dialect ask for again and again, with a long queue in it.

use std::time::Instant;

use beamq::wire::stomp::{Command, Frame, Limits, Received, StompCodec};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use tokio_util::codec::Framed;

use crate::{
    Effort,
    server::{PATIENCE, Server, block_on},
    statistics::{median, percentile},
    table::{Quantity, Table, Target},
};

const JOBS: usize = 200;
const SCRIPT_BYTES: usize = 20_000;

pub(crate) fn measure(effort: Effort, table: &mut Table) {
    let server = Server::start();
    let rounds = effort.choose(10, 300);
    block_on(fill(&server));
    let (address, token) = server.endpoint();
    let (first, ours, size) = block_on(async {
        let mut client = Peer::log_in(address, &token).await;
        let (first, size) = client.round_trip().await;
        let mut times = Vec::new();
        for _ in 0..rounds {
            times.push(client.round_trip().await.0);
        }
        (first, times, size)
    });
    let echo = echo(rounds, size);
    table.figure(
        format!("getstatus with {JOBS} waiting scripts of 20 kB, {:.1} MB (median)", size as f64 / 1e6),
        Quantity::Milliseconds(median(&ours)),
        Target::LessThan(5.0),
        ("echo of as many bytes, no server", Quantity::Milliseconds(median(&echo))),
    );
    table.remark(
        "the same (p95)",
        Quantity::Milliseconds(percentile(&ours, 0.95)),
        Some(("echo", Quantity::Milliseconds(percentile(&echo, 0.95)))),
    );
    table.remark("the first one, which writes every script as JSON", Quantity::Milliseconds(first), None);
}

async fn fill(server: &Server) {
    let client = server.client().await;
    let _: Value = client.call("queue.hold", json!({})).await.unwrap();
    let line = "x = \"a line of a script\"  # as people write them\n";
    let jobs: Vec<_> = (0..JOBS)
        .map(|n| {
            let script = format!("# {n}\n{}", line.repeat(SCRIPT_BYTES / line.len()));
            json!({"name": format!("job {n}"), "script": script})
        })
        .collect();
    let _: Value = client.call("job.submit_batch", json!({"jobs": jobs})).await.unwrap();
    client.close().await;
}

/// A client of the proxy dialect that looks at no more of a reply than its size.
pub(crate) struct Peer(Framed<TcpStream, StompCodec>);

impl Peer {
    async fn connect(address: impl ToSocketAddrs) -> Self {
        let socket = TcpStream::connect(address).await.unwrap();
        socket.set_nodelay(true).unwrap();
        Self(Framed::new(socket, StompCodec::new(Limits { body_bytes: 64 << 20, ..Limits::default() })))
    }

    /// Connects and logs in with the token.
    pub(crate) async fn log_in(address: (String, u16), token: &str) -> Self {
        let mut peer = Self::connect(address).await;
        let connect =
            Frame::new(Command::Connect).header("accept-version", "1.2").header("host", "localhost");
        peer.0.send(connect.header("login", "beamq").header("passcode", token)).await.unwrap();
        assert_eq!(peer.frame().await.command, Command::Connected);
        let subscribe =
            Frame::new(Command::Subscribe).header("id", "r").header("destination", "/temp-queue/r");
        peer.0.send(subscribe).await.unwrap();
        let login = json!({"command": "authenticate", "login": "b", "passwd": token, "display": "benchmark"});
        let reply = peer.ask(login.to_string()).await;
        assert!(reply.body.starts_with(br#"{"success":true"#), "{reply:?}");
        peer
    }

    async fn frame(&mut self) -> Frame {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.0.next()).await.expect("a frame");
            if let Received::Frame(frame) = next.expect("the connection ended").unwrap() {
                return frame;
            }
        }
    }

    /// The reply to a request, which events may precede.
    async fn ask(&mut self, body: String) -> Frame {
        let send = Frame::new(Command::Send).header("destination", "/queue/ss_admin");
        self.0.send(send.header("reply-to", "/temp-queue/r").with_body(Bytes::from(body))).await.unwrap();
        loop {
            let frame = self.frame().await;
            if !frame.body.starts_with(br#"{"event""#) {
                return frame;
            }
        }
    }

    /// Asks for the status, and gives the milliseconds and the size of the reply.
    pub(crate) async fn round_trip(&mut self) -> (f64, usize) {
        let start = Instant::now();
        let reply = self.ask(r#"{"command": "getstatus"}"#.to_owned()).await;
        (start.elapsed().as_secs_f64() * 1e3, reply.body.len())
    }
}

/// The same round trips with a responder that has the bytes ready.
fn echo(rounds: usize, size: usize) -> Vec<f64> {
    let (tell, address) = std::sync::mpsc::channel();
    let responder = std::thread::spawn(move || {
        block_on(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            let (socket, _) = listener.accept().await.unwrap();
            socket.set_nodelay(true).unwrap();
            let mut peer = Framed::new(socket, StompCodec::new(Limits::default()));
            let body = Bytes::from(vec![b'x'; size]);
            while let Some(Ok(received)) = peer.next().await {
                if let Received::Frame(_) = received {
                    peer.send(Frame::new(Command::Message).with_body(body.clone())).await.unwrap();
                }
            }
        });
    });
    let address = address.recv().unwrap();
    let times = block_on(async {
        let mut client = Peer::connect(address).await;
        let mut times = Vec::new();
        for _ in 0..rounds {
            times.push(client.round_trip().await.0);
        }
        times
    });
    responder.join().unwrap();
    times
}
