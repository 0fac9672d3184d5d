//! How a call points at things: jobs, prompts, places in the queue.

use std::{borrow::Cow, fmt};

use beamq_machines::{JobId, PromptId};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error as _, MapAccess, Unexpected, Visitor},
    ser::SerializeMap,
};

use super::error::RpcError;

macro_rules! reference {
    ($(#[$doc:meta])* $name:ident, $id:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            /// The id, when the text has the form of one.
            #[must_use]
            pub fn id(&self) -> Option<$id> {
                let id: $id = self.0.parse().ok()?;
                // "017" and "+17" are not ids, although they can be read as numbers.
                (id.to_string() == self.0).then_some(id)
            }

            /// The id.
            ///
            /// # Errors
            ///
            /// `not_found`: a text that cannot be an id names nothing.
            pub fn resolve(&self) -> Result<$id, RpcError> {
                self.id().ok_or_else(|| self.not_found())
            }

            /// The error for a reference to nothing.
            #[must_use]
            pub fn not_found(&self) -> RpcError {
                let field = if $what == "job" { "id" } else { $what };
                RpcError::not_found($what, &self.0).with_field(field)
            }
        }

        impl From<$id> for $name {
            fn from(id: $id) -> Self {
                Self(id.to_string())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

reference! {
    /// The id of a job as a client gives it. Ids are opaque to clients, so any text may come.
    JobRef, JobId, "job"
}
reference! {
    /// The id of a prompt as a client gives it.
    PromptRef, PromptId, "prompt"
}

/// Where in the waiting order something goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// Next.
    Front,
    /// Last.
    #[default]
    Back,
    /// With this many jobs before it; 0 is next. What is beyond the end means the end.
    Index(u64),
    /// Right before this waiting job.
    Before(JobRef),
    /// Right after this job; after the active one is the front.
    After(JobRef),
}

/// What a place should have looked like.
const PLACE_FORM: &str = r#""front", "back", {"index": n}, {"before": id} or {"after": id}"#;
/// The members of which a place has exactly one.
const PLACE_MEMBERS: &[&str] = &["index", "before", "after"];

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let one = |serializer: S| serializer.serialize_map(Some(1));
        match self {
            Self::Front => serializer.serialize_str("front"),
            Self::Back => serializer.serialize_str("back"),
            Self::Index(index) => {
                let mut map = one(serializer)?;
                map.serialize_entry("index", index)?;
                map.end()
            }
            Self::Before(job) => {
                let mut map = one(serializer)?;
                map.serialize_entry("before", job)?;
                map.end()
            }
            Self::After(job) => {
                let mut map = one(serializer)?;
                map.serialize_entry("after", job)?;
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Place {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PlaceVisitor)
    }
}

struct PlaceVisitor;

impl<'de> Visitor<'de> for PlaceVisitor {
    type Value = Place;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PLACE_FORM)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Place, E> {
        match text {
            "front" => Ok(Place::Front),
            "back" => Ok(Place::Back),
            other => Err(E::invalid_value(Unexpected::Str(other), &self)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Place, A::Error> {
        let Some(member) = map.next_key::<String>()? else {
            return Err(A::Error::invalid_value(Unexpected::Map, &self));
        };
        let place = match member.as_str() {
            "index" => Place::Index(map.next_value::<FromZero>()?.0),
            "before" => Place::Before(map.next_value()?),
            "after" => Place::After(map.next_value()?),
            other => return Err(A::Error::unknown_field(other, PLACE_MEMBERS)),
        };
        match map.next_key::<String>()? {
            None => Ok(place),
            Some(other) if PLACE_MEMBERS.contains(&other.as_str()) => {
                Err(A::Error::invalid_value(Unexpected::Map, &self))
            }
            Some(other) => Err(A::Error::unknown_field(&other, PLACE_MEMBERS)),
        }
    }
}

/// A whole number of which a negative one is a bad value, not a bad type.
struct FromZero(u64);

impl<'de> Deserialize<'de> for FromZero {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = i64::deserialize(deserializer)?;
        u64::try_from(number)
            .map(Self)
            .map_err(|_| D::Error::invalid_value(Unexpected::Signed(number), &"0 (next) or more"))
    }
}

impl JsonSchema for Place {
    fn schema_name() -> Cow<'static, str> {
        "Place".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let one = |member: &str, schema: serde_json::Value| {
            serde_json::json!({
                "type": "object",
                "properties": {member: schema},
                "required": [member],
                "additionalProperties": false
            })
        };
        json_schema!({
            "description": "Where in the waiting order something goes; \"back\" when not said.",
            "oneOf": [
                {"enum": ["front", "back"]},
                one("index", serde_json::json!({"type": "integer", "minimum": 0})),
                one("before", serde_json::json!({"type": "string"})),
                one("after", serde_json::json!({"type": "string"}))
            ]
        })
    }
}

/// Which jobs a call is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// These, in this order.
    Jobs(Vec<JobRef>),
    /// Every waiting job of the group.
    Group(String),
}
