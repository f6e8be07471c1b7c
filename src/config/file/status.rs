//! Statuses as an operator writes them.

use std::borrow::Cow;
use std::fmt::{self, Formatter};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize};

/// A status, or the first and the last of some: `401` or `200-399`. What it means depends on what it is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct StatusText(pub String);

impl<'de> Deserialize<'de> for StatusText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl Visitor<'_> for Either {
            type Value = StatusText;

            fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
                f.write_str("a status, or two in quotes, such as \"200-399\"")
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<StatusText, E> {
                Ok(StatusText(number.to_string()))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<StatusText, E> {
                Ok(StatusText(number.to_string()))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<StatusText, E> {
                Ok(StatusText(text.to_owned()))
            }
        }

        deserializer.deserialize_any(Either)
    }
}

impl JsonSchema for StatusText {
    fn schema_name() -> Cow<'static, str> {
        "StatusText".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "type": "string", "pattern": "^[2-5][0-9]{2}(-[2-5][0-9]{2})?$" },
            { "type": "integer", "minimum": 200, "maximum": 599 },
        ] })
    }
}
