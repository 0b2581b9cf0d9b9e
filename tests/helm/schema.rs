//! Validates objects of operators by small schemas of ours (`schemas/`), which contain only what the chart may use.
//!
//! Supports few keywords of JSON Schema, and is stricter: an object has no additional properties unless it says so, and an
//! unknown keyword is an error.

use std::sync::LazyLock;

use serde_json::{Map, Value};

pub struct Schema {
    version: &'static str,
    kind: &'static str,
    root: Value,
}

macro_rules! schemas {
    ($($file:literal: $version:literal $kind:literal),* $(,)?) => {
        LazyLock::new(|| vec![$(Schema {
            version: $version,
            kind: $kind,
            root: serde_json::from_str(include_str!(concat!("schemas/", $file, ".json"))).expect("schemas are JSON"),
        }),*])
    };
}

pub static SCHEMAS: LazyLock<Vec<Schema>> = schemas![
    "cluster": "postgresql.cnpg.io/v1" "Cluster",
    "http-route": "gateway.networking.k8s.io/v1" "HTTPRoute",
    "pod-monitor": "monitoring.coreos.com/v1" "PodMonitor",
    "prometheus-rule": "monitoring.coreos.com/v1" "PrometheusRule",
    "scaled-object": "keda.sh/v1alpha1" "ScaledObject",
    "service-monitor": "monitoring.coreos.com/v1" "ServiceMonitor",
];

pub fn of(version: &str, kind: &str) -> Option<&'static Schema> {
    SCHEMAS.iter().find(|schema| schema.version == version && schema.kind == kind)
}

impl Schema {
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// The errors of an object; its `metadata` are not checked.
    pub fn faults(&self, object: &Value) -> Vec<String> {
        let mut faults = vec![];
        for name in object.as_object().into_iter().flat_map(Map::keys) {
            if !["apiVersion", "kind", "metadata", "spec"].contains(&name.as_str()) {
                faults.push(format!(".{name} is no field"));
            }
        }
        self.check(&self.root, &object["spec"], ".spec", &mut faults);
        faults
    }

    fn check(&self, schema: &Value, value: &Value, path: &str, faults: &mut Vec<String>) {
        let schema = schema.as_object().unwrap_or_else(|| panic!("{}{path}: a schema is an object", self.kind));
        for (keyword, rule) in schema {
            match keyword.as_str() {
                "$comment" | "definitions" | "additionalProperties" => {}
                "$ref" => {
                    let pointer = rule.as_str().unwrap_or_default().trim_start_matches('#');
                    let target = self.root.pointer(pointer);
                    let target = target.unwrap_or_else(|| panic!("{}{path}: {rule} leads nowhere", self.kind));
                    self.check(target, value, path, faults);
                }
                "type" => {
                    let is_open = schema.contains_key("properties") || schema.contains_key("$ref");
                    assert!(rule != "object" || is_open, "{}{path}: an object says what is in it", self.kind);
                    let types = rule.as_array().map_or(std::slice::from_ref(rule), Vec::as_slice);
                    if !types.iter().any(|name| is(value, name.as_str().unwrap_or_default())) {
                        faults.push(format!("{path} is {value}, and not of type {rule}"));
                    }
                }
                "enum" if rule.as_array().is_some_and(|allowed| allowed.contains(value)) => {}
                "enum" => faults.push(format!("{path} is {value}, and none of {rule}")),
                "minItems" => {
                    if value.as_array().is_some_and(|items| {
                        items.len() < rule.as_u64().and_then(|count| count.try_into().ok()).unwrap_or(0)
                    }) {
                        faults.push(format!("{path} has fewer than {rule} items"));
                    }
                }
                "required" => {
                    for name in rule.as_array().into_iter().flatten().filter_map(Value::as_str) {
                        if value.is_object() && value.get(name).is_none() {
                            faults.push(format!("{path}.{name} is missing"));
                        }
                    }
                }
                "items" => {
                    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.check(rule, item, &format!("{path}.{index}"), faults);
                    }
                }
                "properties" => {
                    for (name, field) in value.as_object().into_iter().flatten() {
                        let path = format!("{path}.{name}");
                        match (rule.get(name), schema.get("additionalProperties")) {
                            (Some(schema), _) | (None, Some(schema @ Value::Object(_))) => {
                                self.check(schema, field, &path, faults);
                            }
                            (None, _) => faults.push(format!("{path} is no field")),
                        }
                    }
                }
                _ => panic!("{}{path}: the keyword `{keyword}` is not known here", self.kind),
            }
        }
    }
}

fn is(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        _ => panic!("the type `{name}` is not known here"),
    }
}
