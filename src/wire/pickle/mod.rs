//! Pickle, the serialization of Python's objects, without Python: payloads become JSON, and JSON becomes payloads.
//!
//! Reading a pickle in Python runs what the pickle says. Here nothing runs: a call in the payload becomes a JSON object
//! that tells what would have been called. Protocols 0 to 5 are read, within [`Limits`].
//!
//! # The JSON
//! None, booleans, integers of 64 bits, finite floating-point numbers, text, lists and dictionaries whose keys are text
//! without a `$` at the beginning stand for themselves; a tuple is an array. Everything else is an object with a name
//! that begins with `$`:
//!
//! | Python | JSON |
//! |---|---|
//! | a greater integer | `{"$int": "100000000000000000000"}` |
//! | a float that is not finite | `{"$float": "nan"}`, `"inf"`, `"-inf"` |
//! | bytes, bytearray | `{"$bytes": "…"}`, in base64 |
//! | text with lone surrogates | `{"$wtf8": "…"}`, its UTF-8 in base64 |
//! | a set, a frozen set | `{"$set": […]}`, sorted by how Python would write the members |
//! | another dictionary | `{"$map": [[key, value], …]}` |
//! | a class or function | `{"$global": "module.name"}` |
//! | an object | `{"$object": "module.name", "args": […], "kwargs": {…}, "state": …, "items": […], "pairs": [[key, value], …]}`, without what is empty |
//! | what contains itself | `{"$recursive": true}` at the inner place |
//!
//! What is referenced twice is written twice. If an object is made by something that is itself the result of a call,
//! `$object` holds that result's JSON instead of a name.

mod encode;
mod error;
mod input;
mod known;
mod limits;
mod machine;
mod opcodes;
mod python_repr;
pub mod tag;
mod text;
mod to_json;
mod to_text;
mod tree;

#[cfg(test)]
mod tests;

use serde_json::Value;

pub use encode::{encode, encode_arguments};
pub use error::{DecodeError, EncodeError};
pub use limits::{DEEPEST, Limits};

/// Reads a payload. Bytes after its end are ignored, as Python does.
///
/// # Errors
/// When the payload is broken, needs something from outside of it, or would cost more than the limits allow.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Value, DecodeError> {
    let read = machine::run(bytes, limits).and_then(|(tree, value)| to_json::to_json(&tree, value, limits));
    read.map_err(|error| *error)
}

/// Reads a payload into the text of its JSON: what [`decode`] gives, written, in a fraction of the time. `form` may give
/// another form to what is not plain (everything that begins with a `$`); what is inside of it is not asked about again.
///
/// # Errors
/// As [`decode`]; the text, too, is no larger than the limit of the output.
pub fn decode_to_text(
    bytes: &[u8],
    limits: &Limits,
    form: impl Fn(Value) -> Value,
) -> Result<String, DecodeError> {
    let read =
        machine::run(bytes, limits).and_then(|(tree, value)| to_text::to_text(&tree, value, limits, &form));
    read.map_err(|error| *error)
}
