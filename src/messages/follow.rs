//! Keeps the catalogue up to date: sources are read again, the last good state rests in the store.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::watch,
    task::{JoinHandle, spawn_blocking},
    time::{sleep, timeout},
};

use super::{
    catalogue::Catalogue,
    collection::Collection,
    files,
    source::Source,
    watched::{Verdicts, Watched},
};
use crate::{
    config::{
        Loaded,
        config_maps::ConfigMaps,
        looks::{self, Glimpse, PAUSE},
        notice::{MOST_TOLD, Notice, Reason},
    },
    store::{Store, StoreError},
    telemetry::metrics::Metrics,
};

/// A file system that does not answer in this time counts as one that cannot be read.
const LONGEST_READ: Duration = Duration::from_secs(5);
/// At the start: looks at sources that are different each time.
const MOST_LOOKS: usize = 10;

/// The catalogue in force; cheap to clone.
pub type Current = watch::Receiver<Arc<Catalogue>>;

/// Follows the sources of messages.
pub struct Messages {
    config: watch::Receiver<Loaded>,
    watched: Watched,
    store: Store,
    metrics: Arc<Metrics>,
    current: watch::Sender<Arc<Catalogue>>,
    verdicts: watch::Sender<Verdicts>,
    /// What the catalogue in force was made of.
    sources: Vec<Source>,
    collection: Collection,
    reading: Option<JoinHandle<Vec<Source>>>,
    /// What the store is to remember, until it does.
    unsaved: Option<String>,
    is_save_failing: bool,
}

impl Messages {
    /// Without messages until [`Self::begin`].
    #[must_use]
    pub fn new(config: watch::Receiver<Loaded>, watched: Watched, store: Store, metrics: Arc<Metrics>) -> Self {
        Self {
            config,
            watched,
            store,
            metrics,
            current: watch::Sender::new(Arc::default()),
            verdicts: watch::Sender::default(),
            sources: Vec::new(),
            collection: Collection::default(),
            reading: None,
            unsaved: None,
            is_save_failing: false,
        }
    }

    /// The catalogue in force, from now on.
    #[must_use]
    pub fn current(&self) -> Current {
        self.current.subscribe()
    }

    /// What becomes of the objects in the cluster, from now on.
    #[must_use]
    pub fn verdicts(&self) -> watch::Receiver<Verdicts> {
        self.verdicts.subscribe()
    }

    /// Reads the sources for the first time, and gives the API server five seconds. What cannot be read counts as it was when it could: an empty catalogue by
    /// accident would withdraw every message from every device that pings.
    ///
    /// # Errors
    /// Something cannot be read, and the store cannot be asked either: try again.
    pub async fn begin(&mut self) -> Result<(), StoreError> {
        let mut sources = self.read().await;
        for _ in 0..MOST_LOOKS {
            if sources.is_empty() {
                break;
            }
            sleep(PAUSE).await;
            // Asked before: what comes meanwhile is seen at the next look.
            let is_pending = self.watched.is_pending();
            let again = self.read().await;
            if std::mem::replace(&mut sources, again) == sources && !is_pending {
                break;
            }
        }
        let before = if sources.iter().all(Source::is_complete) {
            Collection::default()
        } else {
            self.store.message_snapshot().await?.as_deref().map(Collection::of_snapshot).unwrap_or_default()
        };
        for complaint in before.rejected.iter().flatten() {
            tracing::error!(%complaint, "message rejected: it is left out");
        }
        self.publish(sources, &before);
        Ok(())
    }

    /// Runs for ever.
    pub async fn follow(mut self) {
        let (mut glimpse, mut ticks) = (Glimpse::default(), looks::ticks());
        loop {
            ticks.tick().await;
            let sources = self.read().await;
            if let Some(sources) = glimpse.confirm(sources, Some(&self.sources)) {
                let before = std::mem::take(&mut self.collection);
                self.publish(sources, &before);
            }
            self.save().await;
        }
    }

    async fn read(&mut self) -> Vec<Source> {
        let paths: Vec<PathBuf> = self.config.borrow().messages.files.clone();
        let unread = || paths.iter().map(|path| Source::unreadable(path, "it does not answer")).collect::<Vec<_>>();
        // While one reading hangs no other is begun: each would take a thread.
        let for_these = paths.clone();
        let reading = self.reading.get_or_insert_with(|| spawn_blocking(move || files::read(&for_these)));
        let files = match timeout(LONGEST_READ, reading).await {
            Ok(read) => {
                self.reading = None;
                read.unwrap_or_else(|_| unread())
            }
            Err(_) => unread(),
        };
        self.watched.before(files)
    }

    /// Puts in force what the sources hold, and says what is wrong with them.
    fn publish(&mut self, sources: Vec<Source>, before: &Collection) {
        let collection = Collection::of(&sources, before);
        self.current.send_replace(Arc::new(collection.catalogue()));
        self.verdicts.send_replace(collection.verdicts.clone());
        for complaint in &collection.unreadable {
            tracing::error!(%complaint, "cannot read messages: those that were there stay in force");
        }
        self.tell(&collection, before);
        let (active, rejected) = (collection.active(), collection.rejected.len() + collection.unreadable.len());
        self.metrics.messages_active.set(count(active));
        self.metrics.messages_rejected.set(count(rejected));
        let (messages, were) = (collection.messages().count(), before.messages().count());
        if messages + were + rejected > 0 {
            tracing::info!(messages, active, rejected, "messages loaded");
        }
        // Who has no sources has nothing to remember, and others may share the store.
        self.unsaved = (!sources.is_empty()).then(|| collection.snapshot());
        self.collection = collection;
        self.sources = sources;
    }

    /// Says what is wrong with messages and was not before.
    fn tell(&self, collection: &Collection, before: &Collection) {
        let known: BTreeSet<_> = before.rejected.iter().collect();
        let fresh = collection.rejected.iter().filter(|complaints| !known.contains(complaints));
        let fresh: Vec<_> = fresh.flatten().collect();
        for complaint in fresh.iter().take(MOST_TOLD) {
            tracing::error!(%complaint, "message rejected: it is left out");
        }
        if let Some(more @ 1..) = fresh.len().checked_sub(MOST_TOLD) {
            tracing::error!(more, "messages rejected: there are more complaints");
        }
        let mut by_config_map = BTreeMap::<_, Vec<_>>::new();
        for complaint in fresh {
            if let Some((name, _)) = ConfigMaps::name_of(&complaint.file).and_then(|path| path.split_once('/')) {
                by_config_map.entry(name.to_owned()).or_default().push(complaint);
            }
        }
        for (config_map, complaints) in by_config_map {
            let more =
                if complaints.len() > 1 { format!(" (and {} more)", complaints.len() - 1) } else { String::new() };
            let note = format!("{}{more}. It is left out", complaints[0]);
            self.watched.tell(Notice { config_map, reason: Reason::MessagesRejected, note });
        }
    }

    /// Lets the store remember, if it does not yet; failing, it is tried again at the next look.
    async fn save(&mut self) {
        let Some(snapshot) = &self.unsaved else { return };
        match self.store.save_message_snapshot(snapshot).await {
            Ok(()) => {
                self.unsaved = None;
                self.is_save_failing = false;
            }
            Err(error) if !self.is_save_failing => {
                tracing::warn!(%error, "cannot remember the messages in the store yet");
                self.is_save_failing = true;
            }
            Err(_) => {}
        }
    }
}

fn count(messages: usize) -> i64 {
    i64::try_from(messages).unwrap_or(i64::MAX)
}
