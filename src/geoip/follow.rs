//! Reads the database again when `geoip.database` or the file changes (docs/decisions/0021-files-are-read-again.md).

use std::{
    fs, mem,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, SecondsFormat};
use tokio::{
    sync::{mpsc, watch},
    task::spawn_blocking,
    time::timeout,
};

use super::database::{Database, Unusable};
use crate::{
    config::{
        Loaded,
        config_maps::ConfigMaps,
        looks::{self, Glimpse},
        notice::{Notice, Reason},
    },
    telemetry::metrics::Metrics,
};

const KEY: &str = "geoip.database";
/// How long the first ping waits for the database: a large one takes a second to read and check.
const PATIENCE: Duration = Duration::from_secs(10);

/// A file, and what changes with its content; reading it all twice a second would be too much.
#[derive(Debug, Clone, PartialEq)]
struct Look {
    path: Option<PathBuf>,
    /// Device, inode, size, and times of the last change of content and of properties. Symbolic links are followed.
    stamp: Result<[i64; 7], String>,
}

impl Look {
    #[expect(clippy::cast_possible_wrap, reason = "numbers that are only compared")]
    fn at(path: Option<PathBuf>) -> Self {
        let about = path.as_ref().map(fs::metadata).transpose();
        let stamp = about.map_err(|error| error.to_string()).map(|about| {
            about.map_or([0; 7], |about| {
                let (device, inode, size) = (about.dev() as i64, about.ino() as i64, about.size() as i64);
                [device, inode, size, about.mtime(), about.mtime_nsec(), about.ctime(), about.ctime_nsec()]
            })
        });
        Self { path, stamp }
    }
}

/// Follows the database.
pub struct Following {
    config: watch::Receiver<Loaded>,
    notices: Option<mpsc::Sender<Notice>>,
    metrics: Arc<Metrics>,
    current: watch::Sender<Option<Arc<Database>>>,
    /// The file that was last read, whatever came of it.
    read: Option<Look>,
    /// What is wrong with it.
    problem: String,
}

impl Following {
    pub(super) fn new(
        config: watch::Receiver<Loaded>,
        notices: Option<mpsc::Sender<Notice>>,
        metrics: Arc<Metrics>,
        current: watch::Sender<Option<Arc<Database>>>,
    ) -> Self {
        Self { config, notices, metrics, current, read: None, problem: String::new() }
    }

    /// Reads the database for the first time. If it cannot be used, pings are answered all the same, without countries.
    pub async fn begin(&mut self) {
        let Some(path) = self.path() else {
            self.read = Some(Look::at(None));
            tracing::info!(
                "countries are not looked up, because `{KEY}` is not set: docs/operations.md names free databases, and scripts/geoip fetches one"
            );
            return;
        };
        // A hung file system must not prevent the start.
        if timeout(PATIENCE, self.look()).await.is_err() {
            self.reject(&path, "it does not respond");
        }
    }

    /// Runs forever.
    pub async fn follow(mut self) {
        let (mut glimpse, mut ticks) = (Glimpse::default(), looks::ticks());
        loop {
            ticks.tick().await;
            let path = self.path();
            let Ok(look) = spawn_blocking(move || Look::at(path)).await else { continue };
            // Seen twice, because whoever overwrites the file in place may be in the middle of it.
            if glimpse.confirm(look, self.read.as_ref()).is_some() {
                self.look().await;
            }
        }
    }

    fn path(&self) -> Option<PathBuf> {
        self.config.borrow().geoip.database.clone()
    }

    /// Reads the file, and takes it into use if it is valid.
    async fn look(&mut self) {
        let path = self.path();
        let read = move || {
            let before = Look::at(path.clone());
            let database = path.as_deref().map(Database::read).transpose();
            let is_steady = Look::at(path) == before;
            (before, database, is_steady)
        };
        let Ok((look, database, is_steady)) = spawn_blocking(read).await else { return };
        // What was read while it changed may be a mixture of two databases.
        if !is_steady {
            return;
        }
        let path = look.path.clone().unwrap_or_default();
        // Where reading has failed it is tried again at the next look, the file may not change.
        let is_final = !database.as_ref().is_err_and(Unusable::is_transient) || look.stamp.is_err();
        self.read = is_final.then_some(look);
        match database {
            Ok(database) => self.accept(&path, database),
            Err(error) => self.reject(&path, &error.to_string()),
        }
    }

    fn accept(&mut self, path: &Path, database: Option<Database>) {
        self.problem.clear();
        self.metrics.geoip_database_rejected.set(0);
        let built = database.as_ref().map_or(0, Database::built);
        self.metrics.geoip_database_built_timestamp_seconds.set(built);
        if let Some(database) = &database {
            let built = DateTime::from_timestamp(built, 0).unwrap_or_default();
            let built = built.to_rfc3339_opts(SecondsFormat::Secs, true);
            tracing::info!(path = %path.display(), kind = database.kind(), built, "database of countries loaded");
        } else {
            tracing::info!("countries are not looked up any more, because `{KEY}` is not set");
        }
        self.current.send_replace(database.map(Arc::new));
    }

    /// Reports each problem once.
    fn reject(&mut self, path: &Path, problem: &str) {
        self.metrics.geoip_database_rejected.set(1);
        let problem = format!("{}: {problem}", path.display());
        if mem::replace(&mut self.problem, problem.clone()) == problem {
            return;
        }
        let rest = if self.current.borrow().is_some() {
            "the previous one stays in use"
        } else {
            "countries are unknown until it can be used"
        };
        tracing::error!(problem, "database of countries rejected: {rest}");
        let config = self.config.borrow();
        let config_map = config.origins.get(KEY).and_then(|layer| ConfigMaps::name_of(layer)).map(str::to_owned);
        if let (Some(config_map), Some(notices)) = (config_map, &self.notices) {
            let note = format!("{KEY}: {problem}. So {rest}");
            // Full only if the API server was unreachable for many changes: the log has them all.
            let _ = notices.try_send(Notice { config_map, reason: Reason::DatabaseRejected, note });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Layer, load};

    /// `kubectl describe configmap` shows what is wrong to whoever has named the file there.
    #[tokio::test]
    async fn a_config_map_gets_one_event_for_each_problem() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("countries.mmdb");
        let text = format!("geoip: {{database: {}}}", path.display());
        let of = |layer: Layer| watch::channel(load(&[layer]).unwrap()).1;
        let (notices, mut told) = mpsc::channel(10);
        let config = of(Layer::config_map("live", text.as_str()));
        let (_, mut following) = crate::geoip::follow(config, Some(notices.clone()), &Metrics::new());
        following.begin().await;
        following.look().await;
        let Notice { config_map, reason, note } = told.try_recv().unwrap();
        assert_eq!((config_map.as_str(), reason), ("live", Reason::DatabaseRejected));
        assert!(note.contains("countries.mmdb: No such file") && note.contains("unknown until"), "{note}");
        assert!(told.try_recv().is_err(), "once");
        fs::write(&path, "something else").unwrap();
        following.look().await;
        assert!(told.try_recv().unwrap().note.contains("it is not a complete MMDB file"), "{}", following.problem);

        let config = of(Layer::file("/etc/x.yaml", text));
        let (_, mut following) = crate::geoip::follow(config, Some(notices), &Metrics::new());
        following.begin().await;
        assert!(told.try_recv().is_err(), "a file has no Events");
    }
}
