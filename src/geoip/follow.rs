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
    sync::watch,
    task::spawn_blocking,
    time::{Instant, sleep, timeout},
};

use super::database::{Database, Unusable};
use crate::{
    config::{
        Loaded,
        config_maps::ConfigMaps,
        looks::{self, Glimpse},
        notice::{Notice, Notices, Reason},
    },
    telemetry::metrics::Metrics,
};

const KEY: &str = "geoip.database";
/// How long the first ping waits for the database, and after how long a file system counts as hung: a large database takes a
/// second to read and check.
const PATIENCE: Duration = Duration::from_secs(10);
/// A file that cannot be read is tried again after this time, unless its stamp changes before.
const RETRY: Duration = Duration::from_secs(30);

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
    notices: Notices,
    metrics: Arc<Metrics>,
    current: watch::Sender<Option<Arc<Database>>>,
    /// The file that was last read, whatever came of it.
    read: Option<Look>,
    /// When to read it again, if that may help although it stays as it is.
    again: Option<Instant>,
    /// What is wrong with it.
    problem: String,
}

impl Following {
    pub(super) fn new(
        config: watch::Receiver<Loaded>,
        notices: Notices,
        metrics: Arc<Metrics>,
        current: watch::Sender<Option<Arc<Database>>>,
    ) -> Self {
        Self { config, notices, metrics, current, read: None, again: None, problem: String::new() }
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
        let first = async {
            while !self.look().await {
                sleep(looks::PAUSE).await;
            }
        };
        // A hung file system must not prevent the start.
        if timeout(PATIENCE, first).await.is_err() {
            self.hung(&path);
        }
    }

    /// Runs forever.
    pub async fn follow(mut self) {
        let (mut glimpse, mut ticks) = (Glimpse::default(), looks::ticks());
        loop {
            ticks.tick().await;
            let Some(look) = self.beside(Look::at).await else { continue };
            let is_due = self.again.is_some_and(|moment| moment <= Instant::now());
            let read = self.read.as_ref().filter(|_| !is_due);
            // Seen twice, because whoever overwrites the file in place may be in the middle of it.
            if glimpse.confirm(look, read).is_some() {
                self.look().await;
            }
        }
    }

    /// Runs what may block for ever on a hung file system; `None` if another file was configured meanwhile, or it panicked.
    async fn beside<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(Option<PathBuf>) -> T + Send + 'static,
    ) -> Option<T> {
        let path = self.path();
        let mut task = spawn_blocking({
            let path = path.clone();
            move || work(path)
        });
        loop {
            match timeout(PATIENCE, &mut task).await {
                Ok(done) => return done.ok(),
                Err(_) if self.path() == path => self.hung(path.as_deref().unwrap_or(Path::new(""))),
                Err(_) => return None,
            }
        }
    }

    fn hung(&mut self, path: &Path) {
        // It is read again as soon as it responds.
        self.read = None;
        self.reject(path, "it does not respond");
    }

    fn path(&self) -> Option<PathBuf> {
        self.config.borrow().geoip.database.clone()
    }

    /// Reads the file, and takes it into use if it is valid; `false` if it changed meanwhile.
    async fn look(&mut self) -> bool {
        let read = |path: Option<PathBuf>| {
            let before = Look::at(path.clone());
            let database = path.as_deref().map(Database::read).transpose();
            let is_steady = Look::at(path) == before;
            (before, database, is_steady)
        };
        let Some((look, database, is_steady)) = self.beside(read).await else { return false };
        // What was read while it changed may be a mixture of two databases.
        if !is_steady {
            return false;
        }
        let path = look.path.clone().unwrap_or_default();
        let may_help = database.as_ref().is_err_and(Unusable::is_transient) && look.stamp.is_ok();
        self.again = may_help.then(|| Instant::now() + RETRY);
        self.read = Some(look);
        match database {
            Ok(database) => self.accept(&path, database),
            Err(error) => self.reject(&path, &error.to_string()),
        }
        true
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
        if let Some(config_map) = config_map {
            let note = format!("{KEY}: {problem}. So {rest}");
            self.notices.tell(Notice { config_map, reason: Reason::DatabaseRejected, note });
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;
    use crate::config::{Layer, load};

    #[tokio::test(start_paused = true)]
    async fn a_file_system_that_hangs_is_reported_until_it_responds() {
        let (_config, config) = watch::channel(load(&[Layer::file("/etc/x.yaml", "geoip: {database: /x}")]).unwrap());
        let metrics = Metrics::new();
        let (_, mut following) = crate::geoip::follow(config, Notices::default(), &metrics);
        following.read = Some(Look::at(None));
        let (release, held) = std::sync::mpsc::channel();
        let operator = async {
            tokio::time::advance(PATIENCE + Duration::from_millis(1)).await;
            for _ in 0..1_000 {
                tokio::task::yield_now().await;
            }
            let rejected = metrics.geoip_database_rejected.get();
            release.send(()).unwrap();
            rejected
        };
        let (responded, rejected) = tokio::join!(following.beside(move |_| held.recv().is_ok()), operator);
        assert_eq!((responded, rejected), (Some(true), 1));
        assert!(following.read.is_none(), "it is read again");
        assert_eq!(following.problem, "/x: it does not respond");
    }

    /// `kubectl describe configmap` shows what is wrong to whoever has named the file there.
    #[tokio::test]
    async fn a_config_map_gets_one_event_for_each_problem() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("countries.mmdb");
        let text = format!("geoip: {{database: {}}}", path.display());
        let of = |layer: Layer| watch::channel(load(&[layer]).unwrap()).1;
        let (notices, mut told) = mpsc::channel(10);
        let config = of(Layer::config_map("live", text.as_str()));
        let (_, mut following) = crate::geoip::follow(config, Notices::to(notices.clone()), &Metrics::new());
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
        let (_, mut following) = crate::geoip::follow(config, Notices::to(notices), &Metrics::new());
        following.begin().await;
        assert!(told.try_recv().is_err(), "a file has no Events");
    }
}
