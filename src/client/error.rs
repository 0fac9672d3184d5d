//! What can go wrong between a caller and the server.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::ServerAddress;

/// Why a call, or the connection it needs, failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody accepts connections there.
    #[error("cannot reach {address}")]
    Unreachable {
        /// Where the connection was tried.
        address: ServerAddress,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// Something answers there that does not speak STOMP as a server does.
    #[error("what answers at {address} is no STOMP server: {detail}")]
    NotStomp {
        /// Where it answers.
        address: ServerAddress,
        /// What was wrong with its first bytes.
        detail: String,
    },
    /// The endpoint or the broker refused the credentials or a destination.
    #[error("{message}")]
    Refused {
        /// What the other side said, in one line.
        message: String,
    },
    /// The endpoint or the broker could not take a frame that was sent: it was too large, for example. The
    /// connection ends with that.
    #[error("{message}")]
    Rejected {
        /// What the other side said, in one line.
        message: String,
        /// What it said to try.
        hint: Option<String>,
    },
    /// The connection ended while a reply was due.
    #[error("the connection to the server was lost: {detail}")]
    Lost {
        /// How it ended.
        detail: String,
    },
    /// No reply came in time. The request may or may not have been carried out.
    #[error("`{method}` got no reply within {after:?}")]
    TimedOut {
        /// The method that was called, or `connect`.
        method: String,
        /// The longest wait.
        after: Duration,
    },
    /// The server answered with an error.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// A reply does not have the shape that the protocol promises.
    #[error("the reply to `{method}` cannot be understood")]
    BadReply {
        /// The method that was called.
        method: String,
        /// What is wrong with the reply.
        #[source]
        source: serde_json::Error,
    },
    /// The parameters cannot be written as JSON.
    #[error("the parameters of `{method}` cannot be written as JSON")]
    BadParameters {
        /// The method that was to be called.
        method: String,
        /// What is wrong with the parameters.
        #[source]
        source: serde_json::Error,
    },
}

impl ClientError {
    /// The server's own error, if it is one.
    #[must_use]
    pub fn rpc(&self) -> Option<&RpcError> {
        match self {
            Self::Rpc(error) => Some(error),
            _ => None,
        }
    }
}

/// An error that the server answered with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct RpcError {
    /// The JSON-RPC code; the protocol's own are −32001 to −32030.
    pub code: i64,
    /// What is wrong, in one sentence.
    pub message: String,
    /// `kind` always; `field`, `value`, `allowed`, `hint` and more where they exist.
    #[serde(default)]
    pub data: Map<String, Value>,
}

impl RpcError {
    /// A member of the error's data as text.
    #[must_use]
    pub fn text(&self, member: &str) -> Option<&str> {
        self.data.get(member).and_then(Value::as_str)
    }

    /// The stable name of the error: `wrong_state`, `not_found` …
    #[must_use]
    pub fn kind(&self) -> &str {
        self.text("kind").unwrap_or_default()
    }

    /// What to try.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.text("hint")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_error_reads_its_kind_and_hint_from_the_data() {
        let error: RpcError = serde_json::from_value(serde_json::json!({
            "code": -32011, "message": "there is no job 9",
            "data": {"kind": "not_found", "field": "id", "value": "9", "hint": "see `queue list`"},
        }))
        .unwrap();
        assert_eq!((error.kind(), error.hint()), ("not_found", Some("see `queue list`")));
        assert_eq!(ClientError::from(error).to_string(), "there is no job 9");
    }

    #[test]
    fn an_error_without_data_is_understood_too() {
        let error: RpcError = serde_json::from_str(r#"{"code": -32700, "message": "parse error"}"#).unwrap();
        assert_eq!((error.kind(), error.hint()), ("", None));
    }
}
