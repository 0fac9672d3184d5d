//! Looking back: the history and the audit.

use std::fmt;

use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{
        IntoDeserializer, SeqAccess, Visitor,
        value::{SeqAccessDeserializer, StringDeserializer},
    },
};

use crate::protocol::{JobRef, Rfc3339, view::JobStateName};

/// One state, or several of which any will do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum States {
    /// This one.
    One(JobStateName),
    /// Any of these.
    Many(Vec<JobStateName>),
}

impl States {
    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[JobStateName] {
        match self {
            Self::One(state) => std::slice::from_ref(state),
            Self::Many(states) => states,
        }
    }
}

impl<'de> Deserialize<'de> for States {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StatesVisitor)
    }
}

struct StatesVisitor;

impl<'de> Visitor<'de> for StatesVisitor {
    type Value = States;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a state of a job, or an array of them")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<States, E> {
        let name: StringDeserializer<E> = name.to_owned().into_deserializer();
        Deserialize::deserialize(name).map(States::One)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, names: A) -> Result<States, A::Error> {
        Deserialize::deserialize(SeqAccessDeserializer::new(names)).map(States::Many)
    }
}

/// Parameters of `history.list`: every condition given must hold. Newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListHistory {
    /// Jobs that ended in this state, or in one of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<States>,
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
