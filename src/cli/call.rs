//! `beamq call`: one command into the queue.

use clap::Args;
use serde_json::{Map, Value, json};

use super::{
    commands::Page,
    connect::Globals,
    exit::{Exit, Failure},
    job_fields::JobFields,
    place::PlaceArgs,
    submit,
};
use crate::catalogue::{ParameterSpec, ParameterType, ValueSpec, python};

#[derive(Args, Debug)]
pub(super) struct CallArgs {
    /// The command
    command: String,
    /// Its parameters, as parameter=value; a list is 1,2,3 or JSON
    #[arg(value_name = "PARAMETER=VALUE")]
    parameters: Vec<String>,
    #[command(flatten)]
    fields: JobFields,
    #[command(flatten)]
    place: PlaceArgs,
    /// Refuse when the queue is no longer at this revision
    #[arg(long, value_name = "N")]
    revision: Option<u64>,
    /// Wait until the job has ended: exit code 0 when it succeeded, else 1
    #[arg(long)]
    wait: bool,
}

pub(super) async fn run(args: CallArgs, globals: Globals) -> Result<(), Failure> {
    let given = split_all(&args.parameters)?;
    let session = globals.connect().await?;
    let outcome = async {
        let page: Page = session.call("catalogue.get", json!({"name": args.command})).await?;
        let parameters: Map<String, Value> = given
            .into_iter()
            .map(|(name, text)| (name.to_owned(), value_of(page.parameters.get(name), text)))
            .collect();
        let name = format!("{}({})", page.name, python::arguments(&parameters));
        let mut job =
            Map::from_iter([("name".to_owned(), name.chars().take(200).collect::<String>().into())]);
        job.extend(args.fields.members());
        job.insert("commands".into(), json!([{"command": page.name, "parameters": parameters}]));
        submit::into_queue(&session, vec![Value::Object(job)], &args.place, args.revision, args.wait).await
    }
    .await;
    session.client.close().await;
    outcome
}

/// The parameters by name. One that is given twice is refused: which of the two was meant?
fn split_all(texts: &[String]) -> Result<Vec<(&str, &str)>, Failure> {
    let mut given: Vec<(&str, &str)> = Vec::new();
    for text in texts {
        let (name, value) = split(text)?;
        if let Some((_, first)) = given.iter().find(|(earlier, _)| *earlier == name) {
            return Err(Failure::new(
                Exit::Usage,
                format!("`{name}` is given twice: `{first}` and `{value}`"),
            )
            .hint("a list is 1,2,3 or JSON"));
        }
        given.push((name, value));
    }
    Ok(given)
}

fn split(text: &str) -> Result<(&str, &str), Failure> {
    let parts = text.split_once('=').map(|(name, value)| (name.trim(), value));
    parts.filter(|(name, _)| !name.is_empty()).ok_or_else(|| {
        Failure::new(Exit::Usage, format!("`{text}` is no parameter with a value"))
            .hint("write parameter=value, for example value=5")
    })
}

/// The value that a text means for a parameter. What it cannot mean stays a text: the server says what is
/// wrong with it better than anybody here.
fn value_of(parameter: Option<&ParameterSpec>, text: &str) -> Value {
    match parameter {
        Some(parameter) if parameter.keywords.iter().any(|word| word == text) => text.into(),
        Some(parameter) if parameter.optional && matches!(text, "null" | "None") => Value::Null,
        Some(parameter) => typed(&parameter.value, text),
        None => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
    }
}

fn typed(spec: &ValueSpec, text: &str) -> Value {
    let plain = text.trim();
    let json = || serde_json::from_str::<Value>(plain).ok();
    let value = match spec.kind {
        ParameterType::String => return text.into(),
        ParameterType::Number | ParameterType::Integer => {
            json().filter(Value::is_number).or_else(|| plain.parse::<f64>().ok().map(Value::from))
        }
        ParameterType::Boolean => match plain.to_lowercase().as_str() {
            "true" | "yes" | "on" => Some(true.into()),
            "false" | "no" | "off" => Some(false.into()),
            _ => None,
        },
        ParameterType::Object => json().filter(Value::is_object),
        ParameterType::Array => json().filter(Value::is_array).or_else(|| {
            let item = |text: &str| match &spec.items {
                Some(items) => typed(items, text.trim()),
                None => serde_json::from_str(text.trim()).unwrap_or_else(|_| text.trim().into()),
            };
            Some(plain.split(',').map(item).collect())
        }),
    };
    // "not a number" and infinities become null in JSON, which is not what was typed.
    value.filter(|value| !value.is_null()).unwrap_or_else(|| text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameter(kind: ParameterType) -> ParameterSpec {
        ParameterSpec {
            value: ValueSpec::of(kind),
            default: None,
            optional: false,
            keywords: vec!["keep".into()],
            description: None,
        }
    }

    #[test]
    fn a_text_becomes_what_the_parameter_takes() {
        for (kind, text, value) in [
            (ParameterType::Number, "5", json!(5)),
            (ParameterType::Number, "1e3", json!(1000.0)),
            (ParameterType::Number, "keep", json!("keep")),
            (ParameterType::Number, "5 K", json!("5 K")),
            (ParameterType::Number, "nan", json!("nan")),
            (ParameterType::Integer, "7", json!(7)),
            (ParameterType::String, "5", json!("5")),
            (ParameterType::Boolean, "yes", json!(true)),
            (ParameterType::Boolean, "perhaps", json!("perhaps")),
            (ParameterType::Array, "1,2.5", json!([1, 2.5])),
            (ParameterType::Array, "[1, 2]", json!([1, 2])),
            (ParameterType::Object, r#"{"s1": 2}"#, json!({"s1": 2})),
        ] {
            assert_eq!(value_of(Some(&parameter(kind)), text), value, "{kind:?} {text}");
        }
        assert_eq!(value_of(None, "5"), json!(5), "an unknown parameter is sent as it looks");
    }

    #[test]
    fn a_parameter_without_a_value_is_wrong_usage() {
        assert_eq!(split("value=5=6").ok(), Some(("value", "5=6")));
        assert_eq!(split("value").map_err(|failure| failure.exit), Err(Exit::Usage));
        assert_eq!(split("=5").map_err(|failure| failure.exit), Err(Exit::Usage));
    }
}
