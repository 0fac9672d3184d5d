//! The parameters of every method, as clients send them. The table in `method.rs` says which is whose.

mod judge;
mod list;
mod nicos;
mod queue;
mod run;
mod session;
mod submit;

pub use judge::{
    CheckCatalogue, DryRunCommands, DryRunJob, DryRunMode, DryRunQueue, DryRunScript, ListCatalogue,
    OneCommand,
};
pub use list::{ListAudit, ListHistory, States};
pub use nicos::{NicosArguments, NicosCall};
pub use queue::{ClearQueue, DuplicateJob, GetQueue, HoldJob, MoveJobs, RemoveJobs, ReorderQueue, Why};
pub use run::{Answer, GetOutput, PauseRun};
pub use session::{Credentials, Login, NoParams, Secret, Subscribe};
pub use submit::{BATCH_JOBS, EditJob, OneJob, RerunJob, SubmitBatch, SubmitJob};
