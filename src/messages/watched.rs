//! ConfigMaps and objects of the cluster as sources of messages, in addition to files.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use serde_json::Value;
use tokio::{sync::watch, time::timeout};

use super::{
    files::is_message_file,
    source::{CONFIG_MAPS, Content, Part, Source, Unknown},
};
use crate::{
    config::{
        config_maps::{ConfigMap, ConfigMaps, Sight},
        notice::Notices,
    },
    domain::message::Schedule,
};

/// Timeout for the first answers.
const PATIENCE: Duration = Duration::from_secs(5);
/// The source of all objects, as `kubectl` names their kind.
const OBJECTS: &str = "kolibrimessage";

/// A message as an object in the cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// Distinguishes it from an earlier one of the same name.
    pub uid: String,
    /// Counts the changes of its `spec`.
    pub generation: i64,
    /// Changes with every write, including writes of the status.
    pub resource_version: String,
    /// The document.
    pub spec: Arc<Value>,
    /// The status, `Null` if there is none.
    pub status: Value,
}

/// The objects by name; `None` until the API server has answered.
pub type Objects = Option<BTreeMap<String, Object>>;

/// The result of checking an object of that generation: the schedule of a message, or errors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Of the object that was read.
    pub uid: String,
    /// Of its `spec`.
    pub generation: i64,
    /// The message's schedule, or all its errors in one text.
    pub outcome: Result<Schedule, String>,
}

impl Verdict {
    /// Whether it is about the object in its current version.
    #[must_use]
    pub fn is_about(&self, object: &Object) -> bool {
        self.uid == object.uid && self.generation == object.generation
    }
}

/// Verdicts by name of the object.
pub type Verdicts = BTreeMap<String, Verdict>;

/// The sources in the cluster; none by default.
#[derive(Debug, Clone, Default)]
pub struct Watched {
    /// ConfigMaps, in which every key except `config.yaml` may contain messages.
    pub config_maps: Option<watch::Receiver<ConfigMaps>>,
    /// The objects.
    pub objects: Option<watch::Receiver<Objects>>,
    /// Number of sources that the API server has neither returned nor denied since the start.
    pub pending: Option<watch::Receiver<usize>>,
    /// Takes notices for Events on ConfigMaps.
    pub notices: Notices,
}

impl Watched {
    /// Waits until the API server has answered about each source, up to a timeout.
    pub async fn settled(&self) {
        if let Some(pending) = &self.pending {
            let _ = timeout(PATIENCE, pending.clone().wait_for(|pending| *pending == 0)).await;
        }
    }

    /// Whether an answer is pending.
    pub(super) fn is_pending(&self) -> bool {
        self.pending.as_ref().is_some_and(|pending| *pending.borrow() > 0)
    }

    /// The sources in the cluster, then the files: of two messages with the same id the first one wins.
    ///
    /// A folder with the name of a ConfigMap is its mounted copy. It is used until the API server has returned the ConfigMap,
    /// and counts as empty from then on.
    pub(super) fn before(&self, mut files: Vec<Source>) -> Vec<Source> {
        let mut sources = Vec::new();
        if let Some(objects) = &self.objects {
            sources.push(of_objects(objects.borrow().as_ref()));
        }
        if let Some(config_maps) = &self.config_maps {
            for (name, sight) in config_maps.borrow().iter() {
                let mut copies: Vec<_> = files.iter_mut().filter(|file| file.path.ends_with(name)).collect();
                let parts = match sight {
                    Sight::Unseen if copies.iter().any(|copy| copy.is_complete()) => Ok(Vec::new()),
                    Sight::Unseen => Err(Unknown::Unseen),
                    Sight::Absent => Ok(Vec::new()),
                    Sight::Present(config_map) => Ok(parts(name, config_map)),
                };
                if *sight != Sight::Unseen {
                    for copy in &mut copies {
                        copy.parts = Ok(Vec::new());
                    }
                }
                sources.push(Source { path: Path::new(CONFIG_MAPS).join(name), parts });
            }
        }
        sources.extend(files);
        sources
    }
}

fn of_objects(objects: Option<&BTreeMap<String, Object>>) -> Source {
    let part = |(name, object): (&String, &Object)| Part {
        path: Path::new(OBJECTS).join(name),
        content: Ok(Content::Object {
            uid: object.uid.clone(),
            generation: object.generation,
            spec: object.spec.clone(),
        }),
    };
    let parts = objects.map(|objects| objects.iter().map(part).collect()).ok_or(Unknown::Unseen);
    Source { path: OBJECTS.into(), parts }
}

fn parts(name: &str, config_map: &ConfigMap) -> Vec<Part> {
    let texts = config_map.data.iter().filter(|(key, _)| is_message_file(Path::new(key)));
    texts.map(|(key, text)| Part::text(Path::new(CONFIG_MAPS).join(name).join(key), Ok(text.clone()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config_map(keys: &[&str]) -> Sight {
        let data = keys.iter().map(|key| ((*key).to_owned(), String::new())).collect();
        Sight::Present(Arc::new(ConfigMap { data, ..ConfigMap::default() }))
    }

    fn folder(path: &str) -> Source {
        Source { path: path.into(), parts: Ok(vec![Part::text(Path::new(path).join("a.yaml"), Ok(String::new()))]) }
    }

    /// Paths of the sources, with their number of parts, or that they are unknown.
    fn shown(sources: &[Source]) -> Vec<String> {
        let parts = |source: &Source| source.parts.as_ref().map_or("?".into(), |parts| parts.len().to_string());
        sources.iter().map(|source| format!("{} {}", source.path.display(), parts(source))).collect()
    }

    #[test]
    fn a_mounted_copy_is_used_until_the_config_map_is_known() {
        let sender = watch::Sender::new(ConfigMaps::named(vec!["live".into(), "more".into()]));
        let watched = Watched { config_maps: Some(sender.subscribe()), ..Watched::default() };
        let files = || vec![folder("/etc/n/live"), folder("/etc/n/own")];
        let note = |name: &str, sight: &Sight| {
            sender.send_if_modified(|all| all.set(name, sight));
        };
        let with = |sight: Option<Sight>| {
            if let Some(sight) = sight {
                note("live", &sight);
            }
            shown(&watched.before(files()))
        };
        assert_eq!(with(None), ["configmap/live 0", "configmap/more ?", "/etc/n/live 1", "/etc/n/own 1"]);
        let seen = config_map(&["config.yaml", "a.yaml", "b.yml", "notes.txt"]);
        assert_eq!(with(Some(seen)), ["configmap/live 2", "configmap/more ?", "/etc/n/live 0", "/etc/n/own 1"]);
        assert_eq!(with(Some(Sight::Absent))[..3], ["configmap/live 0", "configmap/more ?", "/etc/n/live 0"]);
        note("more", &Sight::Absent);
        let unmounted = vec![Source::unreadable(Path::new("/etc/n/live"), "gone")];
        note("live", &Sight::Unseen);
        assert_eq!(shown(&watched.before(unmounted))[0], "configmap/live ?");
    }

    #[test]
    fn objects_precede_config_maps_and_files() {
        let sender = watch::Sender::new(None);
        let watched = Watched { objects: Some(sender.subscribe()), ..Watched::default() };
        assert_eq!(shown(&watched.before(vec![folder("m")])), ["kolibrimessage ?", "m 1"]);
        let object = Object {
            uid: "u".into(),
            generation: 1,
            resource_version: "7".into(),
            spec: Arc::new(Value::Null),
            status: Value::Null,
        };
        sender.send_replace(Some([("hello".to_owned(), object)].into()));
        let sources = watched.before(vec![]);
        assert_eq!(sources[0].parts.as_ref().unwrap()[0].path, Path::new("kolibrimessage/hello"));
    }
}
