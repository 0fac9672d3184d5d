//! The native dialect: JSON-RPC 2.0, single calls and batches, in; replies and notifications out.

use std::sync::Arc;

use beamq_machines::Role;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value, json};

use super::{
    error::RpcError,
    method::{Method, Request},
    proxy::ProxyCommand,
    text::{abbreviated, nearest, to_json, utf8},
};

/// The largest message in bytes that is read at all. Transports have a smaller limit of their own.
pub const MESSAGE_BYTES: usize = 64 << 20;
/// The largest reply in bytes. Brokers take no message above 100 MB and end the connection for one, and clients
/// have limits of their own.
pub const REPLY_BYTES: usize = 64 << 20;
/// The most weight of one message, which bounds what it costs in memory: a value weighs 1, an object 16,
/// about as their sizes are.
pub const MESSAGE_WEIGHT: usize = 4_000_000;
/// What an object weighs: its first member takes a tree node with room for eleven.
const OBJECT_WEIGHT: usize = 16;
/// The most calls in a batch.
pub const BATCH_CALLS: usize = 100;
/// The most characters of a text as an id, and of a key.
const ID_CHARACTERS: usize = 256;

/// The id of a call, given back with its reply.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum CallId {
    /// A number.
    Number(Number),
    /// A text.
    Text(Arc<str>),
    /// `null`, and what could not be read.
    Null,
}

/// One call.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The id; `None` for a notification, which is carried out and gets no reply.
    pub id: Option<CallId>,
    /// The key of a session that was bound at login.
    pub key: Option<String>,
    /// What is asked, or what to answer instead.
    pub request: Result<Box<Request>, RpcError>,
}

/// A message, told apart by its dialect.
#[derive(Clone, Debug, PartialEq)]
pub enum Decoded {
    /// One call in the native dialect.
    Native(Call),
    /// Several; the replies go out as one message, notifications left out.
    NativeBatch(Vec<Call>),
    /// A message in the proxy dialect, as it came.
    Proxy(Value),
    /// Neither. To be answered in the proxy form, unless the session has spoken native before.
    Unintelligible(RpcError),
}

impl Decoded {
    /// Whether carrying it out a second time could do something twice. What cannot be read does nothing.
    #[must_use]
    pub fn changes_something(&self) -> bool {
        let changes = |call: &Call| {
            let role = call.request.as_ref().ok().and_then(|request| request.required_role());
            // Whoever may only look cannot change anything.
            role.is_some_and(|role| role > Role::Viewer)
        };
        match self {
            Self::Native(call) => changes(call),
            Self::NativeBatch(calls) => calls.iter().any(changes),
            Self::Proxy(message) => {
                ProxyCommand::read(message.clone()).is_ok_and(|command| command.changes_something())
            }
            Self::Unintelligible(_) => false,
        }
    }
}

/// Reads a message. Never fails: what cannot be read says so.
#[must_use]
pub fn decode(body: &[u8]) -> Decoded {
    let value = match read_json(body) {
        Ok(value) => value,
        Err(error) => {
            // Broken, and yet recognisable: the answer goes out in the dialect of its sender.
            let native = body.windows(9).take(1 << 16).any(|window| window == b"\"jsonrpc\"");
            return if native {
                Decoded::Native(Call::refused(error))
            } else {
                Decoded::Unintelligible(error)
            };
        }
    };
    match value {
        Value::Object(members) if members.contains_key("jsonrpc") => Decoded::Native(Call::read(members)),
        Value::Object(members) if members.contains_key("command") => Decoded::Proxy(Value::Object(members)),
        Value::Array(items) => read_array(items),
        other => Decoded::Unintelligible(RpcError::invalid_request(match other {
            Value::Object(_) => "neither \"jsonrpc\" nor \"command\" is there".to_owned(),
            other => format!("the message is {}", abbreviated(other)),
        })),
    }
}

fn read_array(items: Vec<Value>) -> Decoded {
    let named = items.first().is_some_and(Value::is_string);
    if named && items.len() <= 2 && items.get(1).is_none_or(Value::is_array) {
        return Decoded::Proxy(Value::Array(items));
    }
    if !items.iter().any(|item| item.get("jsonrpc").is_some()) {
        return Decoded::Unintelligible(RpcError::invalid_request(
            "an array is a batch of calls, or a command with an array of arguments",
        ));
    }
    if items.len() > BATCH_CALLS {
        return Decoded::Native(Call::refused(RpcError::too_large(
            "the batch",
            items.len(),
            BATCH_CALLS,
            "calls",
        )));
    }
    let read = |item| match item {
        Value::Object(members) => Call::read(members),
        other => Call::refused(RpcError::invalid_request(format!("a call is {}", abbreviated(other)))),
    };
    Decoded::NativeBatch(items.into_iter().map(read).collect())
}

fn read_json(body: &[u8]) -> Result<Value, RpcError> {
    if body.len() > MESSAGE_BYTES {
        return Err(RpcError::too_large("the message", body.len(), MESSAGE_BYTES, "bytes"));
    }
    let text = utf8(body).map_err(|at| RpcError::parse_error(&format!("byte {at} is not UTF-8"), 0, 0))?;
    // A short text cannot weigh too much, even if it were all braces.
    if text.len() > MESSAGE_WEIGHT / OBJECT_WEIGHT {
        let weight = weight(&text);
        if weight > MESSAGE_WEIGHT {
            return Err(RpcError::too_large("the message", weight, MESSAGE_WEIGHT, "values"));
        }
    }
    serde_json::from_str(&text).map_err(|error| {
        let said = error.to_string();
        let reason = said.split(" at line ").next().unwrap_or_default();
        RpcError::parse_error(reason, error.line(), error.column())
    })
}

/// Weighs what begins a value, or is followed by one, outside of texts.
fn weight(text: &str) -> usize {
    let mut weight = 1;
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b',' | b'[' => weight += 1,
            b'{' => weight += OBJECT_WEIGHT,
            b'"' => {
                while let Some(byte) = bytes.next() {
                    match byte {
                        b'"' => break,
                        b'\\' => drop(bytes.next()),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    weight
}

/// The members of a call.
const CALL_MEMBERS: [&str; 5] = ["jsonrpc", "id", "method", "params", "key"];

impl Call {
    /// A call whose id could not be read.
    fn refused(error: RpcError) -> Self {
        Self { id: Some(CallId::Null), key: None, request: Err(error) }
    }

    fn read(mut members: Map<String, Value>) -> Self {
        let id = match members.remove("id").map(read_id).transpose() {
            Ok(id) => id,
            Err(error) => return Self::refused(error),
        };
        match Self::read_envelope(&mut members) {
            // A message that is not even a call has no claim to silence.
            Err(error) => Self { id: id.or(Some(CallId::Null)), key: None, request: Err(error) },
            Ok((key, method, params)) => {
                let request = match Method::from_name(&method) {
                    Some(method) => method.decode(params).map(Box::new),
                    None => Err(RpcError::method_not_found(&method, Method::NAMES)),
                };
                Self { id, key, request }
            }
        }
    }

    fn read_envelope(members: &mut Map<String, Value>) -> Result<(Option<String>, String, Value), RpcError> {
        match members.get("jsonrpc").and_then(Value::as_str) {
            Some("2.0") => {}
            _ => {
                return Err(RpcError::invalid_request("\"jsonrpc\" must be \"2.0\"")
                    .with_field("jsonrpc")
                    .with_value(members.remove("jsonrpc").unwrap_or_default())
                    .with_allowed("2.0"));
            }
        }
        let method = match members.remove("method") {
            Some(Value::String(method)) => method,
            Some(other) => {
                return Err(RpcError::invalid_request("\"method\" must be text")
                    .with_field("method")
                    .with_value(other));
            }
            None => return Err(RpcError::invalid_request("\"method\" is missing").with_field("method")),
        };
        if let Some(unknown) = members.keys().find(|name| !CALL_MEMBERS.contains(&name.as_str())) {
            return Err(unknown_member(unknown));
        }
        let mut params = read_params(members.remove("params"))?;
        // Some JSON-RPC libraries cannot add members to a call; for them the key may stand in the parameters.
        let key = match members.remove("key").or_else(|| params.as_object_mut()?.remove("key")) {
            None | Some(Value::Null) => None,
            Some(Value::String(key)) if key.chars().count() <= ID_CHARACTERS => Some(key),
            Some(_) => return Err(RpcError::invalid_params("key is not a short text").with_field("key")),
        };
        Ok((key, method, params))
    }
}

fn unknown_member(name: &str) -> RpcError {
    let shown = abbreviated(name.into());
    let shown = shown.as_str().unwrap_or_default();
    let error = RpcError::invalid_params(format!("unknown member {shown} of the call"))
        .with_field(shown)
        .with_allowed(json!(CALL_MEMBERS));
    match nearest(name, CALL_MEMBERS.into_iter()) {
        Some(near) => error.with_hint(format!("did you mean {near}?")),
        None => error.with_hint("parameters of the method stand in params"),
    }
}

fn read_id(id: Value) -> Result<CallId, RpcError> {
    match id {
        Value::Null => Ok(CallId::Null),
        Value::Number(number) => Ok(CallId::Number(number)),
        Value::String(text) if text.chars().count() <= ID_CHARACTERS => Ok(CallId::Text(text.into())),
        other => Err(RpcError::invalid_request("\"id\" must be a number or a short text")
            .with_field("id")
            .with_value(other)
            .with_allowed(format!("a number, or text of at most {ID_CHARACTERS} characters"))),
    }
}

fn read_params(params: Option<Value>) -> Result<Value, RpcError> {
    match params {
        None | Some(Value::Null) => Ok(json!({})),
        Some(Value::Object(members)) => Ok(Value::Object(members)),
        // Libraries that know only positions send an empty array for no parameters.
        Some(Value::Array(items)) if items.is_empty() => Ok(json!({})),
        Some(Value::Array(_)) => Err(RpcError::invalid_params("params is an array; parameters go by name")
            .with_field("params")
            .with_allowed("an object")),
        Some(other) => Err(RpcError::invalid_params("params is not an object")
            .with_field("params")
            .with_value(other)
            .with_allowed("an object")),
    }
}

#[derive(Serialize)]
struct Good<'a, T> {
    jsonrpc: &'static str,
    id: &'a CallId,
    result: &'a T,
}

#[derive(Serialize)]
struct Bad<'a> {
    jsonrpc: &'static str,
    id: &'a CallId,
    error: &'a RpcError,
}

#[derive(Serialize)]
struct Notification<'a, T> {
    jsonrpc: &'static str,
    method: &'a str,
    params: &'a T,
}

/// The reply to a call that succeeded.
#[must_use]
pub fn reply_ok(id: &CallId, result: &impl Serialize) -> Arc<str> {
    match to_json(&Good { jsonrpc: "2.0", id, result }) {
        Ok(text) if text.len() > REPLY_BYTES => reply_error(id, &RpcError::reply_too_large(text.len())),
        Ok(text) => text.into(),
        Err(error) => reply_error(id, &RpcError::internal_error(format!("the result is not JSON: {error}"))),
    }
}

/// The reply to a call that did not succeed.
#[must_use]
pub fn reply_error(id: &CallId, error: &RpcError) -> Arc<str> {
    match to_json(&Bad { jsonrpc: "2.0", id, error }) {
        Ok(text) => text.into(),
        // Cannot happen: an error is made of texts and JSON values.
        Err(_) => {
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32603,"message":"the server failed"}}"#.into()
        }
    }
}

/// The reply to a call, whichever way it ended.
///
/// A result that was already turned into a value costs one more copy; where it is large, use [`reply_ok`].
#[must_use]
pub fn reply(id: &CallId, outcome: &Result<Value, RpcError>) -> Arc<str> {
    match outcome {
        Ok(result) => reply_ok(id, result),
        Err(error) => reply_error(id, error),
    }
}

/// The one message for the replies to a batch; `None` when it held only notifications.
#[must_use]
pub fn reply_batch(replies: &[Arc<str>]) -> Option<Arc<str>> {
    let bytes = replies.iter().map(|reply| reply.len() + 1).sum::<usize>() + 1;
    if bytes > REPLY_BYTES {
        return Some(reply_error(&CallId::Null, &RpcError::reply_too_large(bytes)));
    }
    (!replies.is_empty()).then(|| format!("[{}]", replies.join(",")).into())
}

/// A message that is no reply.
#[must_use]
pub fn notification(method: &str, params: &impl Serialize) -> Arc<str> {
    let notification = Notification { jsonrpc: "2.0", method, params };
    // Events are made of texts, numbers and JSON values, which can always be written.
    to_json(&notification).unwrap_or_default().into()
}
