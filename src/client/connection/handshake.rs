//! From a TCP address to a connection on which requests can be sent.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::net::{
    TcpStream,
    tcp::{OwnedReadHalf, OwnedWriteHalf},
};
use tokio_util::codec::{FramedRead, FramedWrite};

use crate::{
    client::{ClientError, Credentials, ServerAddress},
    protocol::REPLY_BYTES,
    wire::stomp::{Beats, Command, Frame, Limits, Received, StompCodec, StompError, Version},
};

/// The name of the client's own queue. A temporary queue belongs to its connection, at the embedded
/// endpoint as at a broker, so a fixed name cannot collide.
pub(super) const REPLY_QUEUE: &str = "/temp-queue/replies";

/// How often each side offers to show that it lives.
const HEART_BEAT: Duration = Duration::from_secs(10);

/// The reading half of a connection.
pub(super) type Reader = FramedRead<OwnedReadHalf, StompCodec>;
/// The writing half of a connection.
pub(super) type Writer = FramedWrite<OwnedWriteHalf, StompCodec>;

/// A connection that both sides agreed on, subscribed to [`REPLY_QUEUE`].
pub(super) struct Link {
    pub(super) reader: Reader,
    pub(super) writer: Writer,
    /// The other side's name.
    pub(super) peer: String,
    /// How often to send something, and how long the other side may be silent.
    pub(super) beats: Beats,
}

/// Connects, logs in to the endpoint and subscribes.
pub(super) async fn open(address: &ServerAddress, credentials: &Credentials) -> Result<Link, ClientError> {
    let stream = TcpStream::connect((address.host.as_str(), address.port)).await;
    let unreachable = |source| ClientError::Unreachable { address: address.clone(), source };
    let stream = stream.map_err(unreachable)?;
    // Requests are small and each waits for its answer: collecting them would cost up to 40 ms apiece.
    stream.set_nodelay(true).map_err(unreachable)?;
    let (reading, writing) = stream.into_split();
    let limits = Limits { body_bytes: REPLY_BYTES, ..Limits::default() };
    let mut reader = FramedRead::new(reading, StompCodec::new(limits));
    let mut writer = FramedWrite::new(writing, StompCodec::new(Limits::default()));

    writer.send(connect_frame(address, credentials)).await.map_err(unsendable)?;
    let connected = greeting(&mut reader, address).await?;
    let version = connected.get("version").map_or(Some(Version::V1_0), Version::from_wire);
    let Some(version) = version else {
        return Err(not_stomp(address, "it chose a version of STOMP that was not offered".to_owned()));
    };
    reader.decoder_mut().set_version(version);
    writer.encoder_mut().set_version(version);

    let subscribe = Frame::new(Command::Subscribe)
        .header("id", "replies")
        .header("destination", REPLY_QUEUE)
        .header("ack", "auto");
    writer.send(subscribe).await.map_err(unsendable)?;
    let beats = Beats::agreed(HEART_BEAT, connected.get("heart-beat"));
    let peer = connected.get("server").unwrap_or_default().to_owned();
    Ok(Link { reader, writer, peer, beats })
}

fn connect_frame(address: &ServerAddress, credentials: &Credentials) -> Frame {
    let beat = HEART_BEAT.as_millis();
    Frame::new(Command::Connect)
        .header("accept-version", "1.0,1.1,1.2")
        .header("host", address.host.clone())
        .header("login", credentials.user.clone())
        .header("passcode", credentials.passcode.clone())
        .header("heart-beat", format!("{beat},{beat}"))
}

async fn greeting(reader: &mut Reader, address: &ServerAddress) -> Result<Frame, ClientError> {
    loop {
        return match reader.next().await {
            Some(Ok(Received::HeartBeat)) => continue,
            Some(Ok(Received::Frame(frame))) => match frame.command {
                Command::Connected => Ok(frame),
                Command::Error => Err(ClientError::Refused { message: refusal(&frame) }),
                other => Err(not_stomp(address, format!("it answered CONNECT with {other}"))),
            },
            Some(Err(StompError::Io(source))) => Err(ClientError::Lost { detail: source.to_string() }),
            Some(Err(error)) => Err(not_stomp(address, error.to_string())),
            // Brokers sometimes refuse credentials by nothing but this.
            None => {
                Err(ClientError::Lost { detail: "it was closed before the login was answered".to_owned() })
            }
        };
    }
}

/// What an ERROR frame says, in one line: brokers put a stack trace into the body.
pub(super) fn refusal(frame: &Frame) -> String {
    let body = || std::str::from_utf8(&frame.body).ok().and_then(|body| body.lines().next());
    let text = frame.get("message").filter(|text| !text.trim().is_empty()).or_else(body);
    let text = text.unwrap_or("the endpoint refused without a reason");
    text.lines().next().unwrap_or_default().chars().take(500).collect()
}

/// What an ERROR frame of an embedded endpoint says to try.
pub(super) fn hint(frame: &Frame) -> Option<String> {
    let body = std::str::from_utf8(&frame.body).ok()?;
    let hint = body.lines().find_map(|line| line.strip_prefix("hint: "))?;
    Some(hint.chars().take(500).collect())
}

fn not_stomp(address: &ServerAddress, detail: String) -> ClientError {
    ClientError::NotStomp { address: address.clone(), detail }
}

fn unsendable(error: StompError) -> ClientError {
    match error {
        StompError::Unwritable { header, .. } => {
            ClientError::Refused { message: format!("the {header} has characters that STOMP cannot carry") }
        }
        other => ClientError::Lost { detail: other.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_one_line_even_when_the_broker_sends_a_stack_trace() {
        let frame = Frame::new(Command::Error)
            .header("message", "User name [x] or password is invalid.\nat java.lang")
            .with_body("java.lang.SecurityException: …\n\tat org.apache");
        assert_eq!(refusal(&frame), "User name [x] or password is invalid.");
        let frame = Frame::new(Command::Error).with_body("first line\nsecond line");
        assert_eq!(refusal(&frame), "first line");
    }
}
