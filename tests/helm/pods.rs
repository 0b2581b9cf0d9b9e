//! Objects that run pods, and the parts of pods.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        core::v1::{Container, PodSpec, PodTemplateSpec},
    },
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};

use super::{
    manifest::{Manifest, Object},
    release::Release,
};

pub type Labels = BTreeMap<String, String>;

/// Name of the server's container.
pub const SERVER: &str = "nutritionfacts";

/// An object that creates pods, and their specification.
pub struct Workload<'a> {
    pub manifest: &'a Manifest,
    pub labels: Labels,
    pub spec: &'a PodSpec,
    pub selector: Option<&'a LabelSelector>,
    /// Volumes that a `StatefulSet` creates for each pod.
    pub claims: Vec<&'a str>,
}

impl Release {
    pub fn workloads(&self) -> Vec<Workload<'_>> {
        self.manifests.iter().filter_map(Workload::of).collect()
    }

    /// The server's Deployment; the chart of the definition has none.
    pub fn deployment(&self) -> Option<(&Manifest, &Deployment)> {
        self.manifests.iter().find_map(|manifest| match &manifest.object {
            Object::Deployment(deployment) => Some((manifest, &**deployment)),
            _ => None,
        })
    }

    pub fn server(&self) -> Option<Workload<'_>> {
        self.workloads().into_iter().find(|workload| workload.manifest.kind() == "Deployment")
    }
}

impl<'a> Workload<'a> {
    fn of(manifest: &'a Manifest) -> Option<Self> {
        let of = |template: &'a PodTemplateSpec, selector: Option<&'a LabelSelector>| {
            let labels = template.metadata.as_ref().and_then(|metadata| metadata.labels.clone()).unwrap_or_default();
            Some(Self { manifest, labels, spec: template.spec.as_ref()?, selector, claims: vec![] })
        };
        match &manifest.object {
            Object::Deployment(object) => {
                let spec = &object.spec;
                of(&spec.template, Some(&spec.selector))
            }
            Object::StatefulSet(object) => {
                let spec = &object.spec;
                let claims = spec.volume_claim_templates.iter().flatten();
                let claims = claims.filter_map(|claim| claim.metadata.name.as_deref()).collect();
                Some(Self { claims, ..of(&spec.template, Some(&spec.selector))? })
            }
            Object::Job(object) => of(&object.spec.as_ref()?.template, None),
            Object::Pod(object) => {
                let labels = object.metadata.labels.clone().unwrap_or_default();
                Some(Self { manifest, labels, spec: object.spec.as_ref()?, selector: None, claims: vec![] })
            }
            _ => None,
        }
    }

    /// Including init containers.
    pub fn containers(&self) -> impl Iterator<Item = &'a Container> {
        self.spec.init_containers.iter().flatten().chain(&self.spec.containers)
    }

    /// Those of the chart itself, without `extraContainers` and `initContainers`.
    pub fn own_containers(&self) -> impl Iterator<Item = &'a Container> {
        self.spec.containers.iter().filter(|container| container.name != "sidecar")
    }

    pub fn container(&self, name: &str) -> Option<&'a Container> {
        self.containers().find(|container| container.name == name)
    }

    /// Whether it has a port of this name.
    pub fn has_port(&self, name: &str) -> bool {
        self.containers()
            .flat_map(|container| container.ports.iter().flatten())
            .any(|port| port.name.as_deref() == Some(name))
    }
}

/// Whether labels match a selector.
pub fn matches(selector: &Labels, labels: &Labels) -> bool {
    selector.iter().all(|(name, value)| labels.get(name) == Some(value))
}

/// The labels of a selector; the chart uses no expressions.
///
/// # Panics
/// If there are expressions.
pub fn wanted(selector: &LabelSelector) -> Labels {
    assert!(selector.match_expressions.is_none(), "expressions are not understood here: {selector:?}");
    selector.match_labels.clone().unwrap_or_default()
}
