//! What a client may do. Each role includes those before it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The role of a session, weakest first: roles compare by what they may do.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
    strum::Display,
    strum::EnumString,
    strum::EnumIter,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Submits jobs and controls its own.
    User,
    /// Controls everything on the queue.
    Scientist,
    /// Also configures.
    Admin,
}

impl Role {
    /// The word for it in messages and configurations.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether this role may do what needs the other one.
    #[must_use]
    pub fn includes(self, needed: Self) -> bool {
        self >= needed
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::Role;

    #[test]
    fn each_role_includes_the_ones_before_it_and_no_other() {
        let order = [Role::Viewer, Role::User, Role::Scientist, Role::Admin];
        for (rank, role) in order.iter().enumerate() {
            for (needed_rank, needed) in order.iter().enumerate() {
                assert_eq!(role.includes(*needed), rank >= needed_rank, "{role} and {needed}");
            }
        }
    }

    #[test]
    fn roles_are_lower_case_words_everywhere() {
        assert_eq!(serde_json::to_string(&Role::Scientist).unwrap(), "\"scientist\"");
        assert_eq!(Role::Scientist.to_string(), "scientist");
        assert_eq!("viewer".parse(), Ok(Role::Viewer));
        assert_eq!(Role::Admin.as_str(), "admin");
    }
}
