//! Why a server cannot start. Each message is one line that says what to do.

use std::path::PathBuf;

use crate::{
    config::ConfigError,
    journal::{DataDirError, JournalError},
    security::{AccountsError, TokenError},
    transport::BindError,
};

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An account of the configuration is wrong.
    #[error(transparent)]
    Accounts(#[from] AccountsError),
    /// The interpreter is not there.
    #[error(
        "no Python interpreter {}: install Python 3.9 or newer, or name one with engine.python.interpreter in the configuration",
        interpreter.display()
    )]
    NoInterpreter {
        /// What was looked for.
        interpreter: PathBuf,
    },
    /// The data directory cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The journal's facts contradict each other.
    #[error(
        "fact {seq} of the journal {} cannot be replayed ({reason}); keep a copy of the data directory, start with an empty one (--data DIR), and report this",
        path.display()
    )]
    Replay {
        /// The journal.
        path: PathBuf,
        /// The number of the fact.
        seq: u64,
        /// Why.
        reason: String,
    },
    /// The token cannot be made or written.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The endpoint cannot be opened.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The log file cannot be opened.
    #[error("the log file {} cannot be opened ({source})", path.display())]
    Log {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The shipped catalogue cannot be written into the data directory.
    #[error("the catalogue cannot be prepared in the data directory ({0}); is the disk full?")]
    Commands(#[source] std::io::Error),
    /// The system gives no threads or signals.
    #[error("the system does not let beamq run: {0}")]
    Runtime(#[source] std::io::Error),
}

impl ServeError {
    /// Whether somebody else holds what the server needs (a port, the data directory), so that trying
    /// again later or elsewhere helps.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Bind(BindError::PortInUse { .. }) | Self::DataDir(DataDirError::InUse { .. }))
    }

    /// Whether the fault is in what the user gave: the configuration, the command line, the place.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Config(_)
                | Self::Accounts(_)
                | Self::NoInterpreter { .. }
                | Self::DataDir(_)
                | Self::Bind(_)
        )
    }
}
