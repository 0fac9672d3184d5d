//! The SQLite file in which every fact is committed before anyone acts on it.
//!
//! The journal knows nothing of what a fact says: it stores JSON text under a number and gives it back
//! in order. Beside the facts it keeps what people ask for later: the jobs for the history, their
//! output, the newest events, the audit. One thread owns the writing connection and puts everything that
//! is queued when it wakes into one transaction, so that a burst of requests costs one `fsync`. Reads go
//! over connections of their own and never hold up a commit.
//!
//! What may not enter here: machines, protocol, policy. The only rule that the journal enforces on facts
//! is that their numbers have no gap.

mod checkpointer;
mod data_dir;
mod error;
mod format;
mod handle;
mod reader;
mod rows;
mod statements;
mod writer;

pub use data_dir::{DataDir, DataDirError, Endpoint};
pub use error::JournalError;
pub use handle::Journal;
pub use rows::{
    AuditQuery, AuditRow, Batch, CallDurationRow, Durations, EventRow, FactRow, HistoryPage, HistoryQuery,
    JobDurationRow, JobRow, OutputPage, OutputRow, OutputSize, Pruned, Replay, StoredEvent, StoredJob,
};

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod data_dir_tests;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_wrap)]
mod tests;
