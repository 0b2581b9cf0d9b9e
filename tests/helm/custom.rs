//! Objects of operators: our schemas in place of their definitions are used, and reject mistyped keys.

use serde_json::{Map, Value, json};

use super::{
    release::RELEASES,
    schema::{SCHEMAS, of},
};

/// Sections of an object with arbitrary keys of the user.
const FREE: [&str; 5] = ["annotations", "labels", "matchLabels", "metadata", "parameters"];

/// For each key of the object, a copy in which it is mistyped.
fn mistyped(value: &Value) -> Vec<Value> {
    let mut found = vec![];
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let replaced = |name: &str, field: Value, without: &str| -> Value {
                    let mut fields: Map<_, _> = fields.clone();
                    fields.remove(without);
                    fields.insert(name.to_owned(), field);
                    Value::Object(fields)
                };
                found.push(replaced(&format!("{name}x"), field.clone(), name));
                if !FREE.contains(&name.as_str()) {
                    found.extend(mistyped(field).into_iter().map(|field| replaced(name, field, name)));
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                found.extend(mistyped(item).into_iter().map(|item| {
                    let mut items = items.clone();
                    items[index] = item;
                    Value::Array(items)
                }));
            }
        }
        _ => {}
    }
    found
}

#[test]
fn every_schema_is_used_by_a_case() {
    for schema in SCHEMAS.iter() {
        let used = RELEASES.iter().any(|release| release.of_kind(schema.kind()).next().is_some());
        assert!(used, "no case makes a {}", schema.kind());
    }
}

#[test]
fn a_mistyped_key_in_any_object_is_an_error() {
    let mut count = 0;
    for release in RELEASES.iter() {
        for manifest in &release.manifests {
            let Some(schema) = of(manifest.source["apiVersion"].as_str().unwrap_or_default(), manifest.kind()) else {
                continue;
            };
            for spec in mistyped(&manifest.source["spec"]) {
                let mut object = manifest.source.clone();
                object["spec"] = spec;
                assert_ne!(schema.faults(&object), Vec::<String>::new(), "{}: {object}", release.case.name);
                count += 1;
            }
        }
    }
    assert!(count > 80, "{count}");
}

#[test]
fn an_invalid_value_is_an_error() {
    let route = of("gateway.networking.k8s.io/v1", "HTTPRoute").unwrap();
    let spec = json!({"parentRefs": [{"name": "a"}], "rules": [{"backendRefs": [{"name": "a", "port": 80}]}]});
    assert_eq!(route.faults(&json!({"spec": spec})), Vec::<String>::new());
    for (place, value) in [
        ("/spec/parentRefs", json!([])),
        ("/spec/rules", json!({})),
        ("/spec/rules/0/backendRefs/0/port", json!("80")),
        ("/spec/hostnames", json!(null)),
        ("/spec/rules/0/matches", json!([{"path": {"type": "Prefix"}}])),
        ("/specs", json!({})),
    ] {
        let mut object = json!({"spec": spec});
        let (parent, name) = place.rsplit_once('/').unwrap();
        object.pointer_mut(parent).unwrap()[name] = value;
        assert_ne!(route.faults(&object), Vec::<String>::new(), "{place}");
    }
}
