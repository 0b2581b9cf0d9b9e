//! A set of objects that is kept up to date, whatever the API server does.
//!
//! The library lists and then watches. Here an error ends that, and it begins with a new list: the number from which a
//! watch would go on means nothing to an API server whose database has been put back. A list also comes now and then, in
//! case something was missed without a word.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    pin::pin,
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use kube::{
    Api, Client, Resource, ResourceExt,
    runtime::watcher::{self, Event, watcher},
};
use serde::de::DeserializeOwned;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use super::access::{Access, explain, explain_status};
use crate::telemetry::metrics::Metrics;

/// After so long the API server ends a quiet watch, and it begins anew; five seconds later we do. So long a connection
/// that was cut without a word goes unnoticed.
pub(super) const WATCH: Duration = Duration::from_secs(30);
/// Between two lists.
const LIST: Duration = Duration::from_mins(5);
/// Before the next try, at first and at most; each half to one and a half of it.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));
/// What has gone well so long is well.
const STABLE: Duration = Duration::from_secs(10);
/// The watch has to begin again with a list (HTTP 410).
const GONE: u16 = 410;

/// What is followed, for the log and the metrics.
pub(super) struct Follow<'a> {
    pub(super) access: &'a Access,
    /// As `kubectl` writes it.
    pub(super) source: &'a str,
    /// `metadata.name=…`, by which a Role may name single objects.
    pub(super) fields: Option<String>,
    pub(super) to: Answers<'a>,
}

/// Where it is noted how the API server answers.
#[derive(Clone, Copy)]
pub(super) struct Answers<'a> {
    pub(super) metrics: &'a Metrics,
    /// How many have not been answered yet.
    pub(super) pending: &'a watch::Sender<usize>,
}

impl Follow<'_> {
    /// Runs for ever; `take` gets all objects by name whenever they may have changed. What was last known stays when the
    /// API server is away, refuses, or does not know the kind.
    pub(super) async fn run<K>(self, api: impl Fn(Client, &str) -> Api<K>, mut take: impl FnMut(&BTreeMap<String, K>))
    where
        K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    {
        let up = self.to.metrics.config_watch_up.with_label_values(&[self.source]);
        let (mut pauses, mut said) = (Pauses::default(), Said::default());
        let mut pending = true;
        let mut answered = || {
            if std::mem::take(&mut pending) {
                self.to.pending.send_modify(|pending| *pending -= 1);
            }
        };
        let mut access: Option<(Client, String)> = None;
        loop {
            let ended = match &access {
                Some((client, namespace)) => {
                    let api = api(client.clone(), namespace);
                    let begun = Instant::now();
                    let synced = |objects: &_| {
                        up.set(1);
                        said.up(self.source);
                        take(objects);
                        answered();
                    };
                    let ended = self.session(api, synced).await;
                    // Who may list but not watch gets as far, each time.
                    if begun.elapsed() >= STABLE {
                        (pauses, said.problem) = (Pauses::default(), None);
                    }
                    ended
                }
                None => match self.access.client().await {
                    Ok(fresh) => {
                        access = Some(fresh);
                        continue;
                    }
                    Err(problem) => Err(problem),
                },
            };
            if let Err(problem) = ended {
                up.set(0);
                said.down(self.source, problem);
                answered();
                access = None;
                sleep(pauses.next()).await;
            }
        }
    }

    /// One list and what follows, until it is time for another or something is wrong.
    async fn session<K>(&self, api: Api<K>, mut take: impl FnMut(&BTreeMap<String, K>)) -> Result<(), String>
    where
        K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    {
        let seconds = u32::try_from(WATCH.as_secs()).unwrap_or(u32::MAX);
        let mut config = watcher::Config::default().timeout(seconds);
        config.field_selector.clone_from(&self.fields);
        let mut events = pin!(watcher(api, config));
        let mut objects = BTreeMap::new();
        let session = async {
            while let Some(event) = events.next().await {
                match event {
                    Ok(Event::Init) => objects.clear(),
                    Ok(Event::InitApply(object)) => drop(objects.insert(object.name_any(), object)),
                    Ok(Event::InitDone) => take(&objects),
                    Ok(Event::Apply(object)) => {
                        objects.insert(object.name_any(), object);
                        take(&objects);
                    }
                    Ok(Event::Delete(object)) => {
                        objects.remove(&object.name_any());
                        take(&objects);
                    }
                    // No fault of anybody: what has happened since is not kept any more.
                    Err(watcher::Error::WatchError(status)) if status.code == GONE => return Ok(()),
                    Err(error) => return Err(problem(&error)),
                }
            }
            Ok(())
        };
        timeout(LIST.mul_f32(0.8 + 0.4 * fastrand::f32()), session).await.unwrap_or(Ok(()))
    }
}

/// What was logged, so that each change is logged once.
#[derive(Default)]
struct Said {
    problem: Option<String>,
    is_up: bool,
}

impl Said {
    fn up(&mut self, source: &str) {
        if !self.is_up {
            tracing::info!(source, "following the cluster");
            self.is_up = true;
        }
    }

    fn down(&mut self, source: &str, problem: String) {
        if self.problem.as_ref() != Some(&problem) {
            tracing::warn!(source, problem, "cannot follow the cluster: what was last known stays");
            *self = Self { problem: Some(problem), is_up: false };
        }
    }
}

fn problem(error: &watcher::Error) -> String {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => explain(error),
        watcher::Error::WatchError(status) => explain_status(status),
        watcher::Error::NoResourceVersion => "the API server gives no resource versions".to_owned(),
    }
}

/// Longer and longer, and never the same: a thousand clients must not come back at once.
pub(super) struct Pauses(Duration);

impl Default for Pauses {
    fn default() -> Self {
        Self(PAUSES.0)
    }
}

impl Pauses {
    pub(super) fn next(&mut self) -> Duration {
        let about = self.0;
        self.0 = (about * 2).min(PAUSES.1);
        about.mul_f32(0.5 + fastrand::f32())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit() {
        let mut pauses = Pauses::default();
        let first = pauses.next();
        assert!(first >= PAUSES.0 / 2 && first <= PAUSES.0 * 3 / 2);
        let last = (0..20).map(|_| pauses.next()).last().unwrap();
        assert!(last >= PAUSES.1 / 2 && last <= PAUSES.1 * 3 / 2);
    }
}
