//! Everything that can be wrong with a payload or with a value to be sent.

/// Why a payload could not be read. Places count bytes from the payload's beginning.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The payload would cost more than [`Limits`](super::Limits) allows.
    #[error("the pickle has more {what} than the limit of {limit}")]
    TooLarge {
        /// What there is too much of, in the plural.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// The payload ends in the middle of something.
    #[error("the pickle ends at byte {at}, in the middle of something")]
    Truncated {
        /// Where the part begins that is not whole.
        at: usize,
    },
    /// No such operation exists.
    #[error("byte {at} of the pickle is {opcode:#04x}, which is no operation")]
    UnknownOperation {
        /// Where it is.
        at: usize,
        /// The byte.
        opcode: u8,
    },
    /// The operation exists, but has no meaning for a single message from elsewhere.
    #[error("byte {at} of the pickle asks for {what}, which a message cannot have")]
    Unsupported {
        /// Where it is.
        at: usize,
        /// What it asks for.
        what: &'static str,
    },
    /// The operations do not fit each other or their arguments.
    #[error("byte {at} of the pickle: {what}")]
    Malformed {
        /// Where the operation is.
        at: usize,
        /// What is wrong.
        what: &'static str,
    },
}

/// What a step of the decoder gives. Almost all of them go well: an error in a box of its own keeps what they hand on
/// small.
pub(super) type Read<T> = Result<T, Box<DecodeError>>;

/// Why a JSON value cannot be sent to Python.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A member that begins with `$` is not one of the tagged forms, or its content is not what the form needs.
    #[error("{value} is not a value in a tagged form: {problem}")]
    NotATag {
        /// The value, cut to a readable length.
        value: String,
        /// What the form needs.
        problem: &'static str,
    },
    /// The form exists for values that come from Python, but must not be sent to it.
    #[error("{tag} cannot be sent: {problem}")]
    NotSent {
        /// The tag.
        tag: String,
        /// Why not, and what to send instead.
        problem: &'static str,
    },
    /// The value is nested too deeply.
    #[error("the value is nested more than {limit} levels deep")]
    TooDeep {
        /// The limit in levels.
        limit: usize,
    },
    /// The value could not be written.
    #[error("the value could not be written: {0}")]
    NotWritten(String),
}
