//! What is followed in the cluster, as sources of messages beside the files.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use serde_json::Value;
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};

use super::{
    files::is_message_file,
    source::{CONFIG_MAPS, Content, Part, Source, Unknown},
};
use crate::{
    config::{
        config_maps::{ConfigMap, ConfigMaps, Sight},
        notice::Notice,
    },
    domain::message::Stage,
};

/// For the first answers.
const PATIENCE: Duration = Duration::from_secs(5);
/// The objects together, as `kubectl` names their kind.
const OBJECTS: &str = "kolibrimessage";

/// A message as an object in the cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// Tells it from an earlier one of its name.
    pub uid: String,
    /// Counts the changes of its `spec`.
    pub generation: i64,
    /// Changes with every write, of its status too.
    pub resource_version: String,
    /// What its author wrote.
    pub spec: Arc<Value>,
    /// What was written about it, `Null` if nothing.
    pub status: Value,
}

/// The objects by name; `None` until the API server has told of them.
pub type Objects = Option<BTreeMap<String, Object>>;

/// What has become of an object of that generation: a message of a stage, or what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Of the object that was read.
    pub uid: String,
    /// Of its `spec`.
    pub generation: i64,
    /// The message's stage, or all its problems in one text.
    pub outcome: Result<Stage, String>,
}

impl Verdict {
    /// Whether it is about the object as it is.
    #[must_use]
    pub fn is_about(&self, object: &Object) -> bool {
        self.uid == object.uid && self.generation == object.generation
    }
}

/// By name of the object.
pub type Verdicts = BTreeMap<String, Verdict>;

/// What is followed in the cluster; by default nothing.
#[derive(Debug, Clone, Default)]
pub struct Watched {
    /// ConfigMaps, of which every key but `config.yaml` may hold messages.
    pub config_maps: Option<watch::Receiver<ConfigMaps>>,
    /// Objects.
    pub objects: Option<watch::Receiver<Objects>>,
    /// Of how many the API server has neither told nor refused to tell since the start.
    pub pending: Option<watch::Receiver<usize>>,
    /// What becomes Events on ConfigMaps.
    pub notices: Option<mpsc::Sender<Notice>>,
}

impl Watched {
    /// Tells something about a ConfigMap, if there is anybody to tell.
    pub fn tell(&self, notice: Notice) {
        // Full only if the API server has been away for many changes: the log has them all.
        let _ = self.notices.as_ref().map(|notices| notices.try_send(notice));
    }

    /// Waits until the API server has answered about everything, as far as it answers; not for ever.
    pub async fn settled(&self) {
        if let Some(pending) = &self.pending {
            let _ = timeout(PATIENCE, pending.clone().wait_for(|pending| *pending == 0)).await;
        }
    }

    /// Whether there is an answer to wait for.
    pub(super) fn is_pending(&self) -> bool {
        self.pending.as_ref().is_some_and(|pending| *pending.borrow() > 0)
    }

    /// The sources in the cluster, then the files: of two messages with one id the first stays.
    ///
    /// A folder that is named as a ConfigMap is the mounted copy of that one. It stands for it until the API server has
    /// told of it, and counts as empty after.
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

    /// Paths of the sources, with how many parts each has, or that they are not known.
    fn shown(sources: &[Source]) -> Vec<String> {
        let parts = |source: &Source| source.parts.as_ref().map_or("?".into(), |parts| parts.len().to_string());
        sources.iter().map(|source| format!("{} {}", source.path.display(), parts(source))).collect()
    }

    #[test]
    fn a_mounted_copy_stands_in_until_the_config_map_is_seen() {
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
    fn objects_come_first() {
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
