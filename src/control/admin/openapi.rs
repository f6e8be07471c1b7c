//! The document that describes the admin API (OpenAPI 3.1), made from the types that it says and takes.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::control::api;

/// Times that a change may be watched, as they are mostly written: from 1s to 1h.
const WATCHED: &str = "^(1h|([1-9]|[1-5][0-9]|60)m|([1-9][0-9]{0,2}|[12][0-9]{3}|3[0-5][0-9]{2}|3600)s\
    |([1-9][0-9]{3,5}|[12][0-9]{6}|3[0-5][0-9]{5}|3600000)ms)$";
/// Statuses of refusals that any request may get.
const ANY: [u16; 4] = [400, 401, 403, 406];
/// Those of requests that bring a body.
const BODY: [u16; 4] = [408, 413, 415, 422];

/// The document.
pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut schemas = settings.for_serialize().into_generator();
    schemas.subschema_for::<api::Problem>();
    let paths = paths(&mut schemas);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "loadbalancer",
            "summary": "The admin API: what runs, and how it is changed without losing a request",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
            "version": env!("CARGO_PKG_VERSION"),
        },
        "servers": [{ "url": "/" }],
        "security": [{}, { "token": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas.take_definitions(true),
            "securitySchemes": { "token": {
                "type": "http",
                "scheme": "bearer",
                "description": "What stands in the file of --admin-token-file. Needed if there is one.",
            } },
        },
    })
}

fn paths(schemas: &mut SchemaGenerator) -> Value {
    json!({
        "/livez": { "get": open::<api::Liveness>(schemas, "livez", "Whether it lives", &[200]) },
        "/readyz": { "get": open::<api::Readiness>(schemas, "readyz", "Whether clients should be sent here", &[200, 503]) },
        "/metrics": { "get": metrics() },
        "/api/v1/openapi.json": { "get": operation("openapi", "This document", Some(json!({ "type": "object" })), &ANY) },
        "/api/v1/version": { "get": get::<api::Version>(schemas, "version", "Which program this is") },
        "/api/v1/overview": { "get": get::<api::Overview>(schemas, "overview", "How it is, in a few figures") },
        "/api/v1/listeners": { "get": tagged(get::<api::ListenerList>(schemas, "listeners", "Where clients connect")) },
        "/api/v1/routes": { "get": tagged(get::<api::RouteList>(schemas, "routes", "Which requests go where")) },
        "/api/v1/pools": { "get": get::<api::PoolList>(schemas, "pools", "All pools and their backends") },
        "/api/v1/pools/{pool}": {
            "parameters": [path_parameter("pool", "The name of a pool", "default")],
            "get": named::<api::Pool>(schemas, "pool", "One pool and its backends"),
        },
        "/api/v1/backends": { "get": get::<api::BackendList>(schemas, "backends", "All backends of all pools") },
        "/api/v1/pools/{pool}/backends/{backend}": backend(schemas),
        "/api/v1/config": {
            "get": tagged(operation(
                "config", "The settings in force, with all defaults, as a file would say them",
                Some(json!({ "type": "object" })), &ANY,
            )),
            "post": change(
                "put_config", "Puts other settings in force, in place of those of the files",
                applied(schemas), &settings(),
            ),
        },
        "/api/v1/overrides": { "get": get::<api::OverrideList>(schemas, "overrides", "What operators said that no settings say") },
        "/api/v1/reload": { "post": change(
            "reload", "Reads the files anew and puts what they say in force",
            applied(schemas), &json!({ "application/json": { "schema": schemas.subschema_for::<api::Reload>() } }),
        ) },
        "/api/v1/confirmation": { "get": get::<api::Confirmation>(
            schemas, "confirmation", "What came of the last change that was to be confirmed",
        ) },
        "/api/v1/plan": { "post": plan(schemas) },
    })
}

/// Text, unlike all others.
fn metrics() -> Value {
    let mut operation = operation("metrics", "What was counted, for Prometheus", None, &[400, 401, 403]);
    let text = json!({ "schema": { "type": "string" } });
    operation["responses"]["200"] = json!({
        "description": "What was asked for",
        "content": { "text/plain": &text, "application/openmetrics-text": &text },
    });
    operation
}

fn backend(schemas: &mut SchemaGenerator) -> Value {
    let address = "The address of a backend as the settings write it, percent-encoded";
    let mut patch = operation(
        "patch_backend",
        "Holds or weighs a backend (JSON Merge Patch, RFC 7396)",
        Some(schemas.subschema_for::<api::Backend>().into()),
        &[&ANY[..], &[404, 412], &BODY, &[503]].concat(),
    );
    let body = schemas.subschema_for::<api::BackendPatch>();
    patch["parameters"] = json!([if_match()]);
    patch["requestBody"] = json!({
        "required": true,
        "content": { "application/json": { "schema": &body }, "application/merge-patch+json": { "schema": &body } },
    });
    json!({
        "parameters": [
            path_parameter("pool", "The name of a pool", "default"),
            path_parameter("backend", address, "127.0.0.1:3000"),
        ],
        "get": tagged(named::<api::Backend>(schemas, "backend", "One backend")),
        "patch": tagged(patch),
    })
}

/// One that may be asked by anybody.
fn open<T: JsonSchema>(schemas: &mut SchemaGenerator, id: &str, summary: &str, statuses: &[u16]) -> Value {
    let schema: Value = schemas.subschema_for::<T>().into();
    let mut operation = operation(id, summary, None, &[400]);
    for status in statuses {
        operation["responses"][status.to_string()] = answer(&schema);
    }
    operation["security"] = json!([{}]);
    operation
}

fn get<T: JsonSchema>(schemas: &mut SchemaGenerator, id: &str, summary: &str) -> Value {
    operation(id, summary, Some(schemas.subschema_for::<T>().into()), &ANY)
}

fn named<T: JsonSchema>(schemas: &mut SchemaGenerator, id: &str, summary: &str) -> Value {
    operation(id, summary, Some(schemas.subschema_for::<T>().into()), &[&ANY[..], &[404]].concat())
}

fn change(id: &str, summary: &str, schema: Value, content: &Value) -> Value {
    let mut operation = operation(id, summary, Some(schema), &[&ANY[..], &BODY, &[409, 412, 503]].concat());
    operation["parameters"] = json!([if_match(), {
        "name": "dry_run",
        "in": "query",
        "description": "Whether only to find out if it could be done",
        "schema": { "type": "string", "enum": ["1", "0", "true", "false"] },
    }, {
        "name": "confirm",
        "in": "query",
        "description": "Watch the change for so long, from 1s to 1h, and take it back if things get worse",
        "schema": { "type": "string", "pattern": WATCHED },
        "example": "60s",
    }]);
    operation["requestBody"] = json!({ "required": true, "content": content });
    tagged(operation)
}

fn plan(schemas: &mut SchemaGenerator) -> Value {
    let schema = schemas.subschema_for::<api::Plan>().into();
    let statuses = [&ANY[..], &BODY, &[409, 503]].concat();
    let mut operation = operation("plan", "What other settings would do", Some(schema), &statuses);
    operation["requestBody"] = json!({ "required": true, "content": settings() });
    operation
}

/// Settings, as docs/configuration.md has them.
fn settings() -> Value {
    json!({
        "application/toml": { "schema": { "type": "string" } },
        "application/yaml": { "schema": { "type": "object" } },
        "application/json": { "schema": { "type": "object" } },
    })
}

fn applied(schemas: &mut SchemaGenerator) -> Value {
    schemas.subschema_for::<api::Applied>().into()
}

fn operation(id: &str, summary: &str, schema: Option<Value>, refusals: &[u16]) -> Value {
    let mut responses = Map::new();
    if let Some(schema) = schema {
        responses.insert("200".to_owned(), answer(&schema));
    }
    for status in refusals {
        responses.insert(status.to_string(), refusal());
    }
    json!({ "operationId": id, "summary": summary, "responses": responses })
}

/// An operation whose answer has an entity tag.
fn tagged(mut operation: Value) -> Value {
    operation["responses"]["200"]["headers"] = json!({ "ETag": {
        "description": "What If-Match may name (RFC 9110, section 8.8.3)",
        "schema": { "type": "string" },
    } });
    operation
}

fn answer(schema: &Value) -> Value {
    json!({ "description": "What was asked for", "content": { "application/json": { "schema": schema } } })
}

fn refusal() -> Value {
    let schema = json!({ "$ref": "#/components/schemas/Problem" });
    json!({ "description": "Why not (RFC 9457)", "content": { "application/problem+json": { "schema": schema } } })
}

fn if_match() -> Value {
    json!({
        "name": "If-Match",
        "in": "header",
        "description": "Do it only if the entity tag is still this one (RFC 9110, section 13.1.1)",
        "schema": { "type": "string" },
    })
}

fn path_parameter(name: &str, description: &str, example: &str) -> Value {
    json!({
        "name": name,
        "in": "path",
        "required": true,
        "description": description,
        "schema": { "type": "string", "minLength": 1 },
        "example": example,
    })
}
