//! The proxy dialect as a JSON Schema, made of the table of commands.

use serde_json::{Map, Value, json};

use super::{
    command::{CommandInfo, Form, Kind, Parameter},
    shape::EVENTS,
};

/// The JSON Schema of everything that is said in the proxy dialect.
#[must_use]
pub fn schema() -> Value {
    let commands: Map<String, Value> = CommandInfo::ALL
        .iter()
        .map(|command| (format!("command.{}", command.name), described(command)))
        .collect();
    let mut definitions = commands;
    let any_of: Vec<_> = definitions.keys().map(|name| json!({"$ref": format!("#/$defs/{name}")})).collect();
    definitions.extend(shapes());
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "beamq: the proxy dialect",
        "description": "A request is an object with the command and its arguments by name or in args, or an array of the command and its arguments.",
        "anyOf": [
            {"anyOf": any_of},
            {"$ref": "#/$defs/reply"},
            {"$ref": "#/$defs/event"},
        ],
        "$defs": definitions,
    })
}

fn described(command: &CommandInfo) -> Value {
    let mut properties: Map<String, Value> =
        command.parameters.iter().map(|parameter| (parameter.name.to_owned(), form(parameter))).collect();
    properties.insert("command".into(), json!({"const": command.name}));
    let required: Vec<_> =
        command.parameters.iter().filter(|parameter| !parameter.optional).map(|p| p.name).collect();
    let named_required: Vec<_> = std::iter::once("command").chain(required.iter().copied()).collect();
    let forms: Vec<_> = command.parameters.iter().map(form).collect();
    let positional = match forms.len() {
        // A list of no schemas is not allowed.
        0 => json!({"type": "array", "maxItems": 0}),
        most => {
            json!({"type": "array", "prefixItems": forms, "minItems": required.len(), "maxItems": most})
        }
    };
    let positional = match command.name {
        "authenticate" => {
            json!({"anyOf": [positional, {"type": "array", "items": {"type": "object"}, "minItems": 1, "maxItems": 1}]})
        }
        _ => positional,
    };
    let summary = match command.kind {
        Kind::Beamq => command.summary.to_owned(),
        Kind::Nicos => format!("{} Needs the nicos engine.", command.summary),
    };
    json!({
        "description": summary,
        "anyOf": [
            {"type": "object", "properties": properties, "required": named_required, "additionalProperties": false},
            {
                "type": "object",
                "properties": {"command": {"const": command.name}, "args": positional},
                "required": ["command", "args"],
                "additionalProperties": false,
            },
            {"type": "array", "prefixItems": [{"const": command.name}, positional], "minItems": 1, "maxItems": 2},
        ],
    })
}

fn form(parameter: &Parameter) -> Value {
    let id = json!({"type": ["string", "integer"]});
    let form = match parameter.form {
        Form::Text => json!({"type": "string"}),
        Form::Name => json!({"type": ["string", "number", "null"]}),
        Form::Id => id,
        Form::Ids => json!({"type": "array", "items": id}),
        Form::Level => json!({"type": "integer", "minimum": 1}),
        Form::Count => json!({"anyOf": [{"type": "integer", "minimum": 0}, {"const": "*"}]}),
        Form::Events => json!({"type": "array", "items": {"enum": EVENTS}}),
        Form::Any => json!({}),
    };
    if parameter.optional { json!({"anyOf": [form, {"type": "null"}]}) } else { form }
}

fn shapes() -> Map<String, Value> {
    let request = json!({
        "type": "object",
        "description": "A script on the queue.",
        "properties": {
            "reqid": {"type": "string", "description": "Its id: the job's."},
            "name": {"type": ["string", "null"], "description": "Its name, if it was given one."},
            "script": {"type": "string", "description": "Its text; one of several lines ends with a line break."},
            "user": {"type": "string", "description": "Who queued it."},
        },
        "required": ["reqid", "name", "script", "user"],
    });
    let status = json!({
        "type": "array",
        "description": "−2 idle after an error, −1 idle, 0 running, 1 in a break, 2 stopping; and the line.",
        "prefixItems": [{"enum": [-2, -1, 0, 1, 2]}, {"type": "integer", "minimum": -1}],
        "minItems": 2,
        "maxItems": 2,
    });
    let message = json!({
        "type": "array",
        "description": "Logger, time in seconds since 1970 UTC, level (20 output, 30 standard error, 40 error), text with a line break, traceback or null, reqid.",
        "prefixItems": [
            {"type": "string"}, {"type": "number"}, {"type": "integer"}, {"type": "string"},
            {"type": ["string", "null"]}, {"type": "string"},
        ],
        "minItems": 6,
        "maxItems": 6,
    });
    let ids = json!({"type": "array", "items": {"type": "string"}});
    let eta = json!({"type": "array", "prefixItems": [{"enum": [1, 2, 3, 4]}, {"type": "number"}], "minItems": 2, "maxItems": 2});
    let of =
        |name: &str, payload: Value| json!({"properties": {"event": {"const": name}, "payload": payload}});
    let reference = |name: &str| json!({"$ref": format!("#/$defs/{name}")});
    let done = json!({
        "allOf": [reference("request")],
        "properties": {"success": {"type": "boolean"}},
        "required": ["success"],
    });
    let mut described = vec![
        of("request", reference("request")),
        of("processing", reference("request")),
        of("updated", reference("request")),
        of("done", done),
        of("blocked", ids.clone()),
        of("rearranged", ids),
        of("status", reference("status")),
        of("message", reference("message")),
        of("eta", eta.clone()),
        of("prompt", json!({"type": "array", "minItems": 2, "maxItems": 4})),
        of("promptdone", json!({"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 1})),
    ];
    let known: Vec<_> =
        described.iter().filter_map(|event| event.pointer("/properties/event/const")).collect();
    let others: Vec<_> = EVENTS.iter().filter(|name| !known.iter().any(|known| known == *name)).collect();
    let others = json!({"description": "Only from NICOS.", "properties": {"event": {"enum": others}}});
    described.push(others);
    let event = json!({
        "type": "object",
        "properties": {"event": {"enum": EVENTS}},
        "required": ["event", "payload"],
        "anyOf": described,
    });
    let getstatus = json!({
        "type": "object",
        "properties": {
            "status": reference("status"), "script": {"type": "string"}, "scriptname": {"type": "string"},
            "eta": eta, "watch": {"type": "object"}, "requests": {"type": "array", "items": reference("request")},
            "mode": {"type": "string"}, "setups": {"type": "array"}, "devices": {"type": "array"},
            "devicefailures": {"type": "object"},
        },
        "required": ["status", "script", "scriptname", "eta", "watch", "requests", "mode", "setups", "devices", "devicefailures"],
    });
    let banner = json!({
        "type": "object",
        "description": "What the first message on a new reply destination is answered with, unless it is a command.",
        "required": ["daemon_version", "custom_version", "nicos_root", "custom_path", "pw_hashing", "protocol_version", "serializer"],
    });
    let reply = json!({
        "type": "object",
        "properties": {"success": {"type": "boolean"}, "payload": {"description": "The value, or the text of the error."}},
        "required": ["success", "payload"],
        "additionalProperties": false,
    });
    [
        ("request", request),
        ("status", status),
        ("message", message),
        ("getstatus.result", getstatus),
        ("banner", banner),
        ("reply", reply),
        ("event", event),
    ]
    .into_iter()
    .map(|(name, shape)| (name.to_owned(), shape))
    .collect()
}
