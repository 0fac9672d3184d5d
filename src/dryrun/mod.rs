//! Judging scripts without touching the instrument.
//!
//! [`static_check`] is pure: text and catalogue in, findings out; it never runs a script. [`final_word`]
//! asks the interpreter that will run the script, in processes of its own. [`simulation`] runs the script
//! on virtual time, confined; [`nicos`] has NICOS do it. Nothing here knows a client, the queue or an engine.

pub mod final_word;
pub mod nicos;
pub mod simulation;
pub mod static_check;

pub use final_word::{CompileLimits, Compiler, FinalWord, Unheard};
pub use static_check::{Host, SCRIPT_LIMIT, check_script, diagnose_script, diagnose_script_for};
