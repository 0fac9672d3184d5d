//! New jobs, and changes to jobs that exist.

use std::sync::Arc;

use beamq_machines::CommandCall;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::protocol::{
    BatchJob, DurationText, JobRef, Place, Rfc3339, Submission, SubmissionChanges, submission::repeats,
};

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
            #[serde(default, deserialize_with = "repeats", skip_serializing_if = "Option::is_none")]
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
