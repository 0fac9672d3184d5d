//! CONNECT: who is it, which version, which heart-beats.

use std::time::Duration;

use stomp_rs::protocol::ServerCommand;

use super::{CredentialCheck, refusal::Refusal};
use crate::wire::stomp::{Command, Frame, Limits, Version, read_heart_beat};

/// What a peer may send before it has logged in: a CONNECT has no body and few headers.
pub(super) const BEFORE_LOGIN: Limits =
    Limits { header_lines: 32, header_line_bytes: 4 * 1024, body_bytes: 1024 };

/// No heart-beat comes or goes more often.
const FASTEST_BEAT: Duration = Duration::from_millis(100);

/// What both sides agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Agreement {
    pub(super) version: Version,
    pub(super) login: String,
    /// The peer promised to send something at least this often.
    pub(super) peer_beats: Option<Duration>,
    /// We promised to send something at least this often.
    pub(super) we_beat: Option<Duration>,
}

/// Reads the first frame of a connection. The refusal is the ERROR frame to end it with.
pub(super) fn agree(first: &Frame, credentials: &dyn CredentialCheck) -> Result<Agreement, Frame> {
    if !matches!(first.command, Command::Connect | Command::Stomp) {
        let refusal = Refusal::new(
            format!("the first frame must be CONNECT or STOMP, not {}", first.command),
            "send CONNECT with accept-version, login and passcode",
        );
        return Err(refusal.into_frame(first.get("receipt")));
    }
    let Some(version) = Version::negotiate(first.get("accept-version")) else {
        let refusal = Refusal::new("no version in common", "offer one of 1.0, 1.1 and 1.2 in accept-version");
        return Err(refusal.into_frame(None).header("version", "1.0,1.1,1.2"));
    };
    let (peer_beats, we_beat) = heart_beats(first.get("heart-beat")).map_err(|r| r.into_frame(None))?;
    let (Some(login), Some(passcode)) = (first.get("login"), first.get("passcode")) else {
        return Err(Refusal::new("login and passcode are needed", LOGIN_HINT).into_frame(None));
    };
    if !credentials.admits(login, passcode) {
        return Err(Refusal::new("login or passcode is wrong", LOGIN_HINT).into_frame(None));
    }
    Ok(Agreement { version, login: login.to_owned(), peer_beats, we_beat })
}

const LOGIN_HINT: &str = "the login is beamq, the passcode is the token in the file token of the server's data directory, \
     which is new at every start of the server";

/// Mirrors what the peer offers: it beats as often as it says it can, and we as often as it wants.
fn heart_beats(header: Option<&str>) -> Result<(Option<Duration>, Option<Duration>), Refusal> {
    let Some(header) = header else { return Ok((None, None)) };
    let (can, wants) = read_heart_beat(header).ok_or_else(|| {
        Refusal::new(
            format!("the heart-beat {header:?} is not of the form MS,MS"),
            "two whole numbers of milliseconds: how often you can send and how often you want to receive; 0 is never",
        )
    })?;
    let interval = |offer: Duration| (!offer.is_zero()).then(|| offer.max(FASTEST_BEAT));
    Ok((interval(can), interval(wants)))
}

/// The answer to a CONNECT.
pub(super) fn connected(agreement: &Agreement, connection: &str) -> Frame {
    let ms = |interval: Option<Duration>| interval.map_or(0, |interval| interval.as_millis());
    Frame::new(ServerCommand::Connected.into())
        .header("version", agreement.version.as_str())
        .header("server", concat!("beamq/", env!("CARGO_PKG_VERSION")))
        .header("session", connection)
        .header("heart-beat", format!("{},{}", ms(agreement.we_beat), ms(agreement.peer_beats)))
}
