//! Keeps the catalogue up to date: sources are read periodically, and the store keeps the last good state.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use chrono::NaiveDate;
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
    domain::Clock,
    store::{Store, StoreError},
    telemetry::metrics::Metrics,
};

/// Timeout for reading files; a file system that does not answer in this time counts as unreadable.
const LONGEST_READ: Duration = Duration::from_secs(5);
/// At start: limit of reads while the sources keep changing.
const MOST_LOOKS: usize = 10;

/// The active catalogue; cheap to clone.
pub type Current = watch::Receiver<Arc<Catalogue>>;

/// Follows the sources of messages.
pub struct Messages {
    config: watch::Receiver<Loaded>,
    watched: Watched,
    store: Store,
    metrics: Arc<Metrics>,
    clock: Box<dyn Clock>,
    current: watch::Sender<Arc<Catalogue>>,
    verdicts: watch::Sender<Verdicts>,
    /// The sources of the active catalogue.
    sources: Vec<Source>,
    collection: Collection,
    /// The day for which active messages were counted.
    today: NaiveDate,
    reading: Option<JoinHandle<Vec<Source>>>,
    /// A snapshot that the store does not have yet.
    unsaved: Option<String>,
    is_save_failing: bool,
}

impl Messages {
    /// Has no messages until [`Self::begin`].
    #[must_use]
    pub fn new(
        config: watch::Receiver<Loaded>,
        watched: Watched,
        store: Store,
        metrics: Arc<Metrics>,
        clock: impl Clock,
    ) -> Self {
        Self {
            config,
            watched,
            store,
            metrics,
            clock: Box::new(clock),
            today: NaiveDate::MIN,
            current: watch::Sender::new(Arc::default()),
            verdicts: watch::Sender::default(),
            sources: Vec::new(),
            collection: Collection::default(),
            reading: None,
            unsaved: None,
            is_save_failing: false,
        }
    }

    /// The active catalogue, now and after changes.
    #[must_use]
    pub fn current(&self) -> Current {
        self.current.subscribe()
    }

    /// The verdicts on objects of the cluster, now and after changes.
    #[must_use]
    pub fn verdicts(&self) -> watch::Receiver<Verdicts> {
        self.verdicts.subscribe()
    }

    /// Reads the sources for the first time, and waits for the API server for up to five seconds. Unreadable sources keep
    /// their last state: an empty catalogue by accident would withdraw every message from every device that pings.
    ///
    /// # Errors
    /// A source and the store are unreadable: retry.
    pub async fn begin(&mut self) -> Result<(), StoreError> {
        let mut sources = self.read().await;
        for _ in 0..MOST_LOOKS {
            if sources.is_empty() {
                break;
            }
            sleep(PAUSE).await;
            // Checked first: changes meanwhile are seen at the next look.
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

    /// Runs forever.
    pub async fn follow(mut self) {
        let (mut glimpse, mut ticks) = (Glimpse::default(), looks::ticks());
        loop {
            ticks.tick().await;
            let sources = self.read().await;
            if let Some(sources) = glimpse.confirm(sources, Some(&self.sources)) {
                let before = std::mem::take(&mut self.collection);
                self.publish(sources, &before);
            }
            self.begin_day();
            self.save().await;
        }
    }

    async fn read(&mut self) -> Vec<Source> {
        let paths: Vec<PathBuf> = self.config.borrow().messages.files.clone();
        let unread = || paths.iter().map(|path| Source::unreadable(path, "it does not respond")).collect::<Vec<_>>();
        // While a read hangs no other one is started, because each would take a thread.
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

    /// Activates the content of the sources, and logs errors.
    fn publish(&mut self, sources: Vec<Source>, before: &Collection) {
        let collection = Collection::of(&sources, before);
        self.current.send_replace(Arc::new(collection.catalogue()));
        self.verdicts.send_replace(collection.verdicts.clone());
        for complaint in &collection.unreadable {
            tracing::error!(%complaint, "cannot read messages: the previous ones stay active");
        }
        self.tell(&collection, before);
        self.today = self.clock.now().date_naive();
        self.tell_early(&collection, before);
        let (active, rejected) =
            (collection.active(self.today), collection.rejected.len() + collection.unreadable.len());
        self.metrics.messages_active.set(count(active));
        self.metrics.messages_rejected.set(count(rejected));
        let (messages, were) = (collection.messages().count(), before.messages().count());
        if messages + were + rejected > 0 {
            tracing::info!(messages, active, rejected, "messages loaded");
        }
        // Without sources there is nothing to save, and another server may share the store.
        self.unsaved = (!sources.is_empty()).then(|| collection.snapshot());
        self.collection = collection;
        self.sources = sources;
    }

    /// Counts again when a day begins. The catalogue itself holds messages back, at each ping.
    fn begin_day(&mut self) {
        let today = self.clock.now().date_naive();
        if today == self.today {
            return;
        }
        let (before, active) = (self.collection.active(self.today), self.collection.active(today));
        self.today = today;
        if active != before {
            self.metrics.messages_active.set(count(active));
            tracing::info!(active, before, "the day of messages has come");
        }
    }

    /// Logs which messages are new and of a later day.
    fn tell_early(&self, collection: &Collection, before: &Collection) {
        let known: BTreeSet<_> = before.early(self.today).collect();
        for note in collection.early(self.today).filter(|note| !known.contains(note)).take(MOST_TOLD) {
            tracing::warn!(%note, "message of a later day");
        }
    }

    /// Logs errors of messages that are new.
    fn tell(&self, collection: &Collection, before: &Collection) {
        let known: BTreeSet<_> = before.rejected.iter().collect();
        let fresh = collection.rejected.iter().filter(|complaints| !known.contains(complaints));
        let fresh: Vec<_> = fresh.flatten().collect();
        for complaint in fresh.iter().take(MOST_TOLD) {
            tracing::error!(%complaint, "message rejected: it is left out");
        }
        if let Some(more @ 1..) = fresh.len().checked_sub(MOST_TOLD) {
            tracing::error!(more, "messages rejected: there are more errors");
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
            self.watched.notices.tell(Notice { config_map, reason: Reason::MessagesRejected, note });
        }
    }

    /// Saves the snapshot in the store, if necessary; after a failure it is retried at the next look.
    async fn save(&mut self) {
        let Some(snapshot) = &self.unsaved else { return };
        match self.store.save_message_snapshot(snapshot).await {
            Ok(()) => {
                self.unsaved = None;
                self.is_save_failing = false;
            }
            Err(error) if !self.is_save_failing => {
                tracing::warn!(%error, "cannot save the messages in the store yet");
                self.is_save_failing = true;
            }
            Err(_) => {}
        }
    }
}

fn count(messages: usize) -> i64 {
    i64::try_from(messages).unwrap_or(i64::MAX)
}
