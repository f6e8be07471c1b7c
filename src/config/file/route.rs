//! Routes as an operator writes them.

use std::fmt::{self, Formatter};

use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserializer, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use super::{Size, Time, is_default};

/// Which requests it is for (all that is said must hold), where they go and how they are treated.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Route {
    /// Host of the request, or "*.example.com" for all hosts below one. Default: any
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Several hosts, one of which must be it
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// Path of the request: "/login" itself, "/v1/*" with all below it, "/users/{id}/{rest...}" with parts that have
    /// names, or "~ /v[0-9]+/.*", a regular expression for the whole path. Default: any
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Several paths, one of which must be it
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// Methods, one of which must be it. Default: any
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// Header lines: "text" for that value, "~ regex" for a value that matches as a whole, true for any, false for none
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub headers: IndexMap<String, Wanted>,
    /// Parameters of the query, as for `headers`
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub query: IndexMap<String, Wanted>,
    /// Cookies, as for `headers`
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub cookies: IndexMap<String, Wanted>,
    /// Networks, one of which the client must be in. Default: any
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub clients: Vec<String>,
    /// Listeners, by name, one of which the request must have come to. Default: any
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub listeners: Vec<String>,
    /// Routes of a higher priority are looked at first, however specific others are. Default: 0
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    /// Pool that the requests go to
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// Several pools, with the weight of each, at most 10000
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub pools: IndexMap<String, u64>,
    /// Cookie that keeps a client at its pool, by its name. Default: each request is divided anew
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split_cookie: Option<String>,
    /// Only backends whose tags have these values. Default: all of the pool
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub tags: IndexMap<String, String>,
    /// In place of a pool: send the client to this URL. {name} stands for a part of the path with that name, {host},
    /// {path} and {query} for those of the request
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect: Option<String>,
    /// Status of the redirect: 301, 302, 303, 307 or 308. Default: 308
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect_status: Option<u64>,
    /// In place of a pool: answer this
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
    /// New path, with the same parts in braces as `redirect`, and {rest} for what stood where the path has its *.
    /// Default: as it came
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rewrite: Option<String>,
    /// New host. Default: as it came
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set_host: Option<String>,
    /// Changes of the request's header lines
    #[serde(skip_serializing_if = "is_default")]
    pub request_headers: Changes,
    /// Changes of the answer's header lines
    #[serde(skip_serializing_if = "is_default")]
    pub answer_headers: Changes,
    /// In place of `response` of `[timeouts]`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_timeout: Option<Time>,
    /// In place of `body` of `[timeouts]`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_timeout: Option<Time>,
    /// In place of `body_size` of `[limits]`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_size: Option<Size>,
    /// When a request that failed is sent to another backend
    #[serde(skip_serializing_if = "is_default")]
    pub retry: Retry,
    /// Requests of one client address on this route, for example "100/s". Default: any
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<String>,
    /// Requests that one client address may send at once after a rest. Default: a second's worth of `rate`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_burst: Option<u64>,
    /// A copy of some requests for another pool, whose answers are dropped. Default: none
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirror: Option<Mirror>,
    /// What is shown in place of answers with a status ("404") or with one of several ("502-504"). Default: nothing else
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub error_pages: IndexMap<String, ErrorPage>,
}

/// An answer that is written here.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Answer {
    /// Its status. Default: 200
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u64>,
    /// Its body. Default: empty
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Its media type. Default: "text/plain; charset=utf-8"
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
}

/// Changes of header lines: some are removed, then some set (in place of others of their name), then some added.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Changes {
    /// Lines in place of others of their name
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub set: IndexMap<String, String>,
    /// Lines beside others of their name
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub add: IndexMap<String, String>,
    /// Names of lines that are removed
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
}

/// When a request that failed is sent to another backend.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Retry {
    /// Backends that may see a request, from 1 to 10. Default: 3
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u64>,
    /// Statuses of an answer that count as a failure, for requests that may be repeated. Default: none
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub statuses: Vec<u64>,
}

/// A copy of some requests for another pool.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Mirror {
    /// The pool. Required
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// Of 100 requests. Default: 100
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent: Option<u64>,
}

/// What is shown in place of an error.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ErrorPage {
    /// File with the page, which is read at start and at each reload. Required unless there is `body`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The page itself. Required unless there is `file`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Its media type. Default: "text/html; charset=utf-8"
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
}

/// What must hold of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Whether there is one.
    There(bool),
    /// It is this, or matches this if it begins with `~`.
    Text(String),
}

impl Serialize for Wanted {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::There(there) => serializer.serialize_bool(*there),
            Self::Text(text) => serializer.serialize_str(text),
        }
    }
}

impl<'de> Deserialize<'de> for Wanted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl Visitor<'_> for Either {
            type Value = Wanted;

            fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
                f.write_str("text in quotes, true or false")
            }

            fn visit_bool<E>(self, there: bool) -> Result<Wanted, E> {
                Ok(Wanted::There(there))
            }

            fn visit_str<E>(self, text: &str) -> Result<Wanted, E> {
                Ok(Wanted::Text(text.to_owned()))
            }
        }

        deserializer.deserialize_any(Either)
    }
}

impl JsonSchema for Wanted {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Wanted".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "boolean"] })
    }
}
