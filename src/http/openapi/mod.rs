//! The OpenAPI document of the public listener, for people and for tools that check the server against it
//! (`scripts/test-openapi`).

mod bodies;
mod replies;

use std::sync::LazyLock;

use axum::{http::StatusCode, response::Response};
use bytes::Bytes;
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::{error::NOT_AN_OBJECT, reply};

static DOCUMENT: LazyLock<Value> = LazyLock::new(make);
static TEXT: LazyLock<Bytes> = LazyLock::new(|| text().into());

/// The document.
#[must_use]
pub fn document() -> &'static Value {
    &DOCUMENT
}

/// The document as it is printed and served.
#[must_use]
pub fn text() -> String {
    format!("{:#}\n", *DOCUMENT)
}

/// `GET /openapi.json`.
pub async fn get() -> Response {
    reply::json(StatusCode::OK, TEXT.clone())
}

const DESCRIPTION: &str = "\
Receives the reports of Kolibri installations. The encoding of a body is detected from its bytes: JSON text, or JSON text \
compressed by zlib or gzip; `Content-Type` and `Content-Encoding` are ignored and may be absent. A 200 means that the report \
is on disk. Paths with `GET` also support `HEAD`. Unknown paths return 404 in plain text.";

fn make() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut schemas = settings.into_generator();
    let paths = paths(&mut schemas);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "nutritionfacts",
            "summary": "The telemetry server of Kolibri",
            "description": DESCRIPTION,
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "MIT", "identifier": "MIT" },
        },
        "servers": [{ "url": "/" }],
        "tags": [
            { "name": "reports", "description": "What Kolibri installations send." },
            { "name": "probes", "description": "For load balancers, orchestrators and people." },
        ],
        "paths": paths,
        "components": { "responses": shared(), "schemas": schemas.take_definitions(true) },
    })
}

fn paths(schemas: &mut SchemaGenerator) -> Value {
    let mut paths = Map::new();
    let pingback = json!({
        "summary": "Stores a pingback",
        "description": "The reply depends on the client's `version`: empty before 0.11 or if it is unreadable; from 0.11 on it contains an id, with which the client sends statistics.",
        "requestBody": body::<bodies::Pingback>(schemas, "pingback", include_str!("pingback.json")),
        "responses": report_responses(&json!({
            "description": "The pingback is stored. The body is empty (without `Content-Type`) for a version before 0.11 or an unreadable one, and with `api.reply: empty`.",
            "content": { "application/json": { "schema": schemas.subschema_for::<replies::Pingback>() } },
        }), "The body is too large: over 64 KiB, as sent or decompressed."),
    });
    let statistics = json!({
        "summary": "Stores a statistics report",
        "description": "`pi` is the id from the reply to the pingback; the report is stored even if the id is unknown.",
        "requestBody": body::<bodies::Statistics>(schemas, "statistics", include_str!("statistics.json")),
        "responses": report_responses(&json!({
            "description": "The report is stored.",
            "content": { "application/json": { "schema": schemas.subschema_for::<replies::Statistics>() } },
        }), "The body is too large: over `http.max_body` as sent, or over `http.max_inflated_body` decompressed."),
    });
    for (path, name, operation) in
        [("/api/v1/pingback", "pingback", pingback), ("/api/v1/statistics", "statistics", statistics)]
    {
        for (path, suffix) in [(path.to_owned(), ""), (format!("{path}/"), "_with_slash")] {
            let mut operation = operation.clone();
            operation["operationId"] = format!("{name}{suffix}").into();
            operation["tags"] = json!(["reports"]);
            paths.insert(path, json!({ "post": operation }));
        }
    }
    let ready = schemas.subschema_for::<replies::Ready>();
    let ready = |description: &str| json!({ "description": description, "content": { "application/json": { "schema": ready } } });
    let verbose = json!([{
        "name": "verbose", "in": "query", "required": false, "allowEmptyValue": true, "schema": { "type": "string" },
        "description": "If present, with or without a value, `checks` lists each check, even if all pass.",
    }]);
    let probes = [
        ("/", "name", "Name and version", plain("As `nutritionfacts 0.1.0`.", "^nutritionfacts .+\\n$")),
        ("/livez", "livez", "Whether the process answers; the store is never asked", plain("It does.", "^OK$")),
        (
            "/health_check",
            "health_check",
            "As /livez; the name that the previous server had",
            plain("It does.", "^OK$"),
        ),
        (
            "/openapi.json",
            "openapi",
            "This document",
            json!({ "description": "OpenAPI 3.1.", "content": { "application/json": { "schema": { "type": "object", "required": ["openapi"] } } } }),
        ),
        ("/readyz", "readyz", "Whether a report can be kept", ready("It can.")),
    ];
    for (path, name, summary, response) in probes {
        let mut operation = json!({
            "operationId": name, "summary": summary, "tags": ["probes"],
            "responses": with_shared(json!({ "200": response, "400": reference("Malformed") })),
        });
        if name == "readyz" {
            operation["parameters"] = verbose.clone();
            operation["responses"]["503"] =
                ready("It cannot: the server starts or stops, or the store is unavailable.");
        }
        paths.insert(path.into(), json!({ "get": operation }));
    }
    paths["/"]["options"] = json!({
        "operationId": "options", "summary": "That we are here, for checks that ask this way", "tags": ["probes"],
        "responses": with_shared(json!({ "204": { "description": "We are." }, "400": reference("Malformed") })),
    });
    Value::Object(paths)
}

/// A body in its three encodings, with an example that a released Kolibri sent.
fn body<T: JsonSchema>(schemas: &mut SchemaGenerator, name: &str, example: &str) -> Value {
    // The example is a file of this repository, which tests read as well.
    let example: Value = serde_json::from_str(example).expect("the example is JSON");
    let schema = schemas.subschema_for::<T>();
    let packed = |how: &str| json!({ "schema": { "description": format!("The JSON text, compressed as {how}.") } });
    json!({
        "required": true,
        "content": {
            "application/json": { "schema": schema, "examples": { name: { "summary": "From Kolibri 0.19.5", "value": example } } },
            "application/zlib": packed("zlib (RFC 1950), as Kolibri does on Python 2"),
            "application/gzip": packed("gzip (RFC 1952)"),
        },
    })
}

fn report_responses(kept: &Value, too_large: &str) -> Value {
    let too_large = plain(too_large, "^The body is too large\\.$");
    with_shared(json!({
        "200": kept, "400": reference("NotAnObject"), "408": reference("TooSlow"), "413": too_large,
        "503": reference("TryAgain"),
    }))
}

/// Adds the responses that every path may return.
fn with_shared(mut responses: Value) -> Value {
    for (status, name) in [("405", "OtherMethod"), ("414", "AddressTooLong"), ("431", "HeaderTooLarge")] {
        responses[status] = reference(name);
    }
    responses
}

fn reference(response: &str) -> Value {
    json!({ "$ref": format!("#/components/responses/{response}") })
}

fn shared() -> Value {
    json!({
        "NotAnObject": plain(
            "The body is no JSON object: another value, broken JSON, nested more than 64 deep, not UTF-8, a broken stream. Malformed HTTP is answered 400 with an empty body and `Connection: close`.",
            &format!("^{}$", NOT_AN_OBJECT.replace('.', "\\.")),
        ),
        "TooSlow": plain("The body did not arrive within `http.body_timeout`; the connection is closed.", "^The body came too slowly\\.$"),
        "TryAgain": plain("The report cannot be stored now; nothing of it was stored.", "^Please try again later\\.$"),
        "Malformed": empty("Malformed HTTP; the connection is closed."),
        "OtherMethod": {
            "description": "The request has another method; the body is empty.",
            "headers": { "Allow": { "description": "The methods of this path.", "required": true, "schema": { "type": "string" } } },
        },
        "AddressTooLong": empty("The address has more than 8 KiB; the connection is closed."),
        "HeaderTooLarge": empty("The header has more than 32 KiB or 100 lines; the connection is closed."),
    })
}

fn empty(description: &str) -> Value {
    json!({ "description": format!("{description} The body is empty.") })
}

fn plain(description: &str, pattern: &str) -> Value {
    let schema = json!({ "type": "string", "pattern": pattern });
    json!({ "description": description, "content": { "text/plain; charset=utf-8": { "schema": schema } } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::public_routes;

    #[test]
    fn every_path_of_the_listener_is_described() {
        let mut routed = public_routes().map(|(path, _)| path);
        routed.sort_unstable();
        let described: Vec<_> = document()["paths"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(described, routed);
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn references(value: &Value, found: &mut Vec<String>) {
            match value {
                Value::Object(map) => {
                    found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
                    map.values().for_each(|value| references(value, found));
                }
                Value::Array(values) => values.iter().for_each(|value| references(value, found)),
                _ => {}
            }
        }
        let mut found = Vec::new();
        references(document(), &mut found);
        assert!(!found.is_empty());
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document().pointer(pointer).is_some(), "{reference}");
        }
    }

    #[test]
    fn the_examples_are_from_recorded_traffic() {
        let captured = |file: &str| -> Value {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/kolibri/captures/0.19.5");
            let request = std::fs::read_to_string(format!("{folder}/{file}")).unwrap();
            serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap()
        };
        let example = |path: &str, name: &str| {
            document()["paths"][path]["post"]["requestBody"]["content"]["application/json"]["examples"][name]["value"]
                .clone()
        };
        assert_eq!(example("/api/v1/pingback", "pingback"), captured("py311-env-android-like-pingback.http"));
        let mut statistics = captured("py311-reply-id-uuid-statistics.http");
        for channel in statistics["c"].as_array_mut().unwrap() {
            for list in ["pi", "pc"] {
                channel[list].as_array_mut().unwrap().truncate(3);
            }
        }
        assert_eq!(example("/api/v1/statistics", "statistics"), statistics);
    }
}
