//! A question of a script, and what NICOS says of the answers that it takes.

use beamq_machines::JobId;
use serde_json::{Value, json};

use crate::engine::{EngineEvent, Question};

/// What an open question is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asking {
    /// `userinput(…)`: NICOS gets the answer.
    Input,
    /// `pause(…)`: it goes on with any answer.
    Pause,
}

/// An open question.
#[derive(Clone, Debug)]
pub(super) struct Open {
    /// NICOS's id of it.
    pub(super) id: String,
    pub(super) asking: Asking,
    pub(super) question: Question,
}

impl Open {
    /// Reads what NICOS tells: the text, its id, and for an input the validator and the default.
    pub(super) fn read(prompt: &Value, number: u64) -> Option<Self> {
        let [text, id, rest @ ..] = prompt.as_array()?.as_slice() else { return None };
        let text = text.as_str().unwrap_or("?").to_owned();
        let (asking, choices, validator, default) = match rest.first() {
            None => (Asking::Pause, Some(vec![json!("continue")]), None, None),
            Some(validator) => {
                let choices = choices(validator);
                let default = rest.get(1).filter(|default| is_plain(default)).cloned();
                let offered = |default: &Value| choices.as_ref().is_none_or(|all| all.contains(default));
                let default = default.filter(offered);
                (Asking::Input, choices, Some(validator.clone()), default)
            }
        };
        let question = Question { number, text, choices, validator, default, timeout: None };
        Some(Self { id: id.as_str()?.to_owned(), asking, question })
    }

    pub(super) fn told(&self, job: JobId) -> EngineEvent {
        EngineEvent::Asked(job, self.question.clone())
    }
}

/// The answers to choose from, where the validator is one that knows them.
fn choices(validator: &Value) -> Option<Vec<Value>> {
    if let Some(name) = validator.get("$global").and_then(Value::as_str) {
        let yes_or_no = matches!(name, "__builtin__.bool" | "builtins.bool" | "nicos.core.params.boolean");
        return yes_or_no.then(|| vec![json!(true), json!(false)]);
    }
    if validator.get("$object")? != "nicos.core.params.oneof" {
        return None;
    }
    let choices = validator.pointer("/state/vals")?.as_array()?;
    let can_be_told =
        !choices.is_empty() && choices.iter().all(|choice| !choice.is_object() && !choice.is_array());
    can_be_told.then(|| choices.clone())
}

/// Whether it has nothing that is more in Python than in JSON, as the mark of a question without a default is.
fn is_plain(value: &Value) -> bool {
    match value {
        Value::Object(members) => {
            members.iter().all(|(name, value)| !name.starts_with('$') && is_plain(value))
        }
        Value::Array(items) => items.iter().all(is_plain),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_those_of_the_validator_and_defaults_what_json_can_say() {
        let read = |validator: Value, default: Value| {
            let open = Open::read(&json!(["text?", "id", validator, default]), 1).unwrap();
            assert_eq!((open.asking, open.question.validator.as_ref()), (Asking::Input, Some(&validator)));
            (open.question.choices, open.question.default)
        };
        let absent = json!({"$global": "__builtin__.Ellipsis"});
        let one_of = |values: Value| json!({"$object": "nicos.core.params.oneof", "state": {"__doc__": "", "vals": values}});
        assert_eq!(read(json!({"$global": "__builtin__.long"}), json!(7)), (None, Some(json!(7))));
        assert_eq!(read(json!({"$global": "__builtin__.unicode"}), absent.clone()), (None, None));
        assert_eq!(
            read(json!({"$global": "nicos.core.params.anytype"}), json!({"a": 1})).1,
            Some(json!({"a": 1}))
        );
        assert_eq!(read(json!(null), json!([{"$bytes": ""}])), (None, None));
        let yes_or_no = Some(vec![json!(true), json!(false)]);
        assert_eq!(read(json!({"$global": "__builtin__.bool"}), json!(true)), (yes_or_no, Some(json!(true))));
        let (choices, default) = read(one_of(json!(["a", 2])), json!("b"));
        assert_eq!((choices, default), (Some(vec![json!("a"), json!(2)]), None), "nobody could give it");
        assert_eq!(read(one_of(json!([[1, 2], "a"])), absent).0, None, "tuples look like lists");
        let pause = Open::read(&json!(["look", "id"]), 2).unwrap();
        assert_eq!((pause.asking, pause.question.choices), (Asking::Pause, Some(vec![json!("continue")])));
        assert!(Open::read(&json!(["look"]), 3).is_none() && Open::read(&json!(["look", 7]), 3).is_none());
    }
}
