//! Kubernetes objects as strict types: unknown fields are errors.

use k8s_openapi::{
    Resource,
    api::{
        apps::v1::{Deployment, StatefulSet},
        autoscaling::v2::HorizontalPodAutoscaler,
        batch::v1::Job,
        core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount},
        networking::v1::{Ingress, NetworkPolicy},
        policy::v1::PodDisruptionBudget,
        rbac::v1::{Role, RoleBinding},
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::schema;

macro_rules! kinds {
    ($($kind:ident),* $(,)?) => {
        /// A kind that the chart creates.
        #[expect(dead_code, reason = "some kinds are looked at as JSON only")]
        pub enum Object {
            $($kind(Box<$kind>),)*
            /// A kind of an operator, checked by one of our schemas.
            Custom,
            /// Not parseable.
            Broken,
        }

        fn read(source: &Value) -> (Object, Vec<String>) {
            let (version, kind) = (source["apiVersion"].as_str(), source["kind"].as_str());
            $(if version == Some($kind::API_VERSION) && kind == Some($kind::KIND) {
                return match strict::<$kind>(source) {
                    Ok((object, faults)) => (Object::$kind(Box::new(object)), faults),
                    Err(fault) => (Object::Broken, vec![fault]),
                };
            })*
            match schema::of(version.unwrap_or_default(), kind.unwrap_or_default()) {
                Some(schema) => (Object::Custom, schema.faults(source)),
                None => (Object::Broken, vec!["is of a kind that these tests do not know".to_owned()]),
            }
        }
    };
}

kinds![
    ConfigMap,
    CustomResourceDefinition,
    Deployment,
    HorizontalPodAutoscaler,
    Ingress,
    Job,
    NetworkPolicy,
    PersistentVolumeClaim,
    Pod,
    PodDisruptionBudget,
    Role,
    RoleBinding,
    Secret,
    Service,
    ServiceAccount,
    StatefulSet,
];

/// An object of a render.
pub struct Manifest {
    pub source: Value,
    pub metadata: ObjectMeta,
    pub object: Object,
    /// Fields that its type does not have.
    pub faults: Vec<String>,
}

impl Manifest {
    pub fn of(source: Value) -> Self {
        let (object, mut faults) = read(&source);
        let metadata = match strict::<ObjectMeta>(&source["metadata"]) {
            Ok((metadata, more)) => {
                faults.extend(more.into_iter().filter(|_| matches!(object, Object::Custom)));
                metadata
            }
            Err(fault) => {
                faults.push(fault);
                ObjectMeta::default()
            }
        };
        Self { source, metadata, object, faults }
    }

    pub fn kind(&self) -> &str {
        self.source["kind"].as_str().unwrap_or("?")
    }

    pub fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or("?")
    }

    pub fn namespace(&self) -> &str {
        self.metadata.namespace.as_deref().unwrap_or_default()
    }

    pub fn label(&self, name: &str) -> Option<&str> {
        Some(self.metadata.labels.as_ref()?.get(name)?.as_str())
    }

    pub fn annotation(&self, name: &str) -> Option<&str> {
        Some(self.metadata.annotations.as_ref()?.get(name)?.as_str())
    }

    /// When Helm applies it, if it is a hook: `pre-install,pre-upgrade`, `test`.
    pub fn hook(&self) -> Option<&str> {
        self.annotation("helm.sh/hook")
    }
}

/// The items of a list; none if it is not a list.
pub fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Parses an object, and returns what was lost: types of Kubernetes ignore unknown fields and fill in required
/// ones.
fn strict<T: DeserializeOwned + Serialize>(source: &Value) -> Result<(T, Vec<String>), String> {
    let mut source = source.clone();
    normalise(&mut source);
    let object: T = serde_json::from_value(source.clone()).map_err(|error| format!("cannot be read: {error}"))?;
    let mut faults = vec![];
    // A type that was parsed can be serialised.
    compare(&source, &serde_json::to_value(&object).expect("it has a JSON form"), "", &mut faults);
    Ok((object, faults))
}

/// Kubernetes also accepts numbers as quantities, but these types do not.
fn normalise(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                if let ("requests" | "limits", Value::Object(quantities)) = (name.as_str(), &mut *field) {
                    for quantity in quantities.values_mut().filter(|quantity| quantity.is_number()) {
                        *quantity = quantity.to_string().into();
                    }
                }
                normalise(field);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(normalise),
        _ => {}
    }
}

fn compare(source: &Value, known: &Value, path: &str, faults: &mut Vec<String>) {
    match (source, known) {
        (Value::Object(source), Value::Object(known)) => {
            for (name, value) in source {
                match known.get(name) {
                    Some(known) => compare(value, known, &format!("{path}.{name}"), faults),
                    None => faults.push(format!("{path}.{name} is no field")),
                }
            }
            let missing = known.keys().filter(|name| !source.contains_key(*name));
            faults.extend(missing.map(|name| format!("{path}.{name} is missing")));
        }
        (Value::Array(source), Value::Array(known)) if source.len() == known.len() => {
            for (index, (source, known)) in source.iter().zip(known).enumerate() {
                compare(source, known, &format!("{path}.{index}"), faults);
            }
        }
        _ if source == known => {}
        _ => faults.push(format!("{path} is {source}, which is read as {known}")),
    }
}

#[test]
fn unknown_fields_are_errors() {
    let faults = |source: Value| Manifest::of(source).faults;
    let service = |spec: Value| serde_json::json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": spec});
    let port = serde_json::json!({"port": 80, "targetPort": "http"});
    assert_eq!(faults(service(serde_json::json!({"ports": [port]}))), Vec::<String>::new());
    assert_eq!(faults(service(serde_json::json!({"port": 80}))), [".spec.port is no field"]);
    assert_eq!(faults(service(serde_json::json!({"ports": [{"name": "http"}]}))), [".spec.ports.0.port is missing"]);
    assert_eq!(faults(service(serde_json::json!({"ports": null}))), [".spec.ports is no field"]);
    assert_eq!(faults(service(serde_json::json!({"ports": 80}))).len(), 1);
    assert_eq!(faults(serde_json::json!({"apiVersion": "v2", "kind": "Service"})).len(), 2);
}
