//! Looking at the queue and editing it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::protocol::{JobRef, Place, RpcError, Selection};

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
    /// The reason, shown to people; at most 1 000 characters.
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
