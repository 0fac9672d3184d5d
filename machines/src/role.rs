//! What a person may do.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a person may do, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Submits jobs and controls their own.
    User,
    /// Controls everything on the queue.
    Scientist,
    /// Also configures.
    Admin,
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Viewer => "viewer",
            Self::User => "user",
            Self::Scientist => "scientist",
            Self::Admin => "admin",
        })
    }
}
