//! A client that speaks STOMP by hand, so that it can also speak it wrongly.

use std::time::Duration;

use beamq::wire::stomp::{Command, Frame, Limits, Received, StompCodec};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, net::TcpStream, time::timeout};
use tokio_util::codec::Framed;

use crate::{
    broker::Broker,
    harness::{DEADLINE, Server},
};

pub struct Raw {
    framed: Framed<TcpStream, StompCodec>,
}

impl Raw {
    /// A TCP connection that has said nothing yet.
    pub async fn open(server: &Server) -> Self {
        let address = (server.address.host.as_str(), server.address.port);
        let stream = TcpStream::connect(address).await.unwrap();
        let limits = Limits { body_bytes: 64 << 20, ..Limits::default() };
        Self { framed: Framed::new(stream, StompCodec::new(limits)) }
    }

    /// A connection that is through the endpoint's door and subscribed to a queue of its own.
    pub async fn connect(server: &Server) -> Self {
        let mut raw = Self::open(server).await;
        raw.enter("beamq", &server.token).await;
        raw
    }

    /// The same by way of a broker.
    pub async fn by_way_of(broker: &Broker) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", broker.stomp)).await.unwrap();
        let mut raw = Self { framed: Framed::new(stream, StompCodec::new(Limits::default())) };
        raw.enter("ss_client", &broker.password("ss_client")).await;
        raw
    }

    async fn enter(&mut self, login: &str, passcode: &str) {
        let connect = Frame::new(Command::Connect)
            .header("accept-version", "1.2")
            .header("host", "localhost")
            .header("login", login)
            .header("passcode", passcode);
        self.send(connect).await;
        assert_eq!(self.frame().await.unwrap().command, Command::Connected);
        self.send(Frame::new(Command::Subscribe).header("id", "r").header("destination", "/temp-queue/r"))
            .await;
    }

    /// A connection that is logged in to the server proper.
    pub async fn login(server: &Server) -> Self {
        let mut raw = Self::connect(server).await;
        let reply = raw.call("session.login", json!({"token": server.token})).await;
        assert!(reply.get("result").is_some(), "{reply}");
        raw
    }

    pub async fn send(&mut self, frame: Frame) {
        self.framed.send(frame).await.unwrap();
    }

    /// Writes bytes as they are; the other side may have closed already.
    pub async fn bytes(&mut self, bytes: &[u8]) {
        let _closed = self.framed.get_mut().write_all(bytes).await;
    }

    /// Sends a body to the server's queue.
    pub async fn body(&mut self, body: impl Into<Vec<u8>>) {
        let frame = Frame::new(Command::Send)
            .header("destination", "/queue/ss_admin")
            .header("reply-to", "/temp-queue/r")
            .with_body(bytes::Bytes::from(body.into()));
        self.send(frame).await;
    }

    /// Sends bodies in one go, so that the server has the last one before it has answered the first.
    pub async fn bodies(&mut self, bodies: &[String]) {
        for body in bodies {
            let frame = Frame::new(Command::Send)
                .header("destination", "/queue/ss_admin")
                .header("reply-to", "/temp-queue/r")
                .with_body(bytes::Bytes::from(body.clone()));
            self.framed.feed(frame).await.unwrap();
        }
        SinkExt::<Frame>::flush(&mut self.framed).await.unwrap();
    }

    /// The next frame, or `None` when the server has closed the connection.
    pub async fn frame(&mut self) -> Option<Frame> {
        loop {
            let next = timeout(DEADLINE, self.framed.next()).await.expect("the server says nothing");
            match next {
                Some(Ok(Received::Frame(frame))) => return Some(frame),
                Some(Ok(Received::HeartBeat)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    }

    /// The next message as JSON.
    pub async fn message(&mut self) -> Value {
        let frame = self.frame().await.expect("the connection was closed");
        assert_eq!(frame.command, Command::Message, "{frame:?}");
        serde_json::from_slice(&frame.body).unwrap()
    }

    /// The next message that is no event.
    pub async fn reply(&mut self) -> Value {
        loop {
            let message = self.message().await;
            if message.get("method").is_none() {
                return message;
            }
        }
    }

    /// Sends a body and gives the reply.
    pub async fn ask(&mut self, body: impl Into<Vec<u8>>) -> Value {
        self.body(body).await;
        self.reply().await
    }

    pub async fn call(&mut self, method: &str, params: Value) -> Value {
        let request = json!({"jsonrpc": "2.0", "id": "raw", "method": method, "params": params});
        let reply = self.ask(request.to_string()).await;
        assert_eq!(reply["id"], "raw", "{reply}");
        reply
    }

    /// Waits until the server ends the connection, and gives what it said last.
    pub async fn is_cut(&mut self) -> Option<Frame> {
        let mut last = None;
        while let Some(frame) = self.frame().await {
            last = Some(frame);
        }
        last
    }

    /// Whether nothing arrives for a moment: for what must not happen there is no event to wait for.
    pub async fn is_quiet(&mut self) -> bool {
        let said = async { while let Some(Ok(Received::HeartBeat)) = self.framed.next().await {} };
        timeout(Duration::from_millis(300), said).await.is_err()
    }
}
