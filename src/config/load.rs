//! From layers to a configuration: a pure function, called at start and whenever a layer changes.

use std::{collections::BTreeMap, fmt, ops::Deref, sync::Arc};

use figment::{
    Figment, Metadata, Profile, Provider,
    providers::Serialized,
    value::{Dict, Map},
};
use serde::Serialize;
use serde_json::Value;

use super::{
    Config,
    complaint::Complaint,
    layer::{DEFAULT, Layer, Source},
    schema::Key,
    secret::REDACTED,
    validate,
    walk::{Set, Walk},
};
use crate::domain::fingerprint;

/// The effective configuration, and the origin of each key. Serialises without secrets, for `GET /config`.
#[derive(Debug, Clone, Serialize)]
pub struct Loaded {
    /// The values.
    pub config: Arc<Config>,
    /// The layer that set each key (`http.listen`), or [`DEFAULT`].
    pub origins: BTreeMap<String, String>,
    /// Sixteen hexadecimal digits, the same wherever the same configuration is active. Secrets are not part of it.
    pub hash: String,
    /// What the layers set, secrets included.
    #[serde(skip)]
    pub(super) set: Checked,
    /// Keys that the layers set but are not allowed to.
    #[serde(skip)]
    pub(super) misplaced: Checked,
}

/// Validated values. Never shown, as they contain secrets.
#[derive(Clone)]
pub(super) struct Checked(pub(super) Set);

impl fmt::Debug for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

/// Gives access to the keys of the configuration.
impl Deref for Loaded {
    type Target = Config;

    fn deref(&self) -> &Config {
        &self.config
    }
}

/// Merges the layers key by key; later layers override earlier ones. Lists are replaced, not appended to.
///
/// # Errors
///
/// All errors at once: those of each layer, and those of the merged configuration.
pub fn load(layers: &[Layer]) -> Result<Loaded, Vec<Complaint>> {
    let mut walk = Walk::default();
    for layer in layers {
        match layer.values() {
            Ok(values) => walk.layer(layer, &values),
            Err(complaint) => {
                walk.complaints.push(complaint);
                walk.blind = true;
            }
        }
    }
    if walk.complaints.is_empty() {
        return finish(walk.set, walk.misplaced);
    }
    // Rules about several keys are not checked while one of the keys is invalid.
    if !walk.blind {
        let (config, origins) = merge(&walk.set);
        let broken = validate::check(&config, &origins).into_iter();
        let broken = broken.filter(|broken| !broken.keys.iter().any(|key| walk.doubtful.contains(*key)));
        walk.complaints.extend(broken.map(|broken| broken.complaint));
    }
    Err(walk.complaints)
}

/// The configuration to start with. Leaves out ConfigMaps that are followed and invalid, by themselves or together with the
/// layers before them. [`super::live::watch`] reports their errors.
///
/// # Errors
///
/// As [`load`], if another layer is invalid.
pub fn load_to_start(layers: &[Layer]) -> Result<Loaded, Vec<Complaint>> {
    let complaints = match load(layers) {
        Ok(loaded) => return Ok(loaded),
        Err(complaints) => complaints,
    };
    let mut kept: Vec<_> = layers.iter().map(|layer| layer.source() != Source::ConfigMap).collect();
    let with = |kept: &[bool]| {
        let layers = layers.iter().zip(kept).filter(|(_, kept)| **kept);
        load(&layers.map(|(layer, _)| layer.clone()).collect::<Vec<_>>())
    };
    // Usually one of them is invalid, and the others may be needed.
    let all_but = |index: usize| (0..layers.len()).map(|other| other != index).collect::<Vec<_>>();
    for index in (0..layers.len()).filter(|index| !kept[*index]) {
        if let Ok(loaded) = with(&all_but(index)) {
            return Ok(loaded);
        }
    }
    let mut good = with(&kept).map_err(|_| complaints)?;
    for index in 0..layers.len() {
        if !kept[index] {
            kept[index] = true;
            match with(&kept) {
                Ok(loaded) => good = loaded,
                Err(_) => kept[index] = false,
            }
        }
    }
    Ok(good)
}

/// The value to which the layers set a key, as far as they can be read.
pub(super) fn last_good(layers: &[Layer], path: &str) -> Option<Value> {
    let mut walk = Walk::default();
    for layer in layers {
        if let Ok(values) = layer.values() {
            walk.layer(layer, &values);
        }
    }
    walk.set.remove(path).map(|(value, _)| value)
}

/// A configuration of validated values, if they satisfy the rules about several keys.
pub(super) fn finish(set: Set, misplaced: Set) -> Result<Loaded, Vec<Complaint>> {
    let (config, origins) = merge(&set);
    let broken = validate::check(&config, &origins);
    if broken.is_empty() {
        let (hash, config) = (fingerprint(&config.values().to_string()), Arc::new(config));
        Ok(Loaded { config, origins, hash, set: Checked(set), misplaced: Checked(misplaced) })
    } else {
        Err(broken.into_iter().map(|broken| broken.complaint).collect())
    }
}

/// Merges the values over the defaults, layer by layer; figment records which layer set each key.
pub(super) fn merge(set: &Set) -> (Config, BTreeMap<String, String>) {
    let defaults = Good { layer: DEFAULT.to_owned(), path: None, value: Config::default().values() };
    let good = set.iter().map(|(path, (value, layer))| Good {
        layer: layer.clone(),
        path: Some(path.clone()),
        value: value.clone(),
    });
    let figment = good.fold(Figment::from(defaults), Figment::merge);
    let origin = |path: &str| figment.find_metadata(path).map_or_else(|| DEFAULT.to_owned(), |of| of.name.to_string());
    let origins = Key::all().into_iter().map(|(path, _)| (path.clone(), origin(&path))).collect();
    // Each value was tried in a configuration of its own, and no type of a section looks at two keys at once.
    let config = figment.extract().expect("good values make a configuration");
    (config, origins)
}

/// One validated value, or all defaults, and the layer that set it.
struct Good {
    layer: String,
    path: Option<String>,
    value: Value,
}

impl Provider for Good {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.layer.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let names = self.path.iter().flat_map(|path| path.rsplit('.'));
        let tree = names
            .fold(self.value.clone(), |value, name| Value::Object([(name.to_owned(), value)].into_iter().collect()));
        Serialized::defaults(tree).data()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, json};

    use super::*;

    fn file(text: impl Into<String>) -> Result<Loaded, Vec<Complaint>> {
        load(&[Layer::file("x", text)])
    }

    #[test]
    fn without_layers_the_defaults_apply() {
        let loaded = load(&[]).unwrap();
        assert_eq!(*loaded.config, Config::default());
        assert!(loaded.origins.values().all(|origin| origin == DEFAULT));
    }

    #[test]
    fn the_hash_depends_on_values_but_not_on_secrets_or_layers() {
        let hash = |text: &str| file(text).unwrap().hash;
        assert_eq!(hash("api: {reply: empty}"), load(&[Layer::flag("--set", "api.reply", "empty")]).unwrap().hash);
        assert_ne!(hash("api: {reply: empty}"), hash(""));
        assert_eq!(hash("").len(), 16);
        let store = |password: &str| {
            hash(&format!("store: {{host: a, user: b, database: c, password: {password}}}\nprivacy: {{key_file: k}}"))
        };
        assert_eq!(store("one"), store("two"));
    }

    #[test]
    fn the_start_leaves_out_invalid_config_maps() {
        let base = Layer::variable("DATABASE_URL", "store.url", "postgres://a/b");
        let needed = Layer::config_map("needed", "privacy: {identifiers: none}");
        let wrong = || Layer::config_map("wrong", "api: {replay: empty}");
        let start =
            |layers: &[Layer]| load_to_start(layers).map(|loaded| loaded.origins["privacy.identifiers"].clone());
        assert_eq!(start(&[base.clone(), needed.clone(), wrong()]).unwrap(), "configmap/needed");
        assert_eq!(start(&[Layer::file("x", "privacy: {identifiers: none}"), wrong(), wrong()]).unwrap(), "file x");
        assert!(start(&[base, wrong()]).is_err(), "the rest is wrong by itself");
    }

    #[test]
    fn null_unsets_what_an_earlier_layer_set() {
        let lower = Layer::file("a", "geo: 1");
        assert!(load(&[lower]).is_err());
        let layers = [Layer::file("a", "store: {url: 'sqlite://a.db'}"), Layer::file("b", "store: {url: ~}")];
        let loaded = load(&layers).unwrap();
        assert_eq!((&loaded.config.store.url, loaded.origins["store.url"].as_str()), (&None, "file b"));
    }

    #[test]
    fn an_invalid_value_is_reported_even_if_a_later_layer_overrides_it() {
        let layers = [Layer::file("a", "ingest: {lanes: x}"), Layer::flag("--set", "ingest.lanes", "2")];
        assert_eq!(load(&layers).unwrap_err().len(), 1);
    }

    #[test]
    fn an_invalid_key_causes_no_second_complaint() {
        let complaints = load(&[
            Layer::file("a", "privacy: {key_fiel: /run/k}"),
            Layer::variable("DATABASE_URL", "store.url", "postgres://db/n"),
        ])
        .unwrap_err();
        assert_eq!(complaints.len(), 1, "{complaints:?}");
    }

    #[test]
    fn the_empty_files_of_a_chart_change_nothing() {
        assert_eq!(*file("http:\nstore: {}\n").unwrap().config, Config::default());
    }

    /// Found by the fuzz target `config`: a dash without a value.
    #[test]
    fn an_empty_list_item_is_an_error() {
        let complaints = file("ingest:\n  mode_rules:\n    - {mode: a, instances: [b]}\n    -\n").unwrap_err();
        assert_eq!(complaints.len(), 1);
        assert_eq!(
            complaints[0].to_string(),
            "file x: ingest.mode_rules[1]: got nothing, allowed is an object with the keys `countries`, `instances`, `mode`, `networks`"
        );
        assert_eq!(file("http: {trusted_proxies: [~]}").unwrap_err().len(), 1);
    }

    #[test]
    fn a_config_map_must_not_set_secrets() {
        for (key, remedy) in [
            ("store: {url: 'postgres://n:hunter2@db/n'}", "NUTRITIONFACTS__STORE__URL"),
            ("store: {password: hunter2}", "NUTRITIONFACTS__STORE__PASSWORD"),
            ("privacy: {key: 0123456789abcdef0123456789abcdef}", "NUTRITIONFACTS__PRIVACY__KEY"),
        ] {
            let complaints = load(&[Layer::config_map("live", key)]).unwrap_err();
            let told = complaints[0].to_string();
            assert!(complaints.len() == 1 && told.contains("is a secret") && told.contains(remedy), "{told}");
            assert!(!told.contains("hunter2"));
        }
    }

    /// Any tree, often with keys of the schema, so that the check goes deep.
    fn tree() -> impl Strategy<Value = Value> {
        let mut names: Vec<String> =
            Key::all().iter().flat_map(|(path, _)| path.split('.').map(str::to_owned).collect::<Vec<_>>()).collect();
        names.extend(["networks", "instances", "mode", "netwroks"].map(str::to_owned));
        let text = prop_oneof![
            any::<String>(),
            prop::sample::select(vec!["5s", "1 MiB", "10.0.0.0/8", "127.0.0.1:80", "raw", "info", "99999 GiB", "1y"])
                .prop_map(str::to_owned),
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (0_u32..20).prop_map(Value::from),
            any::<f64>().prop_map(|float| json!(float)),
            text.prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 64, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::vec((prop::sample::select(names.clone()), inner), 0..6)
                    .prop_map(|pairs| Value::Object(Map::from_iter(pairs))),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_text_loads_or_returns_complaints(text in any::<String>(), yaml in "[a-z:{}\\[\\], \n\t*&!'\"#|>0-9-]{0,60}") {
            for text in [text, yaml] {
                if let Err(complaints) = file(text) {
                    prop_assert!(!complaints.is_empty());
                }
            }
        }

        #[test]
        fn any_tree_loads_or_returns_complaints(tree in tree()) {
            if let Err(complaints) = file(tree.to_string()) {
                prop_assert!(!complaints.is_empty());
            }
        }

        #[test]
        fn any_flag_loads_or_returns_complaints(key in "[a-z._]{0,20}", known in 0_usize..30, text in any::<String>()) {
            let keys = Key::all();
            for key in [&key, &keys[known % keys.len()].0] {
                if let Err(complaints) = load(&[Layer::flag("--set", key, text.clone())]) {
                    prop_assert!(!complaints.is_empty());
                }
            }
        }
    }
}
