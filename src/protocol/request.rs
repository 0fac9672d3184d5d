//! The parameters of every method, as clients send them.

use std::{fmt, sync::Arc};

use beamq_machines::{CommandCall, PauseLevel};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::{
    error::RpcError,
    event::EventKind,
    reference::{JobRef, Place, PromptRef, Selection},
    submission::{BatchJob, Submission, SubmissionChanges},
    time::{DurationText, Rfc3339},
    view::JobStateName,
};

/// A text that must not appear in a log. It is readable only by asking for it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A method without parameters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoParams {}

/// Parameters of `session.login`: a token, or a user with a password.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The token of the server's data directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
    /// An account of the configuration, or of NICOS. Beside a token: the name that jobs are owned by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The account's password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// What the client is, for people who read the audit: `"IBEX GUI 14.1"`. At most 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// Ask for a key that every later request of this session must carry.
    #[serde(default)]
    pub bind: bool,
}

/// The most characters of a user's or a client's name.
const LOGIN_CHARACTERS: usize = 200;

/// What a login shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credentials<'a> {
    /// The token of the data directory.
    Token(&'a str),
    /// A name and a password.
    Password {
        /// The name.
        user: &'a str,
        /// The password.
        password: &'a str,
    },
}

impl Login {
    /// What the login shows.
    ///
    /// # Errors
    ///
    /// `invalid_params` when neither a token nor a user with a password is there, or both are.
    pub fn credentials(&self) -> Result<Credentials<'_>, RpcError> {
        for (field, text) in [("user", &self.user), ("client", &self.client)] {
            let text = text.as_deref().unwrap_or_default();
            if text.chars().count() > LOGIN_CHARACTERS || text.chars().any(char::is_control) {
                return Err(RpcError::invalid_params(format!("{field} is too long or not one line"))
                    .with_field(field)
                    .with_value(text)
                    .with_allowed(format!("at most {LOGIN_CHARACTERS} characters in one line")));
            }
        }
        let missing =
            |field: &str| RpcError::invalid_params(format!("missing member {field}")).with_field(field);
        match (&self.token, &self.user, &self.password) {
            (Some(token), _, None) => Ok(Credentials::Token(token.reveal())),
            (None, Some(user), Some(password)) => {
                Ok(Credentials::Password { user, password: password.reveal() })
            }
            (None, Some(_), None) => Err(missing("password")),
            (None, None, Some(_)) => Err(missing("user")),
            (None, None, None) => {
                Err(missing("token").with_hint("log in with the token, or with user and password"))
            }
            (Some(_), _, Some(_)) => Err(RpcError::invalid_params("token and password cannot both be given")
                .with_field("password")
                .with_hint("log in with the token, or with user and password")),
        }
    }
}

/// Parameters of `events.subscribe`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Subscribe {
    /// The kinds of events to send; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kinds: Option<Vec<EventKind>>,
    /// The `seq` of the last event seen: what is kept with a greater one is sent first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
}

/// Parameters of `job.submit`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SubmitJob {
    /// The job.
    pub job: Submission,
    /// Where in the waiting order it goes.
    #[serde(default)]
    pub place: Place,
    /// Refuse when the queue is not at this revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
}

/// The most jobs in one batch.
pub const BATCH_JOBS: usize = 10_000;

/// Parameters of `job.submit_batch`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SubmitBatch {
    /// The jobs, in the order in which they are to run; at most 10 000.
    #[schemars(length(max = 10_000))]
    pub jobs: Vec<BatchJob>,
    /// Where in the waiting order they go.
    #[serde(default)]
    pub place: Place,
    /// Refuse when the queue is not at this revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
}

/// Parameters of methods about one job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OneJob {
    /// The job.
    pub id: JobRef,
}

/// Tells `null` (clear it) from absence (leave it).
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Makes a structure of its own members and those of a submission, each of which may be absent.
macro_rules! with_changes {
    ($(#[$doc:meta])* $name:ident { $($(#[$member_doc:meta])* $member:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($(#[$member_doc])* pub $member: $type,)*
            /// A new name.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub name: Option<String>,
            /// A new script; takes the place of commands, too.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub script: Option<Arc<str>>,
            /// New commands; take the place of a script, too.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub commands: Option<Vec<CommandCall>>,
            /// Whether the script runs untouched.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub black_box: Option<bool>,
            /// New tags, all of them.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub tags: Option<Vec<String>>,
            /// A new group; `null` for none.
            #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
            pub group: Option<Option<String>>,
            /// Whether the job is held.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub held: Option<bool>,
            /// Must be 1 when given: a job that exists cannot be multiplied.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub repeat: Option<u32>,
            /// A new earliest start; `null` for none.
            #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
            pub not_before: Option<Option<Rfc3339>>,
            /// A new deadline; `null` for none.
            #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
            pub deadline: Option<Option<Rfc3339>>,
            /// A new time-out; `null` for the default of the configuration.
            #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
            pub timeout: Option<Option<DurationText>>,
        }

        impl $name {
            /// What is to change of the job.
            #[must_use]
            pub fn changes(&self) -> SubmissionChanges {
                SubmissionChanges {
                    name: self.name.clone(),
                    script: self.script.clone(),
                    commands: self.commands.clone(),
                    black_box: self.black_box,
                    tags: self.tags.clone(),
                    group: self.group.clone(),
                    held: self.held,
                    repeat: self.repeat,
                    not_before: self.not_before,
                    deadline: self.deadline,
                    timeout: self.timeout,
                }
            }
        }
    };
}

with_changes! {
    /// Parameters of `job.edit`: what is absent stays.
    EditJob {
        /// The waiting job.
        id: JobRef,
        /// Refuse when the queue is not at this revision.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        revision: Option<u64>,
    }
}
with_changes! {
    /// Parameters of `job.rerun`: what is absent is as it was.
    RerunJob {
        /// The finished job to run again.
        id: JobRef,
        /// Where in the waiting order the new job goes.
        #[serde(default)]
        place: Place,
    }
}

/// Makes a structure that selects jobs by their ids or by their group.
macro_rules! selecting {
    ($(#[$doc:meta])* $name:ident { $($(#[$member_doc:meta])* $member:ident: $type:ty,)* } $($id:ident)?) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $(
                /// One job.
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub $id: Option<JobRef>,
            )?
            /// The jobs.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub ids: Option<Vec<JobRef>>,
            /// Every waiting job of this group, instead of ids.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub group: Option<String>,
            $($(#[$member_doc])* pub $member: $type,)*
        }

        impl $name {
            /// Which jobs are meant.
            ///
            /// # Errors
            ///
            /// `invalid_params` unless exactly one way to say it was used.
            pub fn selection(&self) -> Result<Selection, RpcError> {
                #[allow(unused_mut, unused_assignments, reason = "not every selection has a single id")]
                let mut one: Option<&JobRef> = None;
                $(one = self.$id.as_ref();)?
                select(one, self.ids.as_ref(), self.group.as_ref(), &[$(stringify!($id),)? "ids", "group"])
            }
        }
    };
}

fn select(
    one: Option<&JobRef>,
    many: Option<&Vec<JobRef>>,
    group: Option<&String>,
    members: &[&str],
) -> Result<Selection, RpcError> {
    match (one, many, group) {
        (Some(id), None, None) => Ok(Selection::Jobs(vec![id.clone()])),
        (None, Some(ids), None) => Ok(Selection::Jobs(ids.clone())),
        (None, None, Some(group)) => Ok(Selection::Group(group.clone())),
        (None, None, None) => {
            let first = members.first().copied().unwrap_or_default();
            Err(RpcError::invalid_params(format!("missing member {first}"))
                .with_field(first)
                .with_allowed(format!("one of {}", members.join(", "))))
        }
        _ => Err(RpcError::invalid_params(format!("only one of {} can be given", members.join(", ")))
            .with_field("group")
            .with_allowed(format!("one of {}", members.join(", ")))),
    }
}

selecting! {
    /// Parameters of `job.hold` and `job.unhold`: one of `id`, `ids`, `group`.
    HoldJob {} id
}
selecting! {
    /// Parameters of `job.remove`: one of `ids`, `group`.
    RemoveJobs {
        /// Leave out what is unknown or active instead of refusing the whole call.
        #[serde(default)]
        lenient: bool,
        /// Refuse when the queue is not at this revision.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        revision: Option<u64>,
    }
}
selecting! {
    /// Parameters of `queue.move`: one of `ids`, `group`.
    MoveJobs {
        /// Where in the waiting order they go, together and in the order given.
        place: Place,
        /// Refuse when the queue is not at this revision.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        revision: Option<u64>,
    }
}

/// Parameters of `job.duplicate`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DuplicateJob {
    /// The job to copy, waiting or finished.
    pub id: JobRef,
    /// Where in the waiting order the copy goes.
    #[serde(default)]
    pub place: Place,
}

/// Parameters of `queue.get`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetQueue {
    /// Send the scripts or commands of the jobs, too.
    #[serde(default)]
    pub scripts: bool,
    /// How many waiting jobs to leave out at the front.
    #[serde(default)]
    pub offset: u64,
    /// The most waiting jobs to send; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

/// Parameters of `queue.reorder`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReorderQueue {
    /// Every waiting job once, in the new order.
    pub ids: Vec<JobRef>,
    /// The revision that the order was made for.
    pub revision: u64,
}

/// Parameters of methods that may be given a reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Why {
    /// The reason, shown to people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Parameters of `queue.clear`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClearQueue {
    /// Refuse when the queue is not at this revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
}

/// Parameters of `run.pause`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PauseRun {
    /// Where the pause takes effect.
    #[serde(default)]
    pub level: PauseLevel,
}

/// Parameters of `run.answer`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// Which question: the `prompt` of its event.
    pub prompt: PromptRef,
    /// The answer; one of the choices when the question has some.
    pub value: Value,
}

/// Parameters of `output.get`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetOutput {
    /// The job.
    pub job: JobRef,
    /// The number of the first line wanted; 1 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    /// The most lines to send; 1 000 when absent, never more than 10 000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

impl GetOutput {
    /// The most lines to send.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.limit.unwrap_or(1000).clamp(1, 10_000)
    }
}

/// Parameters of `history.list`: every condition given must hold. Newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListHistory {
    /// Jobs that ended in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<JobStateName>,
    /// Jobs of this owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Jobs with this text in their name, tags, group or error message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Jobs that ended at this time or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Rfc3339>,
    /// Jobs that ended before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Rfc3339>,
    /// Jobs that come after this one in the list: the last id of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<JobRef>,
    /// The most jobs to send; 100 when absent, never more than 1 000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

impl ListHistory {
    /// The most jobs to send.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.limit.unwrap_or(100).clamp(1, 1000)
    }
}

/// Parameters of `catalogue.list`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListCatalogue {
    /// Commands of this group only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

/// Parameters of `catalogue.get` and `catalogue.schema`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OneCommand {
    /// The name of the command.
    pub name: String,
}

/// Parameters of `catalogue.check`: one of the two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckCatalogue {
    /// One catalogue file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub yaml: Option<String>,
    /// Several catalogue files: the text of each by its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<std::collections::BTreeMap<String, String>>,
}

/// How far a dry run goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DryRunMode {
    /// The script is read.
    Static,
    /// The script runs on virtual time against a simulated instrument.
    #[default]
    Simulate,
}

/// Parameters of `dryrun.script`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DryRunScript {
    /// Python source.
    pub script: Arc<str>,
    /// How far to go.
    #[serde(default)]
    pub mode: DryRunMode,
}

/// Parameters of `dryrun.commands`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DryRunCommands {
    /// Calls of catalogue commands.
    pub commands: Vec<CommandCall>,
    /// How far to go.
    #[serde(default)]
    pub mode: DryRunMode,
}

/// Parameters of `dryrun.job`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DryRunJob {
    /// The job.
    pub id: JobRef,
    /// How far to go.
    #[serde(default)]
    pub mode: DryRunMode,
}

/// Parameters of `dryrun.queue`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DryRunQueue {
    /// How far to go.
    #[serde(default)]
    pub mode: DryRunMode,
    /// Say whether the queue is finished by this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Rfc3339>,
}

/// The arguments of a NICOS command, in its order or by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum NicosArguments {
    /// In NICOS's order.
    Listed(Vec<Value>),
    /// By NICOS's names.
    Named(Map<String, Value>),
}

impl Default for NicosArguments {
    fn default() -> Self {
        Self::Listed(Vec::new())
    }
}

/// Parameters of `nicos.call`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NicosCall {
    /// The NICOS command.
    pub command: String,
    /// Its arguments.
    #[serde(default)]
    pub args: NicosArguments,
}

/// Parameters of `audit.list`: every condition given must hold. Newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListAudit {
    /// Entries of this time or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Rfc3339>,
    /// Entries before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Rfc3339>,
    /// Entries of this user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The most entries to send; 100 when absent, never more than 1 000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

impl ListAudit {
    /// The most entries to send.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.limit.unwrap_or(100).clamp(1, 1000)
    }
}
