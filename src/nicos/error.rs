//! Everything that can go wrong with a connection to a daemon.

use std::{io, sync::Arc, time::Duration};

use crate::wire::nicos::{Command, FrameError, PayloadError};

/// Why a connection cannot be made or a call has no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NicosError {
    /// Nobody listens there, or the network does not lead there.
    #[error("no NICOS daemon can be reached at {address}: {source}")]
    Unreachable {
        /// Host and port.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// Somebody listens there and did not let us in in time.
    #[error(
        "the NICOS daemon at {address} accepted the connection and did not answer within {} s: it hangs, or \
         another connection to it stays silent and blocks every login",
        .within.as_secs()
    )]
    Silent {
        /// Host and port.
        address: String,
        /// How long we waited.
        within: Duration,
    },
    /// Somebody listens there who is no NICOS daemon with the classic protocol.
    #[error("what listens at {address} is no NICOS daemon with the classic protocol: {why}")]
    NotNicos {
        /// Host and port.
        address: String,
        /// What it did.
        why: String,
    },
    /// The daemon's protocol has another version.
    #[error("the NICOS daemon speaks version {found} of its protocol, and beamq speaks 23 and 24")]
    Version {
        /// What its banner says.
        found: u64,
    },
    /// The daemon does not accept the account.
    #[error("NICOS refuses the login: {text}")]
    LoginRefused {
        /// Its own words.
        text: String,
    },
    /// The daemon did not do what a command asks.
    #[error("NICOS refuses `{}`: {text}", .command.name())]
    Refused {
        /// The command.
        command: Command,
        /// Its own words.
        text: String,
    },
    /// The daemon did not answer in time. The command may still be carried out.
    #[error("NICOS did not answer `{}` within {} s", .command.name(), .within.as_secs_f64())]
    TimedOut {
        /// The command.
        command: Command,
        /// How long we waited.
        within: Duration,
    },
    /// The daemon owes too many replies to be asked more.
    #[error("NICOS has not answered the last {owed} commands")]
    Overloaded {
        /// How many replies are awaited.
        owed: usize,
    },
    /// The connection has ended.
    #[error("the connection to NICOS was lost: {why}")]
    Lost {
        /// Why.
        why: Arc<str>,
    },
    /// A value cannot be read, or the arguments cannot be sent.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// A command cannot be sent.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

impl NicosError {
    /// The daemon's own words, if it refused the command.
    #[must_use]
    pub fn refusal(&self) -> Option<&str> {
        match self {
            Self::Refused { text, .. } | Self::LoginRefused { text } => Some(text),
            _ => None,
        }
    }
}
