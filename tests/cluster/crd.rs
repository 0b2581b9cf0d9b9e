//! The custom resource for users of kubectl: its definition, names, columns and descriptions.

use serde_json::{Value, json};

use super::{
    cases::{object, put},
    kubectl::{DEFINITION, Namespace, kubectl},
};

#[test]
fn the_definition_is_accepted_without_a_warning() {
    let _namespace = Namespace::new();
    let arguments =
        ["apply", "--server-side", "--force-conflicts", "--dry-run=server", "--warnings-as-errors", "-f", "-"];
    kubectl(&arguments, &DEFINITION).unwrap();
    let definition: Value = serde_saphyr::from_str(&DEFINITION).unwrap();
    let name = definition["metadata"]["name"].as_str().unwrap();
    let stored = kubectl(&["get", "crd", name, "-o", "json"], "").unwrap();
    let stored: Value = serde_json::from_str(&stored).unwrap();
    // The stored object is the written one plus defaults: kubectl and we read the same YAML.
    for key in ["group", "scope", "versions"] {
        assert_eq!(stored["spec"][key], definition["spec"][key], "{key}");
    }
    let conditions = stored["status"]["conditions"].as_array().unwrap();
    assert!(conditions.iter().all(|condition| condition["type"] != "NonStructuralSchema"), "{conditions:#?}");
}

fn condition(kind: &str, status: &str) -> Value {
    let time = "2026-11-24T10:00:00Z";
    json!({"type": kind, "status": status, "reason": "Because", "message": "", "lastTransitionTime": time, "observedGeneration": 1})
}

fn set_conditions(namespace: &Namespace, conditions: &[Value]) -> Result<String, String> {
    let patch = json!({"status": {"observedGeneration": 1, "conditions": conditions}}).to_string();
    namespace.kubectl(&["patch", "kmsg", "upgrade", "--subresource=status", "--type=merge", "--patch", &patch], "")
}

#[test]
fn kubectl_get_shows_the_columns() {
    let namespace = Namespace::new();
    namespace.apply(&object().to_string()).unwrap();
    let table = || -> Vec<Vec<String>> {
        let table = namespace.kubectl(&["get", "kmsg"], "").unwrap();
        table.lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
    };
    let [heads, row] = table().try_into().unwrap();
    assert_eq!(heads, ["NAME", "STAGE", "VERSIONS", "DATE", "PUBLISHED", "ACCEPTED", "AGE"]);
    assert_eq!(row[..4], ["upgrade", "Active", ">=0.15.0,<0.18.0", "2026-11-01"]);
    set_conditions(&namespace, &[condition("Accepted", "True"), condition("Published", "False")]).unwrap();
    assert_eq!(table()[1][4..6], ["False", "True"]);
    namespace.kubectl(&["wait", "--for=condition=Accepted", "--timeout=60s", "kmsg/upgrade"], "").unwrap();
}

#[test]
fn the_status_is_a_subresource() {
    let namespace = Namespace::new();
    let mut object = object();
    object["status"] = json!({"conditions": [condition("Published", "True")]});
    namespace.apply(&object.to_string()).unwrap();
    assert!(namespace.stored("kmsg/upgrade").get("status").is_none());
    for (conditions, complaint) in [
        ([condition("Published", "True"), condition("Published", "False")], "Duplicate value"),
        ([condition("Accepted", "True"), condition("Published", "Yes")], "Unsupported value"),
        ([condition("Accepted", "True"), json!({"type": "Published"})], "Required value"),
    ] {
        let refusal = set_conditions(&namespace, &conditions).unwrap_err();
        assert!(refusal.contains(complaint), "{refusal}");
    }
    set_conditions(&namespace, &[condition("Published", "True")]).unwrap();
    let stored = namespace.stored("kmsg/upgrade");
    assert_eq!(stored["metadata"]["generation"], 1, "a status is no new generation");
    assert_eq!(stored["status"]["conditions"], json!([condition("Published", "True")]));
}

#[test]
fn kubectl_accepts_every_name_of_the_resource() {
    let namespace = Namespace::new();
    namespace.apply(&put("/spec/versionRange", None).to_string()).unwrap();
    for name in [
        "kmsg",
        "kolibrimessage",
        "kolibrimessages",
        "nutritionfacts",
        "kolibrimessages.nutritionfacts.learningequality.org",
    ] {
        let found = namespace.kubectl(&["get", name, "-o", "name"], "").unwrap();
        assert_eq!(found, "kolibrimessage.nutritionfacts.learningequality.org/upgrade\n", "{name}");
    }
    assert_eq!(namespace.stored("kmsg/upgrade")["spec"]["versionRange"], "*");
}

/// The fields of a schema without a description.
fn unexplained(schema: &Value, path: &str, found: &mut Vec<String>) {
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        if schema["description"].as_str().is_none_or(str::is_empty) {
            found.push(path.clone());
        }
        unexplained(schema, &path, found);
        unexplained(&schema["items"], &path, found);
        unexplained(&schema["additionalProperties"], &path, found);
    }
}

#[test]
fn every_field_has_a_description() {
    let _namespace = Namespace::new();
    let definition: Value = serde_saphyr::from_str(&DEFINITION).unwrap();
    let mut found = vec![];
    unexplained(&definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"], "", &mut found);
    assert_eq!(found, Vec::<String>::new());
    for (field, words) in [
        ("kmsg", "administrators of Kolibri devices"),
        ("kmsg.spec", "versionRange\t<string>"),
        ("kmsg.spec.stage", "Stage of publication."),
        ("kmsg.spec.translations.title", "in one line"),
        ("kmsg.spec.audience.networks", "203.0.113.0/24"),
        ("kmsg.spec.audience.countries", "ISO 3166-1"),
        ("kmsg.spec.audience.installers", "Installers whose installations get it"),
        ("kmsg.status.conditions.reason", "one word for programs"),
    ] {
        let page = kubectl(&["explain", field], "").unwrap();
        assert!(page.contains(words), "{field}: {page}");
    }
}

#[test]
fn the_objects_of_the_documentation_are_accepted() {
    let namespace = Namespace::new();
    let page = include_str!("../../docs/messages.md");
    let blocks: Vec<_> = page.split("```yaml kolibrimessage\n").skip(1).collect();
    assert!(!blocks.is_empty());
    for block in blocks {
        namespace.apply(block.split("```").next().unwrap()).unwrap();
    }
}
