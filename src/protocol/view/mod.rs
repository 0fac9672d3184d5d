//! What is served: the results of the methods and the contents of the events. What is unknown is absent.

mod catalogue;
mod dryrun;
mod job;
mod output;
mod queue;
mod server;

pub use catalogue::{CatalogueView, CommandView, FindingsView};
pub use dryrun::{
    DeviceRange, DryRunReport, Finding, JobForecast, QueueForecast, Seconds, Severity, TimelineEntry, Totals,
};
pub use job::{
    CallTaken, Elapsed, Estimate, EstimateSource, HistoryView, JobCreated, JobEdited, JobReply, JobStateName,
    JobView, OutputSize,
};
pub use output::{OutputLineView, OutputView};
pub use queue::{
    BatchSubmitted, BatchVerdict, GroupView, QueueOrder, QueueStateName, QueueStateReply, QueueView, Removed,
    RunPausing, RunState, Submitted,
};
pub use server::{
    AuditEntry, AuditView, CatalogueStatus, EngineStatus, LoggedIn, QueueStatus, ServerInfo, StatusView,
    Subscribed,
};
