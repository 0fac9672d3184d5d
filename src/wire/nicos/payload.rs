//! Payloads to JSON values, and arguments to payloads.

use serde_json::Value;

use super::json::{self, JsonError};
use crate::wire::pickle;

/// What a daemon makes its payloads with. Its banner shows which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serializer {
    /// Python's pickle, protocol 2.
    Pickle,
    /// JSON, in which whatever JSON cannot hold is `{"__pickle__": …}`.
    Json,
}

/// Why a payload cannot be read or made.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// What came is no pickle that we read.
    #[error("what NICOS sent cannot be read: {0}")]
    Pickle(#[from] pickle::DecodeError),
    /// What came is no JSON that we read.
    #[error("what NICOS sent cannot be read: {0}")]
    Json(#[from] JsonError),
    /// What came was too large to be kept.
    #[error("what NICOS sent is larger than is kept: {length} bytes")]
    TooLarge {
        /// Its length in bytes.
        length: usize,
    },
    /// The arguments cannot be told to Python.
    #[error("the arguments cannot be sent to NICOS: {0}")]
    Arguments(#[from] pickle::EncodeError),
}

impl Serializer {
    /// What made this payload, which is the banner's: a dictionary, so that JSON begins with a brace.
    #[must_use]
    pub fn of_banner(payload: &[u8]) -> Self {
        if payload.first() == Some(&b'{') { Self::Json } else { Self::Pickle }
    }

    /// The value of a payload, in the mapping of [`pickle`].
    ///
    /// # Errors
    ///
    /// When it is not what this serializer makes, or beyond the limits.
    pub fn decode(self, payload: &super::Payload, limits: &pickle::Limits) -> Result<Value, PayloadError> {
        let bytes = kept(payload)?;
        match self {
            Self::Pickle => Ok(pickle::decode(bytes, limits)?),
            Self::Json => Ok(json::decode(bytes, limits)?),
        }
    }

    /// The value of a payload as the text of its JSON, which costs far less than [`Serializer::decode`] and writing
    /// that. What has a tagged form is given the form that `form` makes of it, as by [`pickle::decode_to_text`].
    ///
    /// # Errors
    ///
    /// As [`Serializer::decode`].
    pub fn decode_to_text(
        self,
        payload: &super::Payload,
        limits: &pickle::Limits,
        form: impl Fn(Value) -> Value,
    ) -> Result<String, PayloadError> {
        let bytes = kept(payload)?;
        match self {
            Self::Pickle => Ok(pickle::decode_to_text(bytes, limits, form)?),
            Self::Json => Ok(form(json::decode(bytes, limits)?).to_string()),
        }
    }

    /// The payload of a command with these arguments. Values in the tagged forms of [`pickle`] become what
    /// they stand for.
    ///
    /// # Errors
    ///
    /// When a value has no form that Python could be sent.
    pub fn encode(self, arguments: &[Value]) -> Result<Vec<u8>, PayloadError> {
        let pickled = match self {
            Self::Json if !arguments.iter().any(json::needs_pickle) => {
                // Values of JSON can always be written as JSON.
                return Ok(serde_json::to_vec(arguments).unwrap_or_default());
            }
            Self::Json | Self::Pickle => pickle::encode_arguments(arguments)?,
        };
        Ok(match self {
            Self::Pickle => pickled,
            Self::Json => json::wrap_pickle(&pickled),
        })
    }
}

fn kept(payload: &super::Payload) -> Result<&[u8], PayloadError> {
    match payload {
        super::Payload::Kept(bytes) => Ok(bytes),
        super::Payload::TooLarge { length } => Err(PayloadError::TooLarge { length: *length }),
    }
}
