//! What a client is told when it asks for something that it cannot have.

use stomp_rs::protocol::ServerCommand;

use crate::wire::stomp::{Frame, StompError};

/// A refusal: what is wrong and what would work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    message: String,
    hint: String,
}

impl Refusal {
    pub(super) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into() }
    }

    /// What is wrong, for the log.
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// The ERROR frame, which names the receipt that its request asked for.
    pub(super) fn into_frame(self, receipt: Option<&str>) -> Frame {
        let mut frame = Frame::new(ServerCommand::Error.into())
            .header("message", self.message.clone())
            .header("content-type", "text/plain");
        if let Some(receipt) = receipt {
            frame = frame.header("receipt-id", receipt);
        }
        frame.with_body(format!("{}\nhint: {}\n", self.message, self.hint)).with_content_length()
    }
}

impl From<&StompError> for Refusal {
    /// Says what is wrong with a frame; the connection ends after it.
    fn from(error: &StompError) -> Self {
        let hint = match error {
            StompError::UnknownCommand { .. } => {
                "this port speaks STOMP; a frame begins with a command such as CONNECT or SEND"
            }
            StompError::LineTooLong { .. } | StompError::TooManyHeaders { .. } => {
                "put what is long into the body"
            }
            StompError::MalformedHeader { .. } => "a header is name:value, and a blank line ends the headers",
            StompError::BadEscape { .. } => {
                r"write a backslash as \\, a colon as \c, a line feed as \n, in 1.2 a carriage return as \r"
            }
            StompError::InvalidUtf8 { .. } => "headers are UTF-8",
            StompError::NulInHeader => "a blank line comes after the headers, even when there is no body",
            StompError::BadContentLength { .. } | StompError::MissingNul { .. } => {
                "content-length counts the body's bytes, not its characters, and a NUL follows the body"
            }
            StompError::BodyTooLarge { .. } => "send less at a time, for example a batch in several parts",
            StompError::Io(_)
            | StompError::CutShort
            | StompError::AfterError
            | StompError::Unwritable { .. } => "connect again",
        };
        Self::new(error.to_string(), hint)
    }
}
