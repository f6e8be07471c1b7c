//! Values that an operator writes as text: a number with its unit, or one of a few words.

use std::borrow::Cow;
use std::fmt::{self, Display, Formatter};
use std::marker::PhantomData;
use std::str::FromStr;
use std::time::Duration;

use clap::ValueEnum;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use crate::config::duration::{DurationError, parse_duration};
use crate::config::nearest::nearest;
use crate::config::pool::policy_elsewhere;
use crate::config::size::{SizeError, parse_data_rate, parse_size};

/// The key of a schema under which stand words that are taken for one of its `enum`, and not recommended.
pub const OTHER_NAMES: &str = "x-other-names";

/// How long: "250ms", "30s", "5m" or "1h".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time(pub Duration);

/// How many bytes: "512B", "64KiB", "10MB".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

/// How many bytes in a second: "1KiB/s".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataRate(pub u64);

/// One of the words of a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word<T>(pub T);

impl Display for Time {
    /// In the largest unit that says it without a fraction.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        let units = [(3_600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms")];
        let fits = units.into_iter().find(|(unit, _)| millis.is_multiple_of(*unit));
        let (unit, name) = fits.unwrap_or((1, "ms"));
        write!(f, "{}{name}", millis / unit)
    }
}

impl Display for Size {
    /// In the largest unit that says it without a fraction.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1, "B")];
        let fits = units.into_iter().find(|(unit, _)| self.0 > 0 && self.0.is_multiple_of(*unit));
        let (unit, name) = fits.unwrap_or((1, "B"));
        write!(f, "{}{name}", self.0 / unit)
    }
}

impl Display for DataRate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", Size(self.0))
    }
}

impl FromStr for Time {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_duration(text).map(Self)
    }
}

impl FromStr for Size {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_size(text).map(Self)
    }
}

impl FromStr for DataRate {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_data_rate(text).map(Self)
    }
}

/// Takes text, and a number as if it were text, so that what is said of a missing unit is said of it.
struct Parsed<T>(PhantomData<T>);

impl<T: FromStr<Err: Display>> Visitor<'_> for Parsed<T> {
    type Value = T;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("a number and a unit in quotes")
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

/// Values that are written as they are shown.
macro_rules! as_text {
    ($($type:ident $pattern:literal),*) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(Parsed(PhantomData))
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern })
            }
        }
    )*};
}

as_text!(
    Time "^[0-9]+(ms|s|m|h)$",
    Size "^[0-9]+(B|kB|KB|KiB|MB|MiB|GB|GiB)$",
    DataRate "^[0-9]+(B|kB|KB|KiB|MB|MiB|GB|GiB)/s$"
);

impl<T: ValueEnum> Word<T> {
    /// All of them, as they are written.
    fn all() -> Vec<String> {
        let names = T::value_variants().iter().filter_map(ValueEnum::to_possible_value);
        names.map(|value| value.get_name().to_owned()).collect()
    }

    /// The one of them that a text was most likely meant as. Who nearly wrote another name of one meant it, too, and is told
    /// the name that all pages have.
    fn meant(text: &str) -> Option<String> {
        let values: Vec<_> = T::value_variants().iter().filter_map(ValueEnum::to_possible_value).collect();
        let of_name = |name: &str| values.iter().find(|value| value.matches(name, false));
        let nearest = || nearest(text, values.iter().flat_map(|value| value.get_name_and_aliases()));
        let value = policy_elsewhere(text).and_then(of_name).or_else(|| of_name(nearest()?));
        value.map(|value| value.get_name().to_owned())
    }
}

impl<T: ValueEnum> Serialize for Word<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value = self.0.to_possible_value();
        serializer.serialize_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}

impl<'de, T: ValueEnum> Deserialize<'de> for Word<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        T::from_str(&text, false).map(Self).map_err(|_| {
            let known = Self::all().join(", ");
            match Self::meant(&text) {
                Some(meant) => {
                    de::Error::custom(format_args!("not one of {known}; did you mean \"{meant}\"?"))
                }
                None => de::Error::custom(format_args!("not one of {known}; write one of them")),
            }
        })
    }
}

impl<T: ValueEnum> JsonSchema for Word<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        std::any::type_name::<T>().into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let values: Vec<_> = T::value_variants().iter().filter_map(ValueEnum::to_possible_value).collect();
        let others: Vec<_> = values.iter().flat_map(|value| value.get_name_and_aliases().skip(1)).collect();
        json_schema!({ "type": "string", "enum": Self::all(), OTHER_NAMES: others })
    }
}
