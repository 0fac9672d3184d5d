//! The fields of a submission that can be given, or changed, by flags.

use clap::Args;
use serde_json::{Map, Value};

use super::moment;

/// Fields that a submission, an edit and a re-run share.
#[derive(Args, Debug, Default, Clone)]
#[command(next_help_heading = "Fields of the job")]
pub(super) struct JobFields {
    /// The name that people see
    #[arg(long)]
    name: Option<String>,
    /// A free label; may be given several times
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// The series that the job belongs to
    #[arg(long)]
    group: Option<String>,
    /// Run the script untouched: no cells, no pause points
    #[arg(long)]
    black_box: bool,
    /// Keep the job from starting until it is released
    #[arg(long)]
    hold: bool,
    /// Do not start before this time (RFC 3339, "2026-01-31 08:00", 08:00, or a span such as 2h)
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    not_before: Option<String>,
    /// Give up if it has not started by this time
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    deadline: Option<String>,
    /// End the job when it runs longer than this, with a unit (2h)
    #[arg(long, value_name = "DURATION")]
    timeout: Option<String>,
}

impl JobFields {
    /// Whether nothing was given.
    pub(super) fn is_empty(&self) -> bool {
        self.members().is_empty()
    }

    /// Adds what was given to the members of a submission.
    pub(super) fn members(&self) -> Map<String, Value> {
        let mut members = Map::new();
        let texts = [
            ("name", &self.name),
            ("group", &self.group),
            ("not_before", &self.not_before),
            ("deadline", &self.deadline),
            ("timeout", &self.timeout),
        ];
        for (member, text) in texts {
            if let Some(text) = text {
                members.insert(member.to_owned(), text.as_str().into());
            }
        }
        if !self.tags.is_empty() {
            members.insert("tags".to_owned(), self.tags.clone().into());
        }
        for (member, flag) in [("black_box", self.black_box), ("held", self.hold)] {
            if flag {
                members.insert(member.to_owned(), true.into());
            }
        }
        members
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_was_given_is_sent() {
        assert!(JobFields::default().is_empty());
        let fields = JobFields {
            name: Some("cool".into()),
            tags: vec!["a".into(), "b".into()],
            hold: true,
            timeout: Some("2h".into()),
            ..JobFields::default()
        };
        let expected = json!({"name": "cool", "tags": ["a", "b"], "held": true, "timeout": "2h"});
        assert_eq!(Value::Object(fields.members()), expected);
    }
}
