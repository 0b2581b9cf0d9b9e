//! ConfigMaps that are followed, as layers between files and environment.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    layer::{CONFIG_MAP, Layer, Source},
    load::last_good,
};

/// The key of a ConfigMap, and so the name of the mounted file, that contains configuration. Its other keys
/// that end in `.yaml` or `.yml` contain messages.
pub const CONFIGURATION: &str = "config.yaml";

/// The state of each ConfigMap that is followed; later ones override earlier ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigMaps(Vec<(String, Sight)>);

/// The state of a ConfigMap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Sight {
    /// The API server has not answered since the start.
    #[default]
    Unseen,
    /// It does not exist.
    Absent,
    /// Its content.
    Present(Arc<ConfigMap>),
}

/// A ConfigMap as the API server returned it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigMap {
    /// Distinguishes it from an earlier one of the same name.
    pub uid: String,
    /// Distinguishes its versions.
    pub resource_version: String,
    /// Texts by key.
    pub data: BTreeMap<String, String>,
}

impl ConfigMaps {
    /// The name of the ConfigMap, if the layer of this name is one.
    #[must_use]
    pub fn name_of(layer: &str) -> Option<&str> {
        layer.strip_prefix(CONFIG_MAP)
    }

    /// The ConfigMaps in `kubernetes.config_maps` of all readable layers; all unknown yet.
    #[must_use]
    pub fn of(layers: &[Layer]) -> Self {
        let named = last_good(layers, "kubernetes.config_maps");
        Self::named(named.and_then(|names| serde_json::from_value(names).ok()).unwrap_or_default())
    }

    /// ConfigMaps of these names; all unknown yet.
    #[must_use]
    pub fn named(names: Vec<String>) -> Self {
        Self(names.into_iter().map(|name| (name, Sight::Unseen)).collect())
    }

    /// Their names and states.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Sight)> {
        self.0.iter().map(|(name, sight)| (name.as_str(), sight))
    }

    /// The ConfigMap of this name, if it is followed and exists.
    #[must_use]
    pub fn present(&self, name: &str) -> Option<&Arc<ConfigMap>> {
        self.0.iter().find_map(|(known, sight)| match sight {
            Sight::Present(config_map) if known == name => Some(config_map),
            _ => None,
        })
    }

    /// Sets the state of one; returns whether it changed.
    pub fn set(&mut self, name: &str, sight: &Sight) -> bool {
        let place = self.0.iter_mut().find(|(known, _)| known == name);
        place.is_some_and(|(_, known)| std::mem::replace(known, sight.clone()) != *sight)
    }

    /// Inserts the ConfigMaps between the files and the layers that override files. A file `…/NAME/config.yaml` is the mounted
    /// copy of the ConfigMap NAME: it is used until the API server has answered, and ignored from then on.
    #[must_use]
    pub fn arrange(&self, layers: Vec<Layer>) -> Vec<Layer> {
        let (files, above): (Vec<_>, Vec<_>) = layers.into_iter().partition(|layer| layer.source == Source::File);
        let (mut arranged, mut copies) = (Vec::new(), BTreeMap::new());
        for file in files {
            match self.is_copy_of(&file) {
                Some(name) => drop(copies.insert(name, file)),
                None => arranged.push(file),
            }
        }
        arranged.extend(self.0.iter().filter_map(|(name, sight)| match sight {
            Sight::Unseen => copies.remove(name.as_str())?.into_config_map(name),
            Sight::Absent => None,
            Sight::Present(config_map) => {
                config_map.data.get(CONFIGURATION).map(|text| Layer::config_map(name, text.as_str()))
            }
        }));
        arranged.extend(above);
        arranged
    }

    fn is_copy_of(&self, file: &Layer) -> Option<&str> {
        let path = file.path().filter(|path| path.file_name().is_some_and(|name| name == CONFIGURATION))?;
        let folder = path.parent()?.file_name()?;
        self.0.iter().map(|(name, _)| name.as_str()).find(|name| folder == *name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn present(text: &str) -> Sight {
        let data = [(CONFIGURATION.to_owned(), text.to_owned())].into();
        Sight::Present(Arc::new(ConfigMap { data, ..ConfigMap::default() }))
    }

    fn layers() -> Vec<Layer> {
        vec![
            Layer::file("/etc/n/live/config.yaml", "api: {reply: empty}"),
            Layer::file("/etc/n/config/config.yaml", "kubernetes: {config_maps: [other, live]}"),
            Layer::variable("NUTRITIONFACTS__HTTP__MAX_BODY", "http.max_body", "3 MiB"),
        ]
    }

    fn names(layers: &[Layer]) -> Vec<&str> {
        layers.iter().map(|layer| layer.name.as_str()).collect()
    }

    #[test]
    fn the_names_are_read_even_if_other_layers_are_broken() {
        let broken = [layers(), vec![Layer::file("x", "api: ["), Layer::flag("--set", "api.replay", "x")]].concat();
        assert_eq!(ConfigMaps::of(&broken), ConfigMaps::named(vec!["other".into(), "live".into()]));
        assert_eq!(ConfigMaps::of(&[]), ConfigMaps::default());
    }

    #[test]
    fn a_mounted_copy_is_used_until_the_config_map_is_known() {
        let mut seen = ConfigMaps::of(&layers());
        let variable = "environment NUTRITIONFACTS__HTTP__MAX_BODY";
        let with = |seen: &ConfigMaps| seen.arrange(layers());
        assert_eq!(names(&with(&seen)), ["file /etc/n/config/config.yaml", "configmap/live", variable]);
        let mounted = with(&seen);
        assert!(seen.set("live", &present("api: {reply: empty}")));
        assert_eq!(with(&seen), mounted, "the same text is the same layer");
        assert!(seen.set("other", &present("")));
        assert_eq!(
            names(&with(&seen)),
            ["file /etc/n/config/config.yaml", "configmap/other", "configmap/live", variable]
        );
        assert!(seen.set("live", &Sight::Absent) && !seen.set("live", &Sight::Absent));
        assert_eq!(names(&with(&seen)), ["file /etc/n/config/config.yaml", "configmap/other", variable]);
        assert!(!seen.set("stranger", &Sight::Absent));
    }

    #[test]
    fn a_missing_mounted_copy_is_no_error() {
        use crate::config::layer::Fault;
        let missing = |fault| Layer::broken("file /etc/n/live/config.yaml", Source::File, "cannot be read", fault);
        let seen = ConfigMaps::named(vec!["live".into()]);
        assert!(seen.arrange(vec![missing(Fault::Missing)]).is_empty());
        assert_eq!(names(&seen.arrange(vec![missing(Fault::Unreadable)])), ["configmap/live"]);
    }
}
