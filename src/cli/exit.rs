//! How the command line ends: the exit codes, and what is said when something went wrong.

use std::{io, process::ExitCode};

use serde_json::{Map, Value, json};

use crate::client::{AddressError, ClientError, DiscoveryError, RpcError};

/// The exit codes. They are part of the interface: scripts rely on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All went well.
    Good = 0,
    /// The job or the check failed, or the server refused what was submitted or asked about.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The server cannot be reached.
    Unreachable = 3,
    /// The login was refused, or its role does not allow this.
    Refused = 4,
    /// The queue has changed, or the state does not allow this now.
    Conflict = 5,
    /// No reply came in time.
    TimedOut = 6,
    /// A fault of beamq itself.
    Internal = 70,
}

/// The table of exit codes, as `--help` shows it.
pub const EXIT_CODES: &str = "\
Exit codes:
   0  good
   1  the job or the check failed; a submission was refused; not found
   2  wrong usage of the command line
   3  the server cannot be reached
   4  refused: login or role
   5  conflict or wrong state
   6  timed out
  70  internal error";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not end well, for the person who typed it.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What went wrong, without `error:`. Empty when everything has been said already.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The server's own words, for `--json`.
    pub rpc: Option<RpcError>,
}

impl Failure {
    /// A failure that is still to be explained.
    #[must_use]
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None, rpc: None }
    }

    /// An end with this code about which everything has been said.
    #[must_use]
    pub fn silent(exit: Exit) -> Self {
        Self::new(exit, "")
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The failure as a JSON document, for `--json`.
    #[must_use]
    pub fn document(&self) -> Value {
        let mut error = Map::new();
        error.insert("exit".to_owned(), (self.exit as u8).into());
        error.insert("message".to_owned(), self.message.as_str().into());
        if let Some(hint) = &self.hint {
            error.insert("hint".to_owned(), hint.as_str().into());
        }
        if let Some(rpc) = &self.rpc {
            error.insert("code".to_owned(), rpc.code.into());
            error.insert("data".to_owned(), Value::Object(rpc.data.clone()));
        }
        json!({"error": error})
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let mut message = error.to_string();
        let exit = match &error {
            ClientError::Unreachable { source, .. } => {
                message = format!("{message}: {source}");
                Exit::Unreachable
            }
            ClientError::NotStomp { .. } | ClientError::Lost { .. } => Exit::Unreachable,
            ClientError::Refused { .. } => Exit::Refused,
            ClientError::Rejected { .. } => Exit::Failed,
            ClientError::TimedOut { .. } => Exit::TimedOut,
            ClientError::Rpc(rpc) => exit_of(rpc),
            ClientError::BadReply { source, .. } | ClientError::BadParameters { source, .. } => {
                message = format!("{message}: {source}");
                Exit::Internal
            }
        };
        let mut failure = Self::new(exit, message);
        match error {
            ClientError::Rpc(rpc) => {
                failure.hint = own_hint(&rpc).or_else(|| rpc.hint().map(as_typed)).or_else(|| allowed(&rpc));
                failure.rpc = Some(rpc);
            }
            ClientError::Rejected { hint, .. } => failure.hint = hint,
            _ => {}
        }
        failure
    }
}

/// The exit code that goes with an error of the protocol.
fn exit_of(error: &RpcError) -> Exit {
    match error.code {
        -32001 | -32002 | -32016 => Exit::Refused,
        -32010 | -32012 | -32013 => Exit::Conflict,
        -32011 | -32014 | -32015 | -32020 => Exit::Failed,
        -32030 => Exit::Unreachable,
        -32602 => Exit::Usage,
        _ => Exit::Internal,
    }
}

/// What to do on the command line, where the server's hint speaks to a program.
fn own_hint(error: &RpcError) -> Option<String> {
    match error.code {
        -32012 => {
            let revision = error.data.get("revision")?;
            Some(format!("the queue is now at revision {revision}; look at `beamq queue list` and try again"))
        }
        _ => None,
    }
}

/// The command lines that stand for methods of the protocol, which errors and hints name.
const TYPED: &[(&str, &str)] = &[
    ("job.submit", "beamq submit"),
    ("job.get", "beamq watch ID"),
    ("job.duplicate", "beamq queue duplicate"),
    ("job.edit", "beamq queue edit"),
    ("job.hold", "beamq queue hold ID"),
    ("job.unhold", "beamq queue release ID"),
    ("job.remove", "beamq queue remove"),
    ("job.rerun", "beamq rerun"),
    ("queue.get", "beamq queue list"),
    ("queue.move", "beamq queue move"),
    ("queue.hold", "beamq queue hold"),
    ("queue.release", "beamq queue release"),
    ("queue.stop_after_current", "beamq queue stop"),
    ("queue.cancel_stop", "beamq queue stop --cancel"),
    ("run.pause", "beamq pause"),
    ("run.cancel_pause", "beamq resume"),
    ("run.resume", "beamq resume"),
    ("run.skip", "beamq skip"),
    ("run.abort", "beamq abort"),
    ("run.answer", "beamq answer"),
    ("history.list", "beamq history"),
];

/// A text of the server with its methods as what a person types for them.
fn as_typed(text: &str) -> String {
    text.split(' ')
        .map(|word| {
            let name = word.trim_end_matches([',', ';', ':', '.']);
            match TYPED.iter().find(|(method, _)| *method == name) {
                Some((_, command)) => format!("`{command}`{}", word.get(name.len()..).unwrap_or_default()),
                None => word.to_owned(),
            }
        })
        .collect::<Vec<_>>()
        .join(" ")
}

/// What would be accepted, where the error says so.
fn allowed(error: &RpcError) -> Option<String> {
    let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match error.data.get("allowed")? {
        Value::Array(values) => {
            let typed = |value: &Value| as_typed(&plain(value));
            Some(format!("allowed: {}", values.iter().map(typed).collect::<Vec<_>>().join(", ")))
        }
        value => Some(format!("allowed: {}", plain(value))),
    }
}

impl From<DiscoveryError> for Failure {
    fn from(error: DiscoveryError) -> Self {
        let message = error.to_string();
        match error {
            DiscoveryError::NoHome => {
                Self::new(Exit::Usage, message).hint("name the data directory with --data DIR")
            }
            DiscoveryError::Unreadable { source, .. } => {
                let exit = match source.kind() {
                    io::ErrorKind::PermissionDenied => Exit::Refused,
                    _ => Exit::Unreachable,
                };
                Self::new(exit, message).hint("only the user who runs the server may read its data directory")
            }
            DiscoveryError::BadEndpoint { .. } | DiscoveryError::BadAddress { .. } => {
                Self::new(Exit::Unreachable, message).hint("restart the server, or name it with --server")
            }
            DiscoveryError::NotRunning { .. } => Self::new(Exit::Unreachable, message)
                .hint("start it with `beamq serve`, or name another one with --data DIR or --server URL"),
            DiscoveryError::NoStomp { .. } => Self::new(Exit::Unreachable, message)
                .hint("name a broker with --server stomp://user@host:port and --password-file FILE"),
        }
    }
}

impl From<AddressError> for Failure {
    fn from(error: AddressError) -> Self {
        Self::new(Exit::Usage, format!("--server: {error}"))
            .hint("the form is stomp://[user[:password]@]host:port")
    }
}

impl From<io::Error> for Failure {
    /// An error of writing to standard output. A reader who has seen enough (`beamq history | head`) is
    /// no failure.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::silent(Exit::Good),
            _ => Self::new(Exit::Internal, format!("cannot write the output: {error}")),
        }
    }
}

/// A reply that does not have the promised shape.
impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::new(Exit::Internal, format!("the server's reply cannot be understood: {error}"))
            .hint("are the server and this program of the same version?")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::client::ServerAddress;

    fn rpc(code: i64) -> Failure {
        ClientError::from(RpcError { code, message: "no".into(), data: Map::new() }).into()
    }

    #[test]
    fn every_error_of_the_protocol_has_its_exit_code() {
        for (code, exit) in [
            (-32700, Exit::Internal),
            (-32600, Exit::Internal),
            (-32601, Exit::Internal),
            (-32603, Exit::Internal),
            (-32602, Exit::Usage),
            (-32001, Exit::Refused),
            (-32002, Exit::Refused),
            (-32010, Exit::Conflict),
            (-32011, Exit::Failed),
            (-32012, Exit::Conflict),
            (-32013, Exit::Conflict),
            (-32014, Exit::Failed),
            (-32015, Exit::Failed),
            (-32016, Exit::Refused),
            (-32020, Exit::Failed),
            (-32030, Exit::Unreachable),
        ] {
            assert_eq!(rpc(code).exit, exit, "{code}");
        }
    }

    #[test]
    fn a_hint_names_what_can_be_typed() {
        assert_eq!(as_typed("release it with queue.release"), "release it with `beamq queue release`");
        assert_eq!(as_typed("see queue.get, then edit"), "see `beamq queue list`, then edit");
        assert_eq!(as_typed("stay with queue.getter"), "stay with queue.getter");
        let data = json!({"allowed": ["run.pause", "run.abort"]}).as_object().cloned().unwrap();
        let error = RpcError { code: -32010, message: "no".into(), data };
        let failure = Failure::from(ClientError::from(error));
        assert_eq!(failure.hint.as_deref(), Some("allowed: `beamq pause`, `beamq abort`"));
    }

    #[test]
    fn the_commands_of_the_hints_exist() {
        use clap::CommandFactory as _;
        let root = crate::cli::CommandLine::command();
        for (method, typed) in TYPED {
            let mut words = typed.split(' ').skip(1).filter(|word| word.starts_with(char::is_lowercase));
            let command = words.try_fold(&root, |command, word| command.find_subcommand(word));
            assert!(command.is_some(), "{method}: no {typed}");
        }
    }

    #[test]
    fn every_error_of_the_connection_has_its_exit_code() {
        let exit = |error: ClientError| Failure::from(error).exit;
        let address = ServerAddress::default();
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        assert_eq!(
            exit(ClientError::Unreachable { address: address.clone(), source: refused }),
            Exit::Unreachable
        );
        assert_eq!(exit(ClientError::NotStomp { address, detail: "x".into() }), Exit::Unreachable);
        assert_eq!(exit(ClientError::Rejected { message: "x".into(), hint: None }), Exit::Failed);
        assert_eq!(exit(ClientError::Lost { detail: "x".into() }), Exit::Unreachable);
        assert_eq!(exit(ClientError::Refused { message: "x".into() }), Exit::Refused);
        let after = Duration::from_secs(1);
        assert_eq!(exit(ClientError::TimedOut { method: "m".into(), after }), Exit::TimedOut);
    }

    #[test]
    fn the_help_lists_exactly_the_codes_that_exist() {
        let listed: Vec<u8> = EXIT_CODES
            .lines()
            .filter_map(|line| line.split_whitespace().next().and_then(|word| word.parse().ok()))
            .collect();
        let all = [
            Exit::Good,
            Exit::Failed,
            Exit::Usage,
            Exit::Unreachable,
            Exit::Refused,
            Exit::Conflict,
            Exit::TimedOut,
            Exit::Internal,
        ];
        assert_eq!(listed, all.map(|exit| exit as u8));
    }

    #[test]
    fn a_stale_revision_tells_the_present_one() {
        let mut data = Map::new();
        data.insert("kind".into(), "stale_revision".into());
        data.insert("revision".into(), 9.into());
        let error = RpcError { code: -32012, message: "the queue has changed".into(), data };
        let failure = Failure::from(ClientError::from(error));
        assert!(failure.hint.as_deref().unwrap().contains("revision 9"));
        assert_eq!(failure.document()["error"]["data"]["kind"], "stale_revision");
        assert_eq!(failure.document()["error"]["exit"], 5);
    }

    #[test]
    fn what_is_allowed_is_told_when_there_is_no_better_hint() {
        let hint = |data: Value| {
            let Value::Object(data) = data else { return None };
            Failure::from(ClientError::from(RpcError { code: -32602, message: "no".into(), data })).hint
        };
        assert_eq!(hint(json!({"allowed": ["line", "now"]})).as_deref(), Some("allowed: line, now"));
        assert_eq!(hint(json!({"allowed": "1 to 200"})).as_deref(), Some("allowed: 1 to 200"));
        assert_eq!(hint(json!({"allowed": "1", "hint": "try 1"})).as_deref(), Some("try 1"));
        assert_eq!(hint(json!({})), None);
    }

    #[test]
    fn a_reader_who_has_seen_enough_is_no_failure() {
        let failure = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!((failure.exit, failure.message.as_str()), (Exit::Good, ""));
    }
}
