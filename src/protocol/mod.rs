//! What clients say and hear: requests, replies, events, in the native and the proxy dialect.
//!
//! This room is pure: bytes in, typed values out, and back. It knows no socket, no session and no state
//! of a job; it decides only whether a message is well formed and what its parts mean. Nothing that
//! comes from outside can make it panic, and its memory is bounded by the length of the message.

mod error;
mod event;
mod method;
pub mod native;
pub mod openrpc;
mod params;
pub mod proxy;
mod reference;
pub mod request;
mod submission;
mod text;
mod time;
pub mod view;

pub use error::{ErrorData, ErrorKind, FieldError, RpcError};
pub use event::{
    Event, EventBody, EventKind, JobEvent, NoticeEvent, OutputEvent, ProgressEvent, PromptEvent, QueueEvent,
    Settled,
};
pub use method::{Method, Request};
pub use native::{Call, CallId, Decoded, REPLY_BYTES, decode};
pub use reference::{JobRef, Place, PromptRef, Selection};
pub use submission::{BatchJob, NewJob, Submission, SubmissionChanges};
pub use time::{DurationText, Rfc3339};

#[cfg(test)]
mod documentation_tests;
#[cfg(test)]
mod native_tests;
#[cfg(test)]
mod submission_tests;
#[cfg(test)]
mod view_tests;
