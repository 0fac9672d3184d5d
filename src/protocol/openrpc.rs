//! The interface described by itself: the OpenRPC document and the JSON Schemas, made of the Rust types.
//!
//! What is published in `schemas/` is what these functions return; a test fails when the two differ.

use std::sync::LazyLock;

use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::{
    error::{ErrorKind, RpcError},
    event::{EventKind, JobEvent, NoticeEvent, OutputEvent, ProgressEvent, PromptEvent, QueueEvent},
    method::Method,
    time::Rfc3339,
    view::{CatalogueStatus, EngineStatus},
};

/// The version of the interface: raised only by a change that breaks clients.
pub const PROTOCOL_VERSION: u32 = 1;

const META_SCHEMA: &str = "https://json-schema.org/draft/2020-12/schema";

/// Collects the types that are mentioned. What comes in and what goes out is described apart, because a
/// member with a default may be left out of one and is always in the other.
struct Types {
    incoming: SchemaGenerator,
    outgoing: SchemaGenerator,
}

impl Types {
    /// `place` is where the document keeps its types, as a JSON pointer.
    fn kept_at(place: &'static str) -> Self {
        let settings = |settings: SchemaSettings| {
            settings
                .with(|settings| {
                    settings.definitions_path = place.into();
                    settings.meta_schema = None;
                })
                .into_generator()
        };
        Self {
            incoming: settings(SchemaSettings::draft2020_12().for_deserialize()),
            outgoing: settings(SchemaSettings::draft2020_12().for_serialize()),
        }
    }

    /// The types themselves. One that goes both ways is described as it may come in, which holds for both.
    fn definitions(mut self) -> Map<String, Value> {
        let mut definitions = self.outgoing.take_definitions(true);
        definitions.extend(self.incoming.take_definitions(true));
        definitions
    }

    fn event_content(&mut self, kind: EventKind) -> Schema {
        fn content<T: JsonSchema>(types: &mut Types) -> Schema {
            types.outgoing.subschema_for::<T>()
        }
        match kind {
            EventKind::Job => content::<JobEvent>(self),
            EventKind::Queue => content::<QueueEvent>(self),
            EventKind::Output => content::<OutputEvent>(self),
            EventKind::Progress => content::<ProgressEvent>(self),
            EventKind::Prompt => content::<PromptEvent>(self),
            EventKind::Catalogue => content::<CatalogueStatus>(self),
            EventKind::Engine => content::<EngineStatus>(self),
            EventKind::Notice => content::<NoticeEvent>(self),
        }
    }

    /// The parameters of a notification: the event's number and time beside its content.
    fn event_params(&mut self, kind: EventKind) -> Value {
        let time = self.outgoing.subschema_for::<Rfc3339>();
        json!({
            "type": "object",
            "properties": {
                "seq": {"type": "integer", "minimum": 0, "description": "One counter for the whole server; rises across restarts."},
                "time": time,
            },
            "required": ["seq", "time"],
            "allOf": [self.event_content(kind)],
        })
    }
}

/// The OpenRPC document, which `rpc.discover` serves.
#[must_use]
pub fn document() -> &'static Value {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
        let mut types = Types::kept_at("/components/schemas");
        let methods: Vec<Value> =
            Method::ALL.iter().map(|method| described_method(*method, &mut types)).collect();
        let notifications: Vec<Value> = EventKind::ALL
            .into_iter()
            .map(|kind| {
                json!({
                    "name": kind.method(),
                    "summary": kind.summary(),
                    "params": types.event_params(kind),
                })
            })
            .collect();
        json!({
            "openrpc": "1.3.2",
            "info": {
                "title": "beamq",
                "version": PROTOCOL_VERSION.to_string(),
                "description": "The script server of an instrument: queues Python scripts, runs them one at a time and tells everyone what is happening. JSON-RPC 2.0 over STOMP; docs/protocol.md says how.",
                "license": {"name": "MIT OR Apache-2.0"},
            },
            "methods": methods,
            "components": {"schemas": types.definitions(), "errors": errors()},
            "x-notifications": notifications,
        })
    });
    &DOCUMENT
}

fn described_method(method: Method, types: &mut Types) -> Value {
    let params = method.params_schema(&mut types.incoming);
    let required = params.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let members = params.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    let params: Vec<Value> = members
        .into_iter()
        .map(|(name, schema)| {
            let is_required = required.iter().any(|member| *member == name.as_str());
            let description = schema.get("description").cloned();
            let mut param = json!({"name": name, "required": is_required, "schema": schema});
            if let (Some(description), Some(param)) = (description, param.as_object_mut()) {
                param.insert("description".to_owned(), description);
            }
            param
        })
        .collect();
    json!({
        "name": method.name(),
        "summary": method.summary(),
        "paramStructure": "by-name",
        "params": params,
        "result": {"name": "result", "schema": method.result_schema(&mut types.outgoing)},
        "errors": method_errors(method),
        "x-required-role": method.required_role().map(|role| role.to_string()),
    })
}

/// The errors that every call can have are listed once, among the components; here those that the session
/// decides.
fn method_errors(method: Method) -> Vec<Value> {
    let mut kinds = vec![ErrorKind::InvalidParams];
    if method.required_role().is_some() {
        kinds.extend([ErrorKind::NotLoggedIn, ErrorKind::Forbidden]);
    }
    kinds.into_iter().map(|kind| json!({"$ref": format!("#/components/errors/{}", kind.name())})).collect()
}

fn errors() -> Map<String, Value> {
    ErrorKind::ALL
        .into_iter()
        .map(|kind| {
            let error = json!({
                "code": kind.code(),
                "message": kind.summary(),
                "data": {"kind": kind.name()},
            });
            (kind.name().to_owned(), error)
        })
        .collect()
}

/// The JSON Schema of every message of the native dialect except the events: calls with their parameters,
/// results, errors.
#[must_use]
pub fn native_schema() -> Value {
    let mut types = Types::kept_at("/$defs");
    let mut calls = Vec::new();
    let mut shapes = Map::new();
    for method in Method::ALL {
        let name = method.name();
        let params = method.params_schema(&mut types.incoming);
        let needed: &[&str] = if params.get("required").is_some() { &["params"] } else { &[] };
        shapes.insert(format!("{name}.params"), params.to_value());
        shapes.insert(format!("{name}.result"), method.result_schema(&mut types.outgoing).to_value());
        calls.push(json!({
            "properties": {
                "method": {"const": name},
                "params": {"$ref": format!("#/$defs/{name}.params")},
            },
            "required": needed,
        }));
    }
    let error = types.outgoing.subschema_for::<RpcError>();
    let mut definitions = types.definitions();
    definitions.extend(shapes);
    let id = json!({"type": ["string", "number", "null"], "maxLength": 256});
    let version = json!({"const": "2.0"});
    definitions.insert(
        "call".to_owned(),
        json!({
            "description": "What a client sends. Without an id it is carried out and not answered.",
            "type": "object",
            "properties": {
                "jsonrpc": version,
                "id": id,
                "method": {"type": "string"},
                "params": {"type": "object"},
                "key": {"type": "string", "description": "The key of a session that was bound at login."},
            },
            "required": ["jsonrpc", "method"],
            "additionalProperties": false,
            "oneOf": calls,
        }),
    );
    definitions.insert(
        "reply".to_owned(),
        json!({
            "description": "What the server answers: a result, in the shape of the method, or an error.",
            "type": "object",
            "properties": {"jsonrpc": version, "id": id, "result": true, "error": error},
            "required": ["jsonrpc", "id"],
            "oneOf": [{"required": ["result"]}, {"required": ["error"]}],
        }),
    );
    json!({
        "$schema": META_SCHEMA,
        "title": "beamq: messages of the native dialect",
        "description": "Calls and replies, single or in a batch. The shape of a result is \"<method>.result\" in $defs. Events have a schema of their own.",
        "anyOf": [
            {"$ref": "#/$defs/call"},
            {"type": "array", "items": {"$ref": "#/$defs/call"}, "minItems": 1, "maxItems": super::native::BATCH_CALLS},
            {"$ref": "#/$defs/reply"},
            {"type": "array", "items": {"$ref": "#/$defs/reply"}, "minItems": 1},
        ],
        "$defs": definitions,
    })
}

/// The JSON Schema of the events.
#[must_use]
pub fn events_schema() -> Value {
    let mut types = Types::kept_at("/$defs");
    let events: Vec<Value> = EventKind::ALL
        .into_iter()
        .map(|kind| {
            json!({
                "description": kind.summary(),
                "properties": {"method": {"const": kind.method()}, "params": types.event_params(kind)},
            })
        })
        .collect();
    json!({
        "$schema": META_SCHEMA,
        "title": "beamq: events of the native dialect",
        "type": "object",
        "properties": {
            "jsonrpc": {"const": "2.0"},
            "method": {"enum": EventKind::ALL.map(EventKind::method)},
            "params": {"type": "object"},
        },
        "required": ["jsonrpc", "method", "params"],
        "oneOf": events,
        "$defs": types.definitions(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    /// Compares with the published file, or publishes anew when `BEAMQ_BLESS` is set.
    fn is_published(name: &str, made: &Value) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas").join(name);
        if std::env::var_os("BEAMQ_BLESS").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, format!("{made:#}\n")).unwrap();
        }
        let published = fs::read_to_string(&path).unwrap_or_default();
        let published: Value = serde_json::from_str(&published).unwrap_or_default();
        assert!(published == *made, "schemas/{name} is out of date; run the tests with BEAMQ_BLESS=1");
    }

    #[test]
    fn what_is_published_is_what_the_types_say() {
        is_published("openrpc.json", document());
        is_published("native.schema.json", &native_schema());
        is_published("events.schema.json", &events_schema());
    }

    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(target)) = members.get("$ref") {
                    found.insert(target.clone());
                }
                members.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_in_a_document_leads_somewhere() {
        for document in [document(), &native_schema(), &events_schema()] {
            let mut found = BTreeSet::new();
            references(document, &mut found);
            assert!(found.len() > 5);
            for target in found {
                let pointer = target.trim_start_matches('#');
                assert!(document.pointer(pointer).is_some(), "{target} leads nowhere");
            }
        }
    }

    #[test]
    fn every_method_every_parameter_and_every_error_is_described() {
        let document = document();
        let methods = document["methods"].as_array().unwrap();
        assert_eq!(methods.len(), Method::ALL.len());
        for method in methods {
            for param in method["params"].as_array().unwrap() {
                let described = param["description"].as_str().is_some_and(|text| text.len() > 5);
                assert!(described, "{}: {} is not described", method["name"], param["name"]);
            }
        }
        assert_eq!(document["components"]["errors"].as_object().unwrap().len(), ErrorKind::ALL.len());
        assert_eq!(document["x-notifications"].as_array().unwrap().len(), EventKind::ALL.len());
    }

    #[test]
    fn a_type_that_goes_both_ways_has_the_same_members_both_ways() {
        let mut types = Types::kept_at("/$defs");
        for method in Method::ALL {
            method.params_schema(&mut types.incoming);
            method.result_schema(&mut types.outgoing);
        }
        let incoming = types.incoming.take_definitions(true);
        for (name, outgoing) in types.outgoing.take_definitions(true) {
            if let Some(incoming) = incoming.get(&name) {
                let names = |schema: &Value| {
                    schema["properties"].as_object().map(|p| p.keys().cloned().collect::<Vec<_>>())
                };
                assert_eq!(names(&outgoing), names(incoming), "two types share the name {name}");
            }
        }
    }
}
