//! The task that owns a connection: it matches replies to requests and hands out notifications.

use std::{collections::HashMap, future::pending, time::Duration};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::timeout,
};

use super::handshake::{Link, REPLY_QUEUE, Reader, Writer, hint, refusal};
use crate::{
    client::{ClientError, RpcError},
    wire::stomp::{Command, Frame, HeartBeat, Received, StompError},
};

/// Where requests go, at the embedded endpoint as at a broker.
const REQUESTS: &str = "/queue/ss_admin";

/// The receipt that confirms a DISCONNECT.
const FAREWELL: &str = "farewell";

/// Above this number of open requests, those whose callers have given up are looked for and dropped.
const TIDY_ABOVE: usize = 256;

/// What a [`Client`](super::Client) asks of its task.
pub(super) enum Order {
    /// Send a request.
    Call(Request),
    /// Hand notifications to one more listener.
    Listen(mpsc::Sender<Value>),
    /// End the connection in an orderly way.
    Disconnect,
}

/// A request that waits for its reply.
pub(super) struct Request {
    pub(super) method: String,
    pub(super) params: Value,
    pub(super) key: Option<String>,
    pub(super) answer: oneshot::Sender<Result<Value, ClientError>>,
}

/// A message of the server: a reply, or a notification when it has a method.
#[derive(Deserialize)]
struct Message {
    id: Option<Value>,
    method: Option<String>,
    result: Option<Value>,
    error: Option<RpcError>,
}

/// The state of a connection between two frames.
pub(super) struct Exchange {
    reader: Reader,
    silence: Option<Duration>,
    frames: mpsc::UnboundedSender<Frame>,
    writer: JoinHandle<()>,
    open: HashMap<u64, oneshot::Sender<Result<Value, ClientError>>>,
    listeners: Vec<mpsc::Sender<Value>>,
    last_id: u64,
}

/// How the connection ended.
enum End {
    Asked,
    Refused { message: String, hint: Option<String> },
    Lost(String),
}

impl Exchange {
    /// Takes over a fresh connection. Writing gets a task of its own, so that a server that waits for its
    /// replies to be read never waits for ever.
    pub(super) fn new(link: Link) -> Self {
        let (frames, outgoing) = mpsc::unbounded_channel();
        let writer = tokio::spawn(write_frames(link.writer, outgoing, link.beats.send));
        Self {
            reader: link.reader,
            silence: link.beats.silence,
            frames,
            writer,
            open: HashMap::new(),
            listeners: Vec::new(),
            last_id: 0,
        }
    }

    /// Runs until the connection ends or nobody holds the client any more.
    pub(super) async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        let mut leaving = false;
        let end = loop {
            tokio::select! {
                order = orders.recv(), if !leaving => match order {
                    Some(Order::Call(request)) => self.send(request),
                    Some(Order::Listen(listener)) => self.listeners.push(listener),
                    Some(Order::Disconnect) => {
                        leaving = true;
                        let frame = Frame::new(Command::Disconnect).header("receipt", FAREWELL);
                        let _ = self.frames.send(frame);
                    }
                    None => break End::Asked,
                },
                received = next(&mut self.reader, self.silence) => match received {
                    Ok(frame) => if let Some(end) = self.handle(&frame) { break end },
                    Err(detail) => break End::Lost(detail),
                },
            }
        };
        for (_, answer) in self.open.drain() {
            let _ = answer.send(Err(match &end {
                End::Asked => ClientError::Lost { detail: "it was closed".to_owned() },
                // The word is a broker's, for a destination that the account may not use.
                End::Refused { message, .. } if message.contains("authorized") => {
                    ClientError::Refused { message: message.clone() }
                }
                End::Refused { message, hint } => {
                    ClientError::Rejected { message: message.clone(), hint: hint.clone() }
                }
                End::Lost(detail) => ClientError::Lost { detail: detail.clone() },
            }));
        }
        self.writer.abort();
    }

    fn send(&mut self, request: Request) {
        self.last_id += 1;
        let id = self.last_id;
        if self.open.len() > TIDY_ABOVE {
            self.open.retain(|_, answer| !answer.is_closed());
        }
        let mut message = json!({"jsonrpc": "2.0", "id": id, "method": request.method});
        if let Value::Object(members) = &mut message {
            members.insert("params".to_owned(), request.params);
            if let Some(key) = request.key {
                members.insert("key".to_owned(), key.into());
            }
        }
        let frame = Frame::new(Command::Send)
            .header("destination", REQUESTS)
            .header("reply-to", REPLY_QUEUE)
            .header("correlation-id", id.to_string())
            .with_body(Bytes::from(message.to_string()));
        self.open.insert(id, request.answer);
        // A writer that is gone means a connection that is gone, which the reader is about to notice.
        let _ = self.frames.send(frame);
    }

    fn handle(&mut self, frame: &Frame) -> Option<End> {
        match frame.command {
            Command::Message => {
                self.handle_message(frame);
                None
            }
            Command::Receipt if frame.get("receipt-id") == Some(FAREWELL) => Some(End::Asked),
            Command::Error => Some(End::Refused { message: refusal(frame), hint: hint(frame) }),
            // Frames that a server has no reason to send to this client change nothing.
            _ => None,
        }
    }

    fn handle_message(&mut self, frame: &Frame) {
        let correlated = frame.get("correlation-id").and_then(|id| id.parse().ok());
        let message: Message = match serde_json::from_slice(&frame.body) {
            Ok(message) => message,
            Err(source) => {
                if let Some(answer) = correlated.and_then(|id: u64| self.open.remove(&id)) {
                    let method = "the request".to_owned();
                    let _ = answer.send(Err(ClientError::BadReply { method, source }));
                }
                return;
            }
        };
        if message.method.is_some() {
            self.hand_out(&frame.body);
            return;
        }
        // An error about a request that the server could not read has no id: the correlation id tells.
        let id = correlated.or_else(|| message.id.as_ref().and_then(Value::as_u64));
        if let Some(answer) = id.and_then(|id| self.open.remove(&id)) {
            let _ = answer.send(match message.error {
                Some(error) => Err(ClientError::Rpc(error)),
                None => Ok(message.result.unwrap_or(Value::Null)),
            });
        }
    }

    fn hand_out(&mut self, body: &[u8]) {
        let Ok(notification) = serde_json::from_slice::<Value>(body) else { return };
        // A listener who does not read loses his receiver; waiting for him would stall all replies.
        self.listeners.retain(|listener| listener.try_send(notification.clone()).is_ok());
    }
}

async fn next(reader: &mut Reader, silence: Option<Duration>) -> Result<Frame, String> {
    loop {
        let received = match silence {
            Some(longest) => timeout(longest, reader.next()).await.map_err(|_| "the server fell silent"),
            None => Ok(reader.next().await),
        };
        match received? {
            Some(Ok(Received::Frame(frame))) => return Ok(frame),
            Some(Ok(Received::HeartBeat)) => {}
            Some(Err(StompError::Io(error))) => return Err(error.to_string()),
            Some(Err(error)) => return Err(format!("the server broke the rules of STOMP: {error}")),
            None => return Err("the server closed it".to_owned()),
        }
    }
}

async fn write_frames(
    mut writer: Writer,
    mut frames: mpsc::UnboundedReceiver<Frame>,
    beat: Option<Duration>,
) {
    loop {
        let next_frame = async {
            match beat {
                Some(interval) => timeout(interval, frames.recv()).await,
                None => Ok(frames.recv().await),
            }
        };
        let sent = match next_frame.await {
            Ok(Some(frame)) => writer.send(frame).await,
            Ok(None) => return,
            Err(_) => writer.send(HeartBeat).await,
        };
        if sent.is_err() {
            // The reader ends the connection; until then, orders find this task waiting and not gone.
            pending::<()>().await;
        }
    }
}
