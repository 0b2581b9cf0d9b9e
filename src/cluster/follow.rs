//! Keeps a set of objects up to date, whatever the API server does: a list, then watches from its resource version.
//!
//! Not kube's watcher: after a broken connection it continues from the last resource version, which is meaningless
//! to an API server whose database was restored (docs/decisions/0060-following-the-cluster.md). Here everything except
//! an orderly end leads to a new list, after a pause. A new list is also made periodically, in case a change was missed.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    pin::pin,
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{ListParams, WatchParams},
    core::WatchEvent,
};
use serde::de::DeserializeOwned;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use super::access::{Access, WATCH, explain, explain_status};
use crate::telemetry::metrics::Metrics;

/// Tolerance around the end of a watch: later counts as hung, earlier as broken.
const MARGIN: Duration = Duration::from_secs(5);
/// Interval between two lists.
const LIST: Duration = Duration::from_mins(5);
/// Backoff: first and longest pause before a retry, each with 50 % of jitter.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));
/// After this time a watch counts as established, and the backoff is reset.
const STABLE: Duration = Duration::from_secs(10);
/// The resource version has expired (HTTP 410).
const GONE: u16 = 410;

/// What is followed, with its name for logs and metrics.
pub(super) struct Follow<'a> {
    pub(super) access: &'a Access,
    /// The source, as `kubectl` writes it.
    pub(super) source: &'a str,
    /// Field selector such as `metadata.name=…`, by which a Role may allow single objects.
    pub(super) fields: Option<String>,
    pub(super) to: Answers<'a>,
}

/// Where the state of the connection to the API server is recorded.
#[derive(Clone, Copy)]
pub(super) struct Answers<'a> {
    pub(super) metrics: &'a Metrics,
    /// Number of sources without a first answer.
    pub(super) pending: &'a watch::Sender<usize>,
}

/// Why a session ended.
enum End {
    /// A new list is due; this is no error.
    Due,
    /// A watch broke off, or its resource version has expired: list again.
    Broken,
    /// An error.
    Problem(String),
}

impl Follow<'_> {
    /// Runs forever; `take` gets all objects by name whenever they may have changed. The last known objects are kept while
    /// the API server is unreachable, denies access, or does not know the kind.
    pub(super) async fn run<K>(self, api: impl Fn(Client, &str) -> Api<K>, mut take: impl FnMut(&BTreeMap<String, K>))
    where
        K: Resource + Clone + DeserializeOwned + Debug,
    {
        let mut state = State { of: &self, is_up: false, problem: None, is_pending: true, up_since: None };
        state.set_up(false);
        let mut pauses = Pauses::default();
        let mut access: Option<(Client, String)> = None;
        loop {
            let end = match &access {
                Some((client, namespace)) => self.session(&api(client.clone(), namespace), &mut state, &mut take).await,
                None => match self.access.client().await {
                    Ok(fresh) => {
                        access = Some(fresh);
                        continue;
                    }
                    Err(problem) => End::Problem(problem),
                },
            };
            if state.up_since.take().is_some_and(|since| since.elapsed() >= STABLE) {
                pauses = Pauses::default();
            }
            match end {
                End::Due => continue,
                End::Broken => {}
                End::Problem(problem) => state.down(problem),
            }
            // A new client picks up a rotated token, a new authority or a moved API server.
            access = None;
            sleep(pauses.next()).await;
        }
    }

    async fn session<K>(&self, api: &Api<K>, state: &mut State<'_>, take: &mut impl FnMut(&BTreeMap<String, K>)) -> End
    where
        K: Resource + Clone + DeserializeOwned + Debug,
    {
        let begun = Instant::now();
        let until = LIST.mul_f32(0.8 + 0.4 * fastrand::f32());
        let list = match api.list(&ListParams { field_selector: self.fields.clone(), ..ListParams::default() }).await {
            Ok(list) => list,
            Err(error) => return End::Problem(explain(&error)),
        };
        let mut version = list.metadata.resource_version.unwrap_or_default();
        let mut objects: BTreeMap<_, _> = list.items.into_iter().map(|object| (object.name_any(), object)).collect();
        take(&objects);
        state.answered();
        while begun.elapsed() < until {
            if let Err(end) = self.watch(api, &mut version, &mut objects, state, take).await {
                return end;
            }
        }
        End::Due
    }

    /// Runs one watch to its orderly end.
    async fn watch<K>(
        &self,
        api: &Api<K>,
        version: &mut String,
        objects: &mut BTreeMap<String, K>,
        state: &mut State<'_>,
        take: &mut impl FnMut(&BTreeMap<String, K>),
    ) -> Result<(), End>
    where
        K: Resource + Clone + DeserializeOwned + Debug,
    {
        let parameters = WatchParams {
            field_selector: self.fields.clone(),
            timeout: u32::try_from(WATCH.as_secs()).ok(),
            bookmarks: true,
            ..WatchParams::default()
        };
        let begun = Instant::now();
        let events = api.watch(&parameters, version).await.map_err(|error| End::Problem(explain(&error)))?;
        let mut events = pin!(events);
        state.up();
        while let Ok(Some(event)) = timeout(WATCH + MARGIN, events.next()).await {
            match event {
                Ok(WatchEvent::Added(object) | WatchEvent::Modified(object)) => {
                    *version = object.resource_version().unwrap_or_default();
                    objects.insert(object.name_any(), object);
                    take(objects);
                }
                Ok(WatchEvent::Deleted(object)) => {
                    *version = object.resource_version().unwrap_or_default();
                    objects.remove(&object.name_any());
                    take(objects);
                }
                Ok(WatchEvent::Bookmark(bookmark)) => *version = bookmark.metadata.resource_version,
                Ok(WatchEvent::Error(status)) if status.code == GONE => return Err(End::Broken),
                Ok(WatchEvent::Error(status)) => return Err(End::Problem(explain_status(&status))),
                Err(error) => return Err(End::Problem(explain(&error))),
            }
        }
        let lasted = begun.elapsed();
        if lasted + MARGIN < WATCH || lasted >= WATCH + MARGIN { Err(End::Broken) } else { Ok(()) }
    }
}

/// The state of following, so that each change is logged once.
struct State<'a> {
    of: &'a Follow<'a>,
    is_up: bool,
    up_since: Option<Instant>,
    problem: Option<String>,
    is_pending: bool,
}

impl State<'_> {
    /// A watch has begun. Not earlier: an account that may list but not watch would look healthy.
    fn up(&mut self) {
        self.up_since.get_or_insert_with(Instant::now);
        if !self.is_up {
            tracing::info!(source = self.of.source, "following the cluster");
            self.set_up(true);
        }
    }

    fn down(&mut self, problem: String) {
        if self.is_up || self.problem.as_ref() != Some(&problem) {
            tracing::warn!(
                source = self.of.source,
                problem,
                "cannot follow the cluster: the last known state stays active"
            );
            self.problem = Some(problem);
        }
        self.set_up(false);
        self.answered();
    }

    fn set_up(&mut self, is_up: bool) {
        self.is_up = is_up;
        self.of.to.metrics.config_watch_up.with_label_values(&[self.of.source]).set(i64::from(is_up));
    }

    fn answered(&mut self) {
        if std::mem::take(&mut self.is_pending) {
            self.of.to.pending.send_modify(|pending| *pending -= 1);
        }
    }
}

/// Exponential backoff with jitter, so that many clients do not retry at the same time.
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
    use std::{
        convert::Infallible,
        future::{Ready, ready},
        task::{Context, Poll},
    };

    use hyper::{Request, Response};
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::client::Body;
    use serde_json::{Value, json};

    use super::*;

    /// A real API server cannot be made to answer 410 on demand: this one returns a list of one object, then 410.
    #[derive(Clone)]
    struct Forgetful;

    impl tower::Service<Request<Body>> for Forgetful {
        type Response = Response<Body>;
        type Error = Infallible;
        type Future = Ready<Result<Response<Body>, Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, request: Request<Body>) -> Self::Future {
            let status =
                json!({"kind": "Status", "apiVersion": "v1", "code": 410, "reason": "Expired", "message": "too old"});
            let list = json!({"metadata": {"resourceVersion": "7"}, "items": [{"metadata": {"name": "a"}}]});
            let is_watch = request.uri().query().is_some_and(|query| query.contains("watch=true"));
            let answer: Value = if is_watch { json!({"type": "ERROR", "object": status}) } else { list };
            ready(Ok(Response::new(Body::from(format!("{answer}\n").into_bytes()))))
        }
    }

    #[tokio::test]
    async fn an_expired_resource_version_leads_to_a_new_list_without_a_warning() {
        let (access, metrics, pending) = (Access::new(None), Metrics::new(), watch::Sender::new(1));
        let to = Answers { metrics: &metrics, pending: &pending };
        let follow = Follow { access: &access, source: "configmap/a", fields: None, to };
        let mut state = State { of: &follow, is_up: false, problem: None, is_pending: true, up_since: None };
        let api: Api<ConfigMap> = Api::namespaced(Client::new(Forgetful, "n"), "n");
        let mut seen = Vec::new();
        let mut take = |objects: &BTreeMap<String, ConfigMap>| seen.push(objects.len());
        let end = follow.session(&api, &mut state, &mut take).await;
        assert!(matches!(end, End::Broken), "a new list, after a pause");
        assert!(state.is_up && state.problem.is_none() && *pending.borrow() == 0);
        assert_eq!(seen, [1]);
    }

    #[test]
    fn pauses_grow_to_a_limit() {
        let mut pauses = Pauses::default();
        let first = pauses.next();
        assert!(first >= PAUSES.0 / 2 && first <= PAUSES.0 * 3 / 2);
        let last = (0..20).map(|_| pauses.next()).last().unwrap();
        assert!(last >= PAUSES.1 / 2 && last <= PAUSES.1 * 3 / 2);
    }
}
