//! Everything that can be wrong with a frame.

use std::io;

use super::Version;

/// Why a frame could not be read or written. After an error of reading, the stream cannot be read on: where
/// the next frame begins is unknown, or was chosen by somebody who injects bytes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StompError {
    /// The connection failed.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    /// The first line of a frame is no command of STOMP.
    #[error("{command:?} is not a STOMP command")]
    UnknownCommand {
        /// The line, cut to a readable length, with what is not UTF-8 replaced.
        command: String,
    },
    /// The command's or a header's line is longer than allowed.
    #[error("a header line is longer than the limit of {limit} bytes")]
    LineTooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// A frame has more header lines than allowed.
    #[error("the frame has more than the limit of {limit} header lines")]
    TooManyHeaders {
        /// The limit in lines.
        limit: usize,
    },
    /// A header line has no colon or nothing before it.
    #[error("header line {line} is not of the form name:value")]
    MalformedHeader {
        /// The number of the header line, counted from 1.
        line: usize,
    },
    /// A header has a backslash that does not begin an escape of this version.
    #[error("header line {line} has an escape that STOMP {version} does not know")]
    BadEscape {
        /// The number of the header line, counted from 1.
        line: usize,
        /// The version that was agreed on.
        version: Version,
    },
    /// A header line is not UTF-8.
    #[error("header line {line} is not valid UTF-8")]
    InvalidUtf8 {
        /// The number of the header line, counted from 1.
        line: usize,
    },
    /// There is a NUL before the blank line that ends the headers.
    #[error("the frame ended before the blank line that ends its headers")]
    NulInHeader,
    /// The `content-length` is not a whole number of bytes.
    #[error("the content-length {value:?} is not a whole number of bytes")]
    BadContentLength {
        /// What the header says, cut to a readable length.
        value: String,
    },
    /// The body is longer than allowed.
    #[error("the body is longer than the limit of {limit} bytes")]
    BodyTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The byte after a body of the announced length is not the NUL that ends a frame.
    #[error("the frame does not end after its content-length of {content_length} bytes")]
    MissingNul {
        /// What the header says.
        content_length: usize,
    },
    /// The connection ended in the middle of a frame.
    #[error("the connection ended in the middle of a frame")]
    CutShort,
    /// An earlier frame was in error, so nothing that follows can be trusted.
    #[error("an earlier frame was in error")]
    AfterError,
    /// A header to be written has a character that the version cannot express.
    #[error("header {header:?} has a character that STOMP {version} cannot carry there")]
    Unwritable {
        /// The name of the header.
        header: String,
        /// The version in use.
        version: Version,
    },
}
