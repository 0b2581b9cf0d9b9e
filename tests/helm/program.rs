//! A release from the program's view: the configuration with which the server's pod starts, and its messages.

use k8s_openapi::api::core::v1::{ConfigMap, Container};
use nutritionfacts::{
    config::{Complaint, Layer, Loaded, config_maps::ConfigMaps, load},
    messages::{Collection, Part, Source},
};

use super::{
    manifest::Object,
    pods::{SERVER, Workload},
    release::Release,
};

/// The configuration of the server.
///
/// # Panics
/// If the program rejects it.
pub fn loaded(release: &Release) -> Loaded {
    try_loaded(release).unwrap_or_else(|complaints| panic!("case {}: {}", release.case.name, lines(&complaints)))
}

pub fn lines(complaints: &[Complaint]) -> String {
    complaints.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// The configuration, or the program's error.
pub fn try_loaded(release: &Release) -> Result<Loaded, Vec<Complaint>> {
    let server = release.server().expect("the chart runs a server");
    let container = server.container(SERVER).expect("the server's pod has the server");
    let paths = value(container, "NUTRITIONFACTS_CONFIG").expect("the server is told of its files");
    let mut layers: Vec<_> =
        paths.split(':').filter_map(|path| Some(Layer::file(path, file(release, &server, container, path)?))).collect();
    layers.extend(variables(container));
    load(&ConfigMaps::of(&layers).arrange(layers))
}

fn value<'a>(container: &'a Container, name: &str) -> Option<&'a str> {
    container.env.iter().flatten().find(|variable| variable.name == name)?.value.as_deref()
}

/// The variables that set keys; values from objects outside the release are replaced by examples.
pub fn variables(container: &Container) -> Vec<Layer> {
    let layer = |variable: &k8s_openapi::api::core::v1::EnvVar| {
        let key = variable.name.strip_prefix("NUTRITIONFACTS__")?.to_lowercase().replace("__", ".");
        let foreign = if key.ends_with("port") { "5432" } else { "foreign" };
        Some(Layer::variable(&variable.name, &key, variable.value.as_deref().unwrap_or(foreign)))
    };
    container.env.iter().flatten().filter_map(layer).collect()
}

/// A file that the pod gets from a ConfigMap of the release; `None` if others create it.
fn file(release: &Release, server: &Workload<'_>, container: &Container, path: &str) -> Option<String> {
    let (folder, key) = path.rsplit_once('/').expect("the path of a file");
    let mount = container.volume_mounts.iter().flatten().find(|mount| mount.mount_path == folder);
    let mount = mount.unwrap_or_else(|| panic!("case {}: nothing is mounted at {folder}", release.case.name));
    let volume = server.spec.volumes.iter().flatten().find(|volume| volume.name == mount.name)?;
    let name = &volume.config_map.as_ref().expect("configuration comes by ConfigMaps").name;
    let config_map = config_map(release, name)?;
    let text = config_map.data.as_ref().and_then(|data| data.get(key));
    Some(text.unwrap_or_else(|| panic!("case {}: ConfigMap {name} has no {key}", release.case.name)).clone())
}

pub fn config_map<'a>(release: &'a Release, name: &str) -> Option<&'a ConfigMap> {
    match &release.find("ConfigMap", name)?.object {
        Object::ConfigMap(config_map) => Some(config_map),
        _ => None,
    }
}

/// The ConfigMap of live configuration, if the chart creates it: its name and content.
pub fn live(release: &Release) -> Option<(&str, &ConfigMap)> {
    let manifest =
        release.of_kind("ConfigMap").find(|manifest| manifest.source["data"].get("messages.yaml").is_some())?;
    Some((manifest.name(), config_map(release, manifest.name())?))
}

/// The messages in such a ConfigMap, as the program reads them.
pub fn messages(name: &str, config_map: &ConfigMap) -> Collection {
    let texts = config_map.data.iter().flatten().filter(|(key, _)| *key != "config.yaml");
    let parts = texts.map(|(key, text)| Part::text(format!("configmap/{name}/{key}"), Ok(text.clone()))).collect();
    Collection::of(&[Source { path: format!("configmap/{name}").into(), parts: Ok(parts) }], &Collection::default())
}
