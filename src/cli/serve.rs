//! The subcommand `nutritionfacts serve`: what the server consists of, and how it is wired.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use clap::Args;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, oneshot, watch},
    time::timeout,
};

use super::{Failure, clock::SystemClock, privacy_key, reconfigure::Reconfigure, with_causes};
use crate::{
    cluster::Cluster,
    config::{Config, Layer, Loaded, config_maps::ConfigMaps, live, sections},
    domain::Clock,
    geoip,
    http::{
        self,
        budget::Budgets,
        refusals::Refusals,
        serve::{Listener, bind},
        socket::Deadlines,
        state::{AppState, Shared},
        unknown::Unknown,
    },
    ingest::{Ingest, health::Health},
    leadership,
    lifecycle::{End, Lifecycle},
    maintenance,
    messages::Messages,
    store::{MigrationError, Store},
    telemetry::{Controls, metrics::Metrics, traces::Traces},
};

/// The admin listener has few clients, and they need few connections.
const MAX_ADMIN_CONNECTIONS: usize = 100;
/// File descriptors reserved for other uses: configuration files, the database file, the API server, traces, the log.
const OTHER_FILES: usize = 100;
/// Timeout for the first answers of the API server and for applying them.
const FIRST_LOOK: Duration = Duration::from_secs(7);
/// Between two attempts to migrate while the database is down.
const MIGRATE_PAUSE: Duration = Duration::from_secs(1);

/// `serve` takes no flags of its own.
#[derive(Debug, Args)]
pub struct Options {}

impl Options {
    /// Runs until it is stopped; `read` reads the layers of the configuration again.
    ///
    /// # Errors
    ///
    /// If the server cannot start, or a part of it fails while it runs.
    pub async fn run(
        self,
        loaded: Loaded,
        controls: Controls,
        read: impl Fn() -> Vec<Layer> + Clone + Send + 'static,
    ) -> Result<(), Failure> {
        let config = loaded.config.clone();
        let metrics = Metrics::new();
        let (version, revision) = (env!("CARGO_PKG_VERSION"), revision());
        metrics.build_info.with_label_values(&[version, revision]).set(1);
        let open_files = raise_open_files();
        tracing::info!(version, revision, config = loaded.hash, open_files, "starting");

        let lifecycle = Lifecycle::default();
        let signals = other_signals().map_err(Failure::running)?;
        lifecycle.spawn_essential("signals", until_stop(lifecycle.clone(), signals));
        let store = Store::open(&config.store).await.map_err(|error| Failure::of_store(&loaded, error))?;
        metrics.begin_store(store.kind());
        let folder = store.folder().map(PathBuf::from);
        privacy_key::prepare(&config.privacy, folder.as_deref()).map_err(Failure::running)?;
        let rules = privacy_key::rules(&config.privacy, folder.as_deref());
        let rules = rules.map_err(|error| Failure::of_rules(&loaded, error))?;
        let privacy = watch::Sender::new(Arc::new(rules));
        let (running, loaded) = watch::channel(loaded);
        let health = Health::new(&store, &metrics);
        let ingest = Ingest::start(
            &store,
            SystemClock,
            loaded.clone(),
            privacy.subscribe(),
            health.clone(),
            &metrics,
            &lifecycle,
        );

        let config_maps = watch::Sender::new(ConfigMaps::named(config.kubernetes.config_maps.clone()));
        let seen = config_maps.subscribe();
        let cluster = Cluster::new(&config.kubernetes, config_maps);
        let watched = cluster.as_ref().map(Cluster::watched).unwrap_or_default();
        let messages = Messages::new(loaded.clone(), watched.clone(), store.clone(), metrics.clone(), SystemClock);
        let (places, following) = geoip::follow(loaded.clone(), watched.notices.clone(), &metrics);
        let leads = watch::Sender::new(false);
        if let Some(cluster) = cluster {
            let run = cluster.run(messages.verdicts(), leads.subscribe(), metrics.clone(), SystemClock);
            lifecycle.spawn_essential("cluster", until_stop(lifecycle.clone(), run));
        }
        let state = Arc::new(AppState {
            ingest: ingest.clone(),
            messages: messages.current(),
            places,
            config: loaded.clone(),
            health: health.clone(),
            lifecycle: lifecycle.clone(),
            metrics: metrics.clone(),
            budgets: Budgets::default(),
            refusals: Refusals::default(),
            unknown: Unknown::default(),
        });
        // Both are bound before anything else happens, so that probes are answered while migrations run.
        for listener in [
            public(&config.http, max_connections(&config, open_files), &state, &controls.traces)?,
            admin(&config, &state)?,
        ] {
            lifecycle.spawn_essential(listener.name, listener.run(lifecycle.clone(), metrics.clone()));
        }
        let leadership = leadership::run(store.clone(), metrics.clone(), leads);
        let (looked, first_look) = oneshot::channel();
        // Only ConfigMaps can make the first look find anything that was unknown at start.
        let first_look = (!config.kubernetes.config_maps.is_empty()).then_some(first_look);
        let maintenance = maintenance::run(store.clone(), SystemClock, metrics.clone());
        let duties = async { tokio::join!(leadership, maintenance) };
        let keep = keep_store(store.clone(), health, messages, following, first_look, duties, lifecycle.clone());
        lifecycle.spawn_essential("store", keep);
        let (sender, outcomes) = mpsc::channel(1);
        let read = move || {
            let layers = read();
            // A hung file system must not block this task.
            seen.borrow().arrange(layers)
        };
        let (accept, settled) = (Reconfigure::accept(folder.clone()), watched.clone());
        let watch = async move {
            settled.settled().await;
            live::watch(read, accept, running, sender, looked).await;
        };
        lifecycle.spawn_essential("configuration watch", until_stop(lifecycle.clone(), watch));
        let reconfigure =
            Reconfigure { running: loaded, privacy, folder, controls, metrics, watched, misplaced: Vec::new() };
        lifecycle.spawn_essential("configuration", until_stop(lifecycle.clone(), reconfigure.run(outcomes)));

        let finish = async { ingest.close() };
        let end = lifecycle.run(config.shutdown.delay, config.shutdown.grace, finish).await;
        match end.map_err(Failure::running)? {
            End::Soft => {
                store.close().await;
                tracing::info!("stopped");
                Ok(())
            }
            End::Hard(reason) => Err(Failure::running(format!("stopped with requests in progress: {reason}"))),
            End::Failed(reason) => Err(Failure::running(reason)),
        }
    }
}

/// Handles signals whose default would end the process: `systemctl reload` and log rotation send them.
fn other_signals() -> io::Result<impl Future<Output = ()> + Send> {
    let mut hangup = signal(SignalKind::hangup())?;
    let mut users = (signal(SignalKind::user_defined1())?, signal(SignalKind::user_defined2())?);
    Ok(async move {
        loop {
            let name = tokio::select! {
                _ = hangup.recv() => "SIGHUP",
                _ = users.0.recv() => "SIGUSR1",
                _ = users.1.recv() => "SIGUSR2",
            };
            if name == "SIGHUP" {
                tracing::info!(signal = name, "the configuration is read twice a second, with or without a signal");
            } else {
                tracing::info!(signal = name, "signal ignored");
            }
        }
    })
}

/// Runs a task that can be cancelled at any time.
async fn until_stop(lifecycle: Lifecycle, task: impl Future<Output = ()> + Send) {
    tokio::select! {
        () = task => {}
        () = lifecycle.stop().cancelled() => {}
    }
}

fn public(http: &sections::Http, max_connections: usize, state: &Shared, traces: &Traces) -> Result<Listener, Failure> {
    let deadlines = Deadlines { header: http.header_timeout, idle: http.idle_timeout };
    let listener = listener("public", http.listen, http::public(state.clone()), deadlines, max_connections)?;
    Ok(Listener { traces: traces.clone(), ..listener })
}

fn admin(config: &Config, state: &Shared) -> Result<Listener, Failure> {
    let deadlines = Deadlines { header: config.http.header_timeout, idle: config.http.idle_timeout };
    listener("admin", config.admin.listen, http::admin(state.clone()), deadlines, MAX_ADMIN_CONNECTIONS)
}

fn listener(
    name: &'static str,
    address: SocketAddr,
    routes: http::Routes,
    deadlines: Deadlines,
    max_connections: usize,
) -> Result<Listener, Failure> {
    let key = if name == "admin" { "admin.listen" } else { "http.listen" };
    let socket =
        bind(address).map_err(|error| Failure::running(format!("cannot listen on {address} (`{key}`): {error}")))?;
    let address = socket.local_addr().map_err(Failure::running)?;
    tracing::info!(listener = name, %address, "listening");
    Ok(Listener { name, socket, routes, deadlines, max_connections, traces: Traces::default() })
}

/// Migrates, for as long as the database is down; then runs the health probe and the periodic tasks until the stop.
async fn keep_store(
    store: Store,
    health: Health,
    mut messages: Messages,
    mut places: geoip::Following,
    first_look: Option<oneshot::Receiver<()>>,
    duties: impl Future<Output = ((), ())> + Send,
    lifecycle: Lifecycle,
) {
    let work = async {
        // Apply the ConfigMaps before the first ping is answered, if the API server can be reached.
        if let Some(first_look) = first_look {
            let _ = timeout(FIRST_LOOK, first_look).await;
        }
        places.begin().await;
        let mut said = String::new();
        // No ping is answered before the messages are known: an empty set would withdraw them.
        while let Err(error) = prepare(&store, &mut messages).await {
            let problem = with_causes(&error);
            if !error.is_transient() {
                return lifecycle.fail(problem);
            }
            // Each problem is logged once, not once a second.
            if problem != said {
                tracing::warn!(problem, "cannot reach the store yet: clients get 503 until it is up");
                said = problem;
            }
            tokio::time::sleep(MIGRATE_PAUSE.mul_f32(0.5 + fastrand::f32())).await;
        }
        health.set(true, "");
        lifecycle.set_started();
        tracing::info!(store = store.kind(), "ready");
        tokio::join!(health.probe(store.clone()), messages.follow(), places.follow(), duties);
    };
    // Migrations make it a large future, which runs once.
    until_stop(lifecycle.clone(), Box::pin(work)).await;
}

async fn prepare(store: &Store, messages: &mut Messages) -> Result<(), MigrationError> {
    store.migrate(SystemClock.now()).await?;
    Ok(messages.begin().await?)
}

/// The commit of this build, from `NUTRITIONFACTS_REVISION` at build time.
fn revision() -> &'static str {
    option_env!("NUTRITIONFACTS_REVISION").unwrap_or("unknown")
}

/// How many connections are allowed: bounded by the limit of open files, of which some are reserved for the admin listener,
/// the store and files.
fn max_connections(config: &Config, open_files: u64) -> usize {
    let store = usize::try_from(config.store.max_connections).unwrap_or(usize::MAX);
    let others = MAX_ADMIN_CONNECTIONS.saturating_add(store).saturating_add(OTHER_FILES);
    let most = usize::try_from(open_files).unwrap_or(usize::MAX).saturating_sub(others).max(1);
    let wanted = config.http.max_connections;
    // The limit is ignored if it is unknown.
    if open_files == 0 || wanted <= most {
        return wanted;
    }
    tracing::warn!(
        open_files,
        "http.max_connections is {wanted}, but the limit of open files allows {most}: raise that limit (ulimit -n, LimitNOFILE=)"
    );
    most
}

/// Raises the soft limit of open files, which is often 1,024, to the hard limit; returns the limit, or 0 if unknown.
fn raise_open_files() -> u64 {
    rlimit::increase_nofile_limit(u64::MAX).unwrap_or(0)
}
