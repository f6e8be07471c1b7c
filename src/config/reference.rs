//! The reference of all keys, made of what stands beside them in the code.

use std::fmt::Write;

use schemars::transform::transform_subschemas;
use schemars::{Schema, json_schema, schema_for};
use serde_json::Value;

use super::file::{File, OTHER_NAMES};

/// What a value is asked to be.
const ASKS: [&str; 7] = ["type", "format", "minimum", "maximum", "pattern", "enum", "const"];

/// The JSON Schema of the file (2020-12), as it is written: with variables of the environment.
pub fn schema() -> Schema {
    let mut schema = schema_for!(File);
    take_all(&mut schema);
    schema
}

/// Makes a schema hold for all that is taken. Those in it come first, for it may get another one.
fn take_all(schema: &mut Schema) {
    refuse_nothing(schema);
    transform_subschemas(&mut take_all, schema);
    take_other_names(schema);
    take_variables(schema);
}

/// A key that may be left out may not be left empty.
fn refuse_nothing(schema: &mut Schema) {
    if let Some(Value::Array(alternatives)) = schema.get_mut("anyOf") {
        alternatives.retain(|one| one["type"] != "null");
    }
    if let Some(Value::Array(words)) = schema.get_mut("enum") {
        words.retain(|word| !word.is_null());
    }
    let Some(Value::Array(kinds)) = schema.get_mut("type") else { return };
    kinds.retain(|kind| kind != "null");
    if let [kind] = &kinds[..] {
        let kind = kind.clone();
        schema.insert("type".to_owned(), kind);
    }
}

fn take_other_names(schema: &mut Schema) {
    if let (Some(Value::Array(others)), Some(Value::Array(names))) =
        (schema.remove(OTHER_NAMES), schema.get_mut("enum"))
    {
        names.extend(others);
    }
}

/// Where anything but any text is asked for, a text with a variable may stand.
fn take_variables(schema: &mut Schema) {
    let is_any_text = |schema: &Schema| schema.get("pattern").or(schema.get("enum")).is_none();
    let Some(kind) = schema.get("type") else { return };
    let is = |name: &str| {
        kind == name || kind.as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == name))
    };
    if is("object") || is("array") || (is("string") && is_any_text(schema)) {
        return;
    }
    let mut asked = json_schema!({});
    for key in ASKS {
        if let Some(value) = schema.remove(key) {
            asked.insert(key.to_owned(), value);
        }
    }
    let variable = json_schema!({ "type": "string", "pattern": r"\$\{" });
    schema.insert("anyOf".to_owned(), Value::Array(vec![asked.to_value(), variable.to_value()]));
}

/// A page of Markdown with a section for each table of the file, and a line for each of its keys.
pub fn reference() -> String {
    let schema = schema_for!(File).to_value();
    let mut page = Page { definitions: &schema["$defs"], text: String::new() };
    page.section("", &schema);
    page.text
}

struct Page<'a> {
    definitions: &'a Value,
    text: String,
}

/// A table and what it is called.
struct Below<'a> {
    title: String,
    table: &'a Value,
}

impl<'a> Page<'a> {
    fn section(&mut self, title: &str, table: &'a Value) {
        let mut below = Vec::new();
        if !title.is_empty() {
            self.write(&format!("\n## {title}\n\n{}\n", sentence(text_of(table))));
        }
        self.write("\n| key | value | default | meaning |\n|---|---|---|---|\n");
        for (key, property) in table["properties"].as_object().into_iter().flatten() {
            let kind = self.kind(title, key, property, &mut below);
            let (meaning, default) = split(&text_of(property));
            self.write(&format!("| `{key}` | {kind} | {default} | {meaning} |\n"));
        }
        for Below { title, table } in below {
            self.section(&title, table);
        }
    }

    fn write(&mut self, text: &str) {
        self.text.write_str(text).expect("text takes all that is written to it");
    }

    /// What is written behind a key. Tables are told of `below`.
    fn kind(&self, title: &str, key: &str, property: &'a Value, below: &mut Vec<Below<'a>>) -> String {
        let outer = title.trim_matches(['[', ']', '`']);
        let path = if outer.is_empty() { key.to_owned() } else { format!("{outer}.{key}") };
        if let Some(name) = self.table_of(property) {
            below.push(Below { title: format!("`[{path}]`"), table: name });
            return "table".to_owned();
        }
        if let Some(table) = self.table_of(&property["additionalProperties"]) {
            below.push(Below { title: format!("`[{path}.NAME]`"), table });
            return "tables by name".to_owned();
        }
        if let Some(table) = self.table_of(&property["items"]) {
            below.push(Below { title: format!("`[[{path}]]`"), table });
            return "list of tables".to_owned();
        }
        self.word(property, below, &path)
    }

    /// The table that a schema refers to, if it is one and may only be one.
    fn table_of(&self, schema: &'a Value) -> Option<&'a Value> {
        let found = self.find(schema);
        found.get("properties").is_some().then_some(found)
    }

    /// What a schema refers to, save for the possibility that there is nothing.
    fn find(&self, schema: &'a Value) -> &'a Value {
        let alternatives = schema["anyOf"].as_array().map(Vec::as_slice).unwrap_or_default();
        if let [one, nothing] = alternatives
            && nothing["type"] == "null"
        {
            return self.find(one);
        }
        match schema["$ref"].as_str().and_then(|name| name.strip_prefix("#/$defs/")) {
            Some(name) => &self.definitions[name],
            None => schema,
        }
    }

    fn word(&self, schema: &'a Value, below: &mut Vec<Below<'a>>, path: &str) -> String {
        let found = self.find(schema);
        if let Some(words) = found["enum"].as_array() {
            let words: Vec<_> =
                words.iter().filter(|word| !word.is_null()).map(|word| format!("`{word}`")).collect();
            return words.join(", ");
        }
        if let Some(alternatives) = found["anyOf"].as_array() {
            let words = alternatives.iter().map(|one| match self.table_of(one) {
                Some(table) => {
                    below.push(Below { title: format!("`[[{path}]]`"), table });
                    "table".to_owned()
                }
                None => self.word(one, below, path),
            });
            return words.collect::<Vec<_>>().join(" or ");
        }
        let reference = schema["$ref"].as_str().or(schema["anyOf"][0]["$ref"].as_str()).unwrap_or_default();
        match reference.rsplit('/').next() {
            Some("Time") => return "duration".to_owned(),
            Some("Size") => return "size".to_owned(),
            Some("DataRate") => return "data rate".to_owned(),
            _ => {}
        }
        let of = |inner: &'a Value, below: &mut Vec<Below<'a>>| self.word(inner, below, path);
        if !found["items"].is_null() {
            return format!("list of {}", of(&found["items"], below));
        }
        if !found["additionalProperties"].is_null() {
            return format!("{} by name", of(&found["additionalProperties"], below));
        }
        if let Some(word) = found["const"].as_str() {
            return format!("`\"{word}\"`");
        }
        let types = match &found["type"] {
            Value::Array(types) => {
                types.iter().filter_map(Value::as_str).filter(|name| *name != "null").collect()
            }
            Value::String(name) => vec![name.as_str()],
            _ => Vec::new(),
        };
        let words = types.into_iter().map(|name| match name {
            "string" => "text",
            "integer" => "number",
            "boolean" => "true or false",
            other => other,
        });
        words.collect::<Vec<_>>().join(" or ")
    }
}

/// What stands beside a key, in one line.
fn text_of(schema: &Value) -> String {
    schema["description"].as_str().unwrap_or_default().replace('\n', " ")
}

/// The meaning, and the default behind it.
fn split(text: &str) -> (String, String) {
    let escaped = text.replace('|', "\\|").replace('*', "\\*").replace('<', "&lt;");
    if let Some((meaning, default)) = escaped.rsplit_once(" Default: ") {
        return (meaning.trim_end_matches('.').to_owned(), quoted(default));
    }
    match escaped.split_once(" Required") {
        Some((meaning, condition)) => {
            (meaning.trim_end_matches('.').to_owned(), format!("required{condition}"))
        }
        None => (escaped, String::new()),
    }
}

/// What is said in quotes is said as code.
fn quoted(default: &str) -> String {
    let is_value = default.starts_with('"') && default.ends_with('"')
        || default.bytes().all(|byte| byte.is_ascii_digit());
    if is_value { format!("`{default}`") } else { default.to_owned() }
}

fn sentence(text: String) -> String {
    if text.ends_with('.') { text } else { text + "." }
}
