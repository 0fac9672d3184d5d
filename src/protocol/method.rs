//! The table of methods: name, parameters, result and the least role, in one place.

use beamq_machines::Role;
use schemars::{Schema, SchemaGenerator};
use serde_json::Value;

use super::{
    error::RpcError,
    params::{self, ParamError, Part},
    request::{
        Answer, CheckCatalogue, ClearQueue, DryRunCommands, DryRunJob, DryRunQueue, DryRunScript,
        DuplicateJob, EditJob, GetOutput, GetQueue, HoldJob, ListAudit, ListCatalogue, ListHistory, Login,
        MoveJobs, NicosCall, NoParams, OneCommand, OneJob, PauseRun, RemoveJobs, ReorderQueue, RerunJob,
        SubmitBatch, SubmitJob, Subscribe, Why,
    },
    view::{
        AuditView, BatchSubmitted, CatalogueView, CommandView, DryRunReport, FindingsView, HistoryView,
        JobCreated, JobEdited, JobReply, LoggedIn, OutputView, QueueForecast, QueueOrder, QueueStateReply,
        QueueView, Removed, RunPausing, RunState, ServerInfo, StatusView, Submitted, Subscribed,
    },
};

macro_rules! methods {
    ($($name:literal $variant:ident ($params:ty) -> $result:ty, $role:expr, $summary:literal;)*) => {
        /// The methods of the native dialect.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Method {
            $(#[doc = concat!("`", $name, "`: ", $summary)] $variant,)*
        }

        /// A call with its parameters, whose form has been checked.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Request {
            $(#[doc = concat!("`", $name, "`: ", $summary)] $variant($params),)*
        }

        impl Method {
            /// Every method, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The names of the methods, in the same order.
            pub const NAMES: &[&str] = &[$($name),*];

            /// The name in the calls of clients.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it does, in one sentence.
            #[must_use]
            pub const fn summary(self) -> &'static str {
                match self { $(Self::$variant => $summary,)* }
            }

            /// The least role that may call it, whoever owns the jobs it is about; `None` when it answers
            /// before a login.
            #[must_use]
            pub const fn required_role(self) -> Option<Role> {
                match self { $(Self::$variant => $role,)* }
            }

            /// The method with this name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }

            fn read(self, params: Value) -> Result<Request, ParamError> {
                match self { $(Self::$variant => params::read(params).map(Request::$variant),)* }
            }

            /// The schema of its parameters.
            pub(super) fn params_schema(self, generator: &mut SchemaGenerator) -> Schema {
                match self { $(Self::$variant => generator.root_schema_for_params::<$params>(),)* }
            }

            /// The schema of its result.
            pub(super) fn result_schema(self, generator: &mut SchemaGenerator) -> Schema {
                match self { $(Self::$variant => generator.subschema_for::<$result>(),)* }
            }
        }

        impl Request {
            /// The parameters as JSON, as a client sends them.
            ///
            /// # Errors
            ///
            /// When a batch holds a job that could not be read.
            pub fn params(&self) -> Result<Value, serde_json::Error> {
                match self { $(Self::$variant(params) => serde_json::to_value(params),)* }
            }

            /// The method that is called.
            #[must_use]
            pub const fn method(&self) -> Method {
                match self { $(Self::$variant(_) => Method::$variant,)* }
            }
        }
    };
}

/// Parameters are described member by member, not as a named structure.
trait ParamsSchema {
    fn root_schema_for_params<T: schemars::JsonSchema>(&mut self) -> Schema;
}

impl ParamsSchema for SchemaGenerator {
    fn root_schema_for_params<T: schemars::JsonSchema>(&mut self) -> Schema {
        T::json_schema(self)
    }
}

const ANYBODY: Option<Role> = None;
const VIEWER: Option<Role> = Some(Role::Viewer);
const USER: Option<Role> = Some(Role::User);
const SCIENTIST: Option<Role> = Some(Role::Scientist);

methods! {
    "session.login" Login(Login) -> LoggedIn, ANYBODY, "Opens the session for everything else.";
    "session.logout" Logout(NoParams) -> (), VIEWER, "Ends the session.";
    "server.info" ServerInfo(NoParams) -> ServerInfo, ANYBODY, "Says what this server is.";
    "server.status" ServerStatus(NoParams) -> StatusView, VIEWER, "Says how everything is.";
    "events.subscribe" Subscribe(Subscribe) -> Subscribed, VIEWER, "Asks for events from now on, or from one already seen.";
    "events.unsubscribe" Unsubscribe(NoParams) -> (), VIEWER, "Ends the events.";
    "job.submit" Submit(SubmitJob) -> Submitted, USER, "Queues a job.";
    "job.submit_batch" SubmitBatch(SubmitBatch) -> BatchSubmitted, USER, "Queues several jobs, all or none.";
    "job.get" GetJob(OneJob) -> JobReply, VIEWER, "Serves a job whole, waiting, active or finished.";
    "job.edit" EditJob(EditJob) -> JobEdited, USER, "Changes a waiting job.";
    "job.hold" HoldJob(HoldJob) -> JobEdited, USER, "Lets waiting jobs keep their places and be passed over.";
    "job.unhold" UnholdJob(HoldJob) -> JobEdited, USER, "Lets held jobs run when their turn comes.";
    "job.remove" RemoveJobs(RemoveJobs) -> Removed, USER, "Takes waiting jobs off the queue.";
    "job.duplicate" DuplicateJob(DuplicateJob) -> JobCreated, USER, "Queues a copy of a job.";
    "job.rerun" RerunJob(RerunJob) -> JobCreated, USER, "Queues a finished job again, changed if wished.";
    "queue.get" GetQueue(GetQueue) -> QueueView, VIEWER, "Serves the queue.";
    "queue.move" MoveJobs(MoveJobs) -> QueueOrder, USER, "Moves waiting jobs to another place.";
    "queue.reorder" ReorderQueue(ReorderQueue) -> QueueOrder, SCIENTIST, "Gives the whole new order.";
    "queue.hold" HoldQueue(Why) -> QueueStateReply, SCIENTIST, "Starts no further job until the queue is released.";
    "queue.release" ReleaseQueue(NoParams) -> QueueStateReply, SCIENTIST, "Lets a held queue go on.";
    "queue.stop_after_current" StopAfterCurrent(NoParams) -> QueueStateReply, SCIENTIST, "Holds the queue when the active job has ended.";
    "queue.cancel_stop" CancelStop(NoParams) -> QueueStateReply, SCIENTIST, "Takes that back.";
    "queue.clear" ClearQueue(ClearQueue) -> Removed, SCIENTIST, "Takes every waiting job off the queue.";
    "run.pause" PauseRun(PauseRun) -> RunPausing, USER, "Pauses the active job.";
    "run.cancel_pause" CancelPause(NoParams) -> RunState, USER, "Forgets a pause that has not taken effect.";
    "run.resume" ResumeRun(NoParams) -> RunState, USER, "Lets a paused job go on.";
    "run.skip" SkipWait(NoParams) -> RunState, USER, "Ends the wait that the script is in, and goes on after it.";
    "run.abort" AbortRun(Why) -> RunState, USER, "Ends the active job; once more presses harder.";
    "run.answer" AnswerPrompt(Answer) -> (), USER, "Answers a question of the running script.";
    "output.get" GetOutput(GetOutput) -> OutputView, VIEWER, "Serves lines that a job wrote.";
    "history.list" ListHistory(ListHistory) -> HistoryView, VIEWER, "Lists finished jobs, newest first.";
    "catalogue.list" ListCatalogue(ListCatalogue) -> CatalogueView, VIEWER, "Lists the commands of the instrument.";
    "catalogue.get" GetCommand(OneCommand) -> CommandView, VIEWER, "Serves one command.";
    "catalogue.schema" CommandSchema(OneCommand) -> Value, VIEWER, "Serves the JSON Schema of a command's parameters.";
    "catalogue.check" CheckCatalogue(CheckCatalogue) -> FindingsView, VIEWER, "Judges catalogue files without loading them.";
    "dryrun.script" DryRunScript(DryRunScript) -> DryRunReport, USER, "Judges a script without touching the instrument.";
    "dryrun.commands" DryRunCommands(DryRunCommands) -> DryRunReport, USER, "Judges command calls without touching the instrument.";
    "dryrun.job" DryRunJob(DryRunJob) -> DryRunReport, USER, "Judges a job without touching the instrument.";
    "dryrun.queue" DryRunQueue(DryRunQueue) -> QueueForecast, USER, "Forecasts the whole queue.";
    "nicos.call" CallNicos(NicosCall) -> Value, VIEWER, "Calls a command of NICOS on the session's own connection; some commands need a higher role.";
    "audit.list" ListAudit(ListAudit) -> AuditView, SCIENTIST, "Lists who changed what.";
    "rpc.discover" Discover(NoParams) -> Value, ANYBODY, "Serves the OpenRPC document of this interface.";
}

/// The most characters of a reason, which is kept and shown to everybody.
const WHY_CHARACTERS: usize = 1000;

impl Method {
    /// Reads the parameters of a call.
    ///
    /// # Errors
    ///
    /// `invalid_params` naming the member that is missing, unknown or mistyped; `invalid_job` for a value
    /// of a submission or a place that has the right type and cannot be accepted.
    pub fn decode(self, params: Value) -> Result<Request, RpcError> {
        let request = self.read(params).map_err(|error| self.refusal(error))?;
        match &request {
            Request::SubmitBatch(batch) if batch.jobs.len() > super::request::BATCH_JOBS => {
                Err(RpcError::too_large("the batch", batch.jobs.len(), super::request::BATCH_JOBS, "jobs")
                    .with_field("jobs"))
            }
            Request::HoldQueue(Why { why: Some(why) }) | Request::AbortRun(Why { why: Some(why) })
                if why.chars().count() > WHY_CHARACTERS =>
            {
                Err(RpcError::invalid_params("why is too long")
                    .with_field("why")
                    .with_value(why.as_str())
                    .with_allowed(format!("at most {WHY_CHARACTERS} characters")))
            }
            _ => Ok(request),
        }
    }

    fn refusal(self, error: ParamError) -> RpcError {
        let member = error.top_member();
        let part = match (self, member) {
            (_, Some("job" | "jobs" | "place")) if self != Self::GetOutput => Part::Submission,
            (Self::EditJob | Self::RerunJob, Some(name)) if name != "id" && name != "revision" => {
                Part::Submission
            }
            _ => Part::Call,
        };
        // What was meant as a secret is not shown again, not even to the one who sent it.
        let secret = self == Self::Login && matches!(member, Some("token" | "password"));
        let mut refusal = error.into_rpc_error(part);
        if secret {
            refusal.data.value = None;
            refusal.data.hint = None;
        }
        refusal
    }
}

impl Request {
    /// The least role that may call this, whoever owns the jobs it is about; `None` before a login, too.
    #[must_use]
    pub const fn required_role(&self) -> Option<Role> {
        self.method().required_role()
    }

    /// Checks the role of a session against this call.
    ///
    /// # Errors
    ///
    /// `not_logged_in` without a role where one is needed, `forbidden` with one that is too small.
    pub fn check_role(&self, role: Option<Role>) -> Result<(), RpcError> {
        match (self.required_role(), role) {
            (None, _) => Ok(()),
            (Some(_), None) => Err(RpcError::not_logged_in()),
            (Some(needed), Some(role)) if role < needed => {
                Err(RpcError::forbidden_role(self.method().name(), role, needed))
            }
            (Some(_), Some(_)) => Ok(()),
        }
    }
}
