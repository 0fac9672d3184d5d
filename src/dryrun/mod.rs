//! Judging scripts without touching the instrument.
//!
//! This room reads scripts; it never runs them. [`static_check`] is pure: text and catalogue in, findings
//! out. [`final_word()`] asks the interpreter that will run the script, in a process of its own. Nothing here
//! knows a client, the queue or an engine.

pub mod final_word;
pub mod static_check;

pub use final_word::{FinalWord, final_word};
pub use static_check::{SCRIPT_LIMIT, check_script, diagnose_script};
