//! Pools as an operator writes them.

use std::fmt::{self, Formatter};

use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use super::{StatusText, Time, Word, is_default};
use crate::config::backend::ProxyVersion;
use crate::config::number::parse_number;
use crate::config::pool::PolicyName;

/// Backends that serve the same requests, and how one of them is chosen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Pool {
    /// How a backend is chosen among the usable ones. Default: "first"
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<Word<PolicyName>>,
    /// Backends, in order of preference: addresses, or tables with an address and more. Of a name with several addresses
    /// one is used, which is said; `discover` uses all. Required unless there is `discover`
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub backends: Vec<Backend>,
    /// Where more backends come from, which change without a reload: "dns:NAME:PORT" (the addresses of a name),
    /// "srv:NAME" (the targets of SRV records) or "file:PATH" (a backend on each line). Default: none
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub discover: Vec<String>,
    /// What of a request the policies that hash go by: "client" (its address), "path", "header:NAME", "cookie:NAME" or
    /// "query:NAME". Default: "client"
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash_key: Option<String>,
    /// For policies that hash: per cent of the average load that no backend may exceed, more than 100. Default: any
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash_bound: Option<u64>,
    /// For "least_requests": backends that are drawn at random to take the better one, or "all". Default: 2
    #[serde(skip_serializing_if = "Option::is_none")]
    pub choices: Option<Choices>,
    /// For "peak_ewma": how long a measurement takes to lose most of its weight. Default: "10s"
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decay: Option<Time>,
    /// How long a backend that got well takes to its full share. Default: none at all
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slow_start: Option<Time>,
    /// Per cent of a tier's weight that must be usable before its requests flow over to the next one. Default: 70
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overflow: Option<u64>,
    /// Backends of this zone are preferred as long as they can carry their share. Default: none
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// A cookie that keeps a client at its backend. Default: none
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sticky: Option<Sticky>,
    /// Tell backends the address of who connects (or whom its own PROXY header names) in a PROXY protocol header; their connections
    /// are then not reused. For whom a trusted proxy speaks stands in X-Forwarded-For. Default: no
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_protocol: Option<Word<ProxyVersion>>,
    /// How backends are checked
    #[serde(skip_serializing_if = "is_default")]
    pub health: Health,
    /// How TLS is spoken to backends whose address begins with https://
    #[serde(skip_serializing_if = "is_default")]
    pub tls: BackendTls,
}

/// A backend: its address alone, or a table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Backend(pub BackendTable);

/// A backend and what is said of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BackendTable {
    /// HOST:PORT, http://HOST:PORT, https://HOST:PORT, h2c://HOST:PORT (HTTP/2 without TLS) or unix:PATH. A name is looked up at
    /// a start and at each reload; it stays where it led while that is among its addresses. Required
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Its share of the requests beside that of the others; 0 takes it out of the balancing. Default: 1
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<u64>,
    /// Its tier: those of tier 0 come first, then those of tier 1 (backups), and so on. Default: 0
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<u8>,
    /// Where it stands, for pools that prefer a zone. Default: nowhere
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Requests that it may have at one time. Default: any
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_requests: Option<u32>,
    /// What else is said of it, for routes that want only some of a pool. Default: nothing
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub tags: IndexMap<String, String>,
}

/// A cookie that keeps a client at its backend.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sticky {
    /// Its name. Required
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cookie: Option<String>,
    /// File with what it is signed with, at least 16 bytes. Required
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<String>,
    /// How long it is kept. Default: to the end of the client's session
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Time>,
    /// Whether it is sent over TLS only. Default: as the client came
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secure: Option<bool>,
}

/// How backends are checked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Health {
    /// What a check GETs. Default: "/"
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// What `Host` says in a check, for backends that serve some hosts only. Default: the host and the port of each backend's address
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Statuses of an answer that mean healthy, each from 200 to 599, alone or with the last of a range: ["200-399", "401"].
    /// Default: ["200-299"]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statuses: Option<Vec<StatusText>>,
    /// Between two checks of a healthy backend; one that is down is checked sooner. Default: "30s"
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<Time>,
    /// How long a check may take. It may be longer than the interval, which begins when a check has ended. Default: "2s"
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Time>,
}

/// How TLS is spoken to backends. Files that are replaced are read anew within two seconds, those of the system at a reload.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BackendTls {
    /// Certificates (PEM) of the authorities that sign those of the backends. Default: the system's
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    /// Name that certificates must be for, and that is sent as SNI. Default: the host of the address
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Certificate chain (PEM) to show to backends. Default: none
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_file: Option<String>,
    /// Private key (PEM) of that certificate. Default: none
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<String>,
    /// Take any certificate, so that whoever is between can read and change all; for trials only. Default: false
    #[serde(skip_serializing_if = "is_default")]
    pub insecure: bool,
}

/// How many backends are drawn to take the best of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choices {
    /// So many.
    Some(u64),
    /// All are looked at.
    All,
}

impl Backend {
    /// With nothing said of it but its address.
    pub fn at(address: impl Into<String>) -> Self {
        Self(BackendTable { address: Some(address.into()), ..BackendTable::default() })
    }

    /// Whether it is written as its address alone.
    pub fn is_short(&self) -> bool {
        let Self(BackendTable { address, .. }) = self;
        self.0 == BackendTable { address: address.clone(), ..BackendTable::default() }
    }
}

impl Serialize for Backend {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0.address {
            Some(address) if self.is_short() => serializer.serialize_str(address),
            _ => self.0.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Backend {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Backend;

            fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
                f.write_str("an address in quotes, or a table with one")
            }

            fn visit_str<E>(self, text: &str) -> Result<Backend, E> {
                Ok(Backend::at(text))
            }

            fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<Backend, A::Error> {
                BackendTable::deserialize(MapAccessDeserializer::new(table)).map(Backend)
            }
        }

        deserializer.deserialize_any(Either)
    }
}

impl JsonSchema for Backend {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Backend".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let table = generator.subschema_for::<BackendTable>();
        json_schema!({ "anyOf": [{ "type": "string" }, table] })
    }
}

impl Serialize for Choices {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Some(number) => serializer.serialize_u64(*number),
            Self::All => serializer.serialize_str("all"),
        }
    }
}

impl<'de> Deserialize<'de> for Choices {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl Visitor<'_> for Either {
            type Value = Choices;

            fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
                f.write_str("a number or \"all\"")
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Choices, E> {
                let refused = |_| E::custom("too small; use at least 1, or \"all\"");
                u64::try_from(number).map(Choices::Some).map_err(refused)
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Choices, E> {
                Ok(Choices::Some(number))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Choices, E> {
                // A variable of the environment comes as text.
                match parse_number(text) {
                    Ok(number) => Ok(Choices::Some(number)),
                    Err(_) if text == "all" => Ok(Choices::All),
                    Err(_) => Err(E::custom("expected a number or \"all\"")),
                }
            }
        }

        deserializer.deserialize_any(Either)
    }
}

impl JsonSchema for Choices {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Choices".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "integer", "minimum": 1 }, { "const": "all" }] })
    }
}
