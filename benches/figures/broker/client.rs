//! A client of the broker, the same for the server and for the echo.

use beamq::wire::stomp::{Command, Frame, Limits, Received, StompCodec};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_util::codec::Framed;

use super::process::Broker;
use crate::server::PATIENCE;

/// A connection with a temporary queue of its own.
pub(super) struct Client {
    framed: Framed<TcpStream, StompCodec>,
    last: u64,
}

impl Client {
    pub(super) async fn connect(broker: &Broker) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", broker.port)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut client = Self { framed: Framed::new(stream, StompCodec::new(Limits::default())), last: 0 };
        let connect = Frame::new(Command::Connect)
            .header("accept-version", "1.2")
            .header("host", "localhost")
            .header("login", "ss_client")
            .header("passcode", broker.password("ss_client"));
        client.framed.send(connect).await.unwrap();
        assert_eq!(client.frame().await.command, Command::Connected);
        client.subscribe("/temp-queue/r").await;
        client
    }

    /// Follows a destination, too.
    pub(super) async fn subscribe(&mut self, destination: &str) {
        let frame = Frame::new(Command::Subscribe)
            .header("id", destination)
            .header("destination", destination)
            .header("receipt", "subscribed");
        self.framed.send(frame).await.unwrap();
        assert_eq!(self.frame().await.command, Command::Receipt);
    }

    pub(super) async fn frame(&mut self) -> Frame {
        loop {
            let next = timeout(PATIENCE, self.framed.next()).await.expect("the broker says nothing");
            if let Received::Frame(frame) = next.expect("the broker closed the connection").unwrap() {
                return frame;
            }
        }
    }

    /// Sends a request to a queue and waits for its answer.
    pub(super) async fn round_trip(&mut self, queue: &str, body: &str) -> Frame {
        self.last += 1;
        let correlation = self.last.to_string();
        let request = Frame::new(Command::Send)
            .header("destination", queue)
            .header("reply-to", "/temp-queue/r")
            .header("correlation-id", correlation.as_str())
            .with_body(body.to_owned());
        self.framed.send(request).await.unwrap();
        loop {
            let answer = self.frame().await;
            if answer.get("correlation-id") == Some(&correlation) {
                return answer;
            }
        }
    }

    /// Calls a method of the server.
    pub(super) async fn call(&mut self, method: &str, params: Value) -> Value {
        let answer = self.round_trip(super::REQUESTS, &call(method, params)).await;
        let mut reply: Value = serde_json::from_slice(&answer.body).unwrap();
        assert!(reply.get("result").is_some(), "{reply}");
        reply["result"].take()
    }
}

/// A call as text.
pub(super) fn call(method: &str, params: Value) -> String {
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string()
}
