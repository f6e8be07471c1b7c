//! From a tree to typed settings, by serde. What is wrong is found with its path.

mod error;

use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::{Entry, Node, Value};
use crate::config::fault::Fault;
use crate::config::path::{Path, Step};
use crate::config::problem::MOST_TOLD;
use error::Error;

/// One more is looked for, so that it is known whether there are more.
pub(in crate::config) const MOST_FAULTS: usize = MOST_TOLD + 1;

/// What a tree says. What is wrong is marked as broken, and left out of what is given.
pub(in crate::config) fn read<T: DeserializeOwned + Default>(root: &mut Node) -> (T, Vec<(Path, Fault)>) {
    let mut faults = Vec::new();
    loop {
        let error = match T::deserialize(Reader(root)) {
            Ok(read) => return (read, faults),
            Err(error) => error,
        };
        let (path, fault) = error.into_parts();
        faults.push((path.clone(), fault));
        let node = path.find_mut(root).filter(|_| !path.0.is_empty() && faults.len() < MOST_FAULTS);
        let Some(node) = node else { return (T::default(), faults) };
        node.broken = true;
    }
}

/// Numbers from here on have no fraction: 2 to the power of 64.
const BEYOND: f64 = 18_446_744_073_709_551_616.0;

#[derive(Clone, Copy)]
struct Reader<'a>(&'a Node);

/// Numbers are told from text, and the range of each is known.
macro_rules! numbers {
    ($($method:ident $visit:ident $type:ty),*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            let refused = || Error::number(self.0, self.integer(), <$type>::MIN.into(), <$type>::MAX.into());
            visitor.$visit(self.integer().and_then(|number| number.try_into().ok()).ok_or_else(refused)?)
        }
    )*};
}

impl<'a> Reader<'a> {
    /// The number, which may have come of the environment as text, or be too large for any but one with a fraction.
    fn integer(self) -> Option<i128> {
        match &self.0.value {
            Value::Integer(number) => Some(*number),
            Value::Float(number) if *number >= BEYOND => Some(i128::MAX),
            Value::Float(number) if *number <= -BEYOND => Some(i128::MIN),
            Value::Text(text) if self.0.written.is_some() => text.parse().ok(),
            _ => None,
        }
    }

    fn list(list: &'a [Node]) -> Elements<'a> {
        Elements { nodes: list, next: 0 }
    }

    fn table(table: &'a super::Table) -> Entries<'a> {
        Entries { entries: table.iter(), value: None }
    }
}

impl<'de> Deserializer<'de> for Reader<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.0.value {
            Value::Nothing => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Integer(number) => match i64::try_from(*number) {
                Ok(number) => visitor.visit_i64(number),
                // What is to be text says so; of a number the real limit is told.
                Err(_) if *number > 0 => visitor.visit_u64(u64::MAX),
                Err(_) => Err(Error::number(self.0, Some(*number), i64::MIN.into(), i64::MAX.into())),
            },
            Value::Float(value) if *value >= BEYOND => visitor.visit_u64(u64::MAX),
            Value::Float(value) => visitor.visit_f64(*value),
            Value::Date => Err(Error::kind(self.0, "text or a number")),
            Value::Text(text) => visitor.visit_str(text),
            Value::List(list) => visitor.visit_seq(Self::list(list)),
            Value::Table(table) => visitor.visit_map(Self::table(table)),
        }
    }

    /// A key that is there says something: of one that was left empty nobody knows what, and it may be whom to let in.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.0.value {
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Text(text) if self.0.written.is_some() && (text == "true" || text == "false") => {
                visitor.visit_bool(text == "true")
            }
            _ => Err(Error::kind(self.0, "true or false")),
        }
    }

    numbers!(
        deserialize_u8 visit_u8 u8, deserialize_u16 visit_u16 u16, deserialize_u32 visit_u32 u32,
        deserialize_i32 visit_i32 i32
    );

    /// No setting can be as large as this: which one it can be is told by who knows what it is for.
    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let number = self.integer().map(|number| number.min(u64::MAX.into()));
        let refused = || Error::number(self.0, number, u64::MIN.into(), u64::MAX.into());
        visitor.visit_u64(number.and_then(|number| number.try_into().ok()).ok_or_else(refused)?)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.0.value {
            Value::Text(text) => visitor.visit_str(text),
            _ => Err(Error::kind(self.0, "text in quotes")),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.0.value {
            Value::List(list) => visitor.visit_seq(Self::list(list)),
            Value::Nothing => visitor.visit_seq(Self::list(&[])),
            _ => Err(Error::kind(self.0, "a list")),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.0.value {
            Value::Table(table) => visitor.visit_map(Self::table(table)),
            Value::Nothing => {
                visitor.visit_map(Entries { entries: indexmap::map::Iter::default(), value: None })
            }
            _ => Err(Error::kind(self.0, "a table")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_map(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        i8 i16 i64 i128 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct enum identifier
        ignored_any
    }
}

struct Elements<'a> {
    nodes: &'a [Node],
    next: usize,
}

impl<'de> SeqAccess<'de> for Elements<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        while self.nodes.get(self.next).is_some_and(|node| node.broken) {
            self.next += 1;
        }
        let Some(node) = self.nodes.get(self.next) else { return Ok(None) };
        let index = self.next;
        self.next += 1;
        seed.deserialize(Reader(node)).map(Some).map_err(|error| error.under(Step::Index(index)))
    }
}

struct Entries<'a> {
    entries: indexmap::map::Iter<'a, String, Entry>,
    value: Option<(&'a String, &'a Node)>,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Some((key, entry)) = self.entries.find(|(_, entry)| !entry.node.broken) else { return Ok(None) };
        self.value = Some((key, &entry.node));
        let key_itself: serde::de::value::StrDeserializer<'_, Error> = key.as_str().into_deserializer();
        seed.deserialize(key_itself).map(Some).map_err(|error| error.under(Step::Key(key.clone())))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Error> {
        let (key, node) = self.value.take().expect("a key comes before its value");
        seed.deserialize(Reader(node)).map_err(|error| error.under(Step::Key(key.clone())))
    }
}
