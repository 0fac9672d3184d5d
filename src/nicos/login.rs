//! The first words with a daemon: identification, banner, login, and the second connection.

use std::io;

use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::{
    io::AsyncWriteExt,
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};
use tokio_util::codec::FramedRead;

use super::{NicosError, Options};
use crate::{
    security::Secret,
    wire::nicos::{Reply, ReplyDecoder, Serializer, VERSIONS},
};

/// Who logs in.
#[derive(Clone, Debug)]
pub struct Login {
    /// The account.
    pub user: String,
    /// Its password, sent as it is: daemons accept that, and it stays on this machine.
    pub password: Secret<String>,
    /// The display that the daemon may open windows on; empty for none.
    pub display: String,
}

impl Login {
    pub(super) fn argument(&self) -> Value {
        json!({"login": self.user, "passwd": self.password.expose(), "display": self.display})
    }
}

/// What an account may do, in NICOS's eyes. It protects little: guests may queue and evaluate anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// 0.
    Guest,
    /// 10.
    User,
    /// 20.
    Admin,
}

/// What a daemon says of itself before anybody logs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Banner {
    /// The version of the daemon.
    pub daemon_version: String,
    /// The version of its protocol: 23 or 24.
    pub protocol_version: u64,
    /// Everything else as it came, without the key for passwords.
    pub rest: Value,
}

/// A daemon that has told its banner, and awaits a login.
pub(super) struct Introduced {
    pub(super) id: [u8; 16],
    pub(super) replies: FramedRead<OwnedReadHalf, ReplyDecoder>,
    pub(super) writing: OwnedWriteHalf,
    pub(super) banner: Banner,
    pub(super) serializer: Serializer,
}

/// Opens the connection of the commands up to the banner.
pub(super) async fn introduce(host: &str, port: u16, options: &Options) -> Result<Introduced, NicosError> {
    let address = || format!("{host}:{port}");
    let unreachable = |source| NicosError::Unreachable { address: address(), source };
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|error| unreachable(io::Error::other(error)))?;
    let (reading, writing) = identify(host, port, id).await.map_err(unreachable)?.into_split();
    let mut replies = FramedRead::new(reading, ReplyDecoder::new(options.frames));
    let not_nicos = |why: String| NicosError::NotNicos { address: address(), why };
    let payload = match replies.next().await {
        Some(Ok(Reply::Data(payload))) => payload,
        Some(Ok(reply)) => return Err(not_nicos(format!("it began with {reply:?}"))),
        Some(Err(error)) => return Err(not_nicos(error.to_string())),
        None => return Err(not_nicos("it closed the connection before its banner".into())),
    };
    let serializer = match &payload {
        crate::wire::nicos::Payload::Kept(bytes) => Serializer::of_banner(bytes),
        crate::wire::nicos::Payload::TooLarge { .. } => Serializer::Pickle,
    };
    let banner =
        serializer.decode(&payload, &options.values).map_err(|error| not_nicos(error.to_string()))?;
    let banner = read_banner(banner).ok_or_else(|| not_nicos("its banner has no versions".into()))?;
    if !VERSIONS.contains(&banner.protocol_version) {
        return Err(NicosError::Version { found: banner.protocol_version });
    }
    Ok(Introduced { id, replies, writing, banner, serializer })
}

/// Opens the connection of the events, which is told from a new client by the same id.
pub(super) async fn attach(host: &str, port: u16, id: [u8; 16]) -> Result<TcpStream, NicosError> {
    let address = format!("{host}:{port}");
    identify(host, port, id).await.map_err(|source| NicosError::Unreachable { address, source })
}

/// Connects and says who we are at once, in one segment: until then the daemon lets nobody else in, and it
/// takes the first segment for the whole id.
async fn identify(host: &str, port: u16, id: [u8; 16]) -> io::Result<TcpStream> {
    let mut socket = TcpStream::connect((host, port)).await?;
    socket.set_nodelay(true)?;
    socket.write_all(&id).await?;
    Ok(socket)
}

fn read_banner(banner: Value) -> Option<Banner> {
    let Value::Object(mut rest) = banner else { return None };
    let daemon_version = rest.remove("daemon_version")?.as_str()?.to_owned();
    let protocol_version = rest.remove("protocol_version")?.as_u64()?;
    rest.remove("rsakey");
    Some(Banner { daemon_version, protocol_version, rest: Value::Object(rest) })
}

/// The level that a login gave.
pub(super) fn level(authenticated: Result<Value, NicosError>) -> Result<Level, NicosError> {
    match authenticated {
        Ok(reply) => Ok(match reply.get("user_level").and_then(Value::as_u64) {
            Some(20..) => Level::Admin,
            Some(10..) => Level::User,
            _ => Level::Guest,
        }),
        Err(NicosError::Refused { text, .. }) => Err(NicosError::LoginRefused { text }),
        // A password that cannot be read is answered by nothing but the end.
        Err(NicosError::Lost { .. }) => {
            Err(NicosError::LoginRefused { text: "the daemon closed the connection".into() })
        }
        Err(error) => Err(error),
    }
}
