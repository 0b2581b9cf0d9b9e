//! Applies configuration changes to a running server: log lines, metrics, log filter, privacy rules.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    task::spawn_blocking,
    time::interval,
};

use super::{clock::SystemClock, privacy_key};
use crate::{
    config::{
        Complaint, Loaded, Reload, Source,
        config_maps::ConfigMaps,
        live::Outcome,
        notice::{MOST_TOLD, Notice, Reason},
    },
    domain::{Clock, privacy::Privacy},
    messages::Watched,
    telemetry::{Controls, metrics::Metrics},
};

/// Between two reads of `privacy.key_file`: a rotated Secret takes up to a minute to be mounted anyway.
const KEY_PAUSE: Duration = Duration::from_secs(5);

/// Applies configuration changes.
pub struct Reconfigure {
    /// Published by `config::live`.
    pub running: watch::Receiver<Loaded>,
    /// The rules that the ingest uses.
    pub privacy: watch::Sender<Arc<Privacy>>,
    /// Folder of the embedded store.
    pub folder: Option<PathBuf>,
    /// Logs and traces of the process.
    pub controls: Controls,
    /// Metrics of the process.
    pub metrics: Arc<Metrics>,
    /// Where notices for users who watch ConfigMaps are sent.
    pub watched: Watched,
    /// Keys in ConfigMaps that were already logged as needing a restart.
    pub misplaced: Vec<Complaint>,
}

impl Reconfigure {
    /// Returns a check of whether the files that a configuration names can be read.
    pub fn accept(folder: Option<PathBuf>) -> impl Fn(&Loaded) -> Result<(), Complaint> + Clone + Send + 'static {
        move |loaded| match privacy_key::rules(&loaded.privacy, folder.as_deref()) {
            Ok(_) => Ok(()),
            Err(error) => {
                let origin = loaded.origins.get("privacy.key_file").cloned().unwrap_or_default();
                Err(Complaint::new(origin, "privacy.key_file", super::with_causes(&error)))
            }
        }
    }

    /// Runs forever.
    pub async fn run(mut self, mut outcomes: mpsc::Receiver<Outcome>) {
        self.applied();
        let mut ticks = interval(KEY_PAUSE);
        let mut said = String::new();
        loop {
            tokio::select! {
                outcome = outcomes.recv() => match outcome {
                    Some(outcome) => self.outcome(&outcome),
                    None => return,
                },
                _ = ticks.tick() => {}
            }
            let dropped = &self.metrics.log_lines_dropped_total;
            dropped.inc_by(self.controls.dropped_lines().saturating_sub(dropped.get()));
            let (privacy, folder) = (self.running.borrow().privacy.clone(), self.folder.clone());
            // A hung network file system must not block configuration changes.
            let rules = spawn_blocking(move || privacy_key::rules(&privacy, folder.as_deref())).await;
            match rules {
                Err(_) => {}
                Ok(Ok(rules)) => {
                    // Cached profiles depend on these rules.
                    self.privacy.send_if_modified(|known| {
                        let is_new = **known != rules;
                        if is_new {
                            *known = Arc::new(rules);
                        }
                        is_new
                    });
                    said.clear();
                }
                // Each problem is logged once; the last valid key stays in use.
                Ok(Err(error)) => {
                    let problem = super::with_causes(&error);
                    if problem != said {
                        tracing::error!(problem, "cannot read the privacy key: the previous one stays in use");
                        said = problem;
                    }
                }
            }
        }
    }

    fn outcome(&mut self, Outcome { changed, result, is_fresh }: &Outcome) {
        // The change may be in a file that the configuration names.
        let mut sources: BTreeSet<_> = changed.iter().map(|(source, _)| *source).collect();
        sources.extend(changed.is_empty().then_some(Source::File));
        let count = |result| {
            for source in &sources {
                self.metrics.config_reloads_total.with_label_values(&[source.name(), result]).inc();
            }
        };
        match result {
            Ok(reload) => {
                self.applied();
                if !reload.applied.is_empty() {
                    count("applied");
                }
                let misplaced = &reload.misplaced;
                let is_news = *misplaced != self.misplaced;
                if !reload.needs_restart.is_empty() || (is_news && !misplaced.is_empty()) {
                    count("restart_needed");
                }
                if !reload.needs_restart.is_empty() {
                    tracing::warn!(keys = reload.needs_restart.join(", "), "changed keys need a restart");
                }
                for complaint in misplaced.iter().take(MOST_TOLD).filter(|_| is_news) {
                    tracing::warn!(%complaint, "key left out");
                }
                self.misplaced.clone_from(misplaced);
                let keys = reload.applied.join(", ");
                tracing::info!(config = reload.loaded.hash, keys, "configuration reloaded");
            }
            Err(complaints) => {
                count("rejected");
                self.metrics.config_last_reload_successful.set(0);
                let rest = rest(*is_fresh);
                for complaint in complaints.iter().take(MOST_TOLD) {
                    tracing::error!(%complaint, "configuration rejected: {rest}");
                }
                if let Some(more @ 1..) = complaints.len().checked_sub(MOST_TOLD) {
                    tracing::error!(more, "configuration rejected: there are more errors");
                }
            }
        }
        for notice in notices(changed, result, *is_fresh) {
            self.watched.notices.tell(notice);
        }
    }

    fn applied(&self) {
        let running = self.running.borrow();
        self.controls.set(&running.telemetry);
        self.metrics.config_info.reset();
        self.metrics.config_info.with_label_values(&[&running.hash]).set(1);
        self.metrics.config_last_reload_successful.set(1);
        self.metrics.config_last_reload_success_timestamp_seconds.set(SystemClock.now().timestamp());
    }
}

/// The Events for users who watch the ConfigMaps.
fn notices(changed: &[(Source, String)], result: &Result<Box<Reload>, Vec<Complaint>>, is_fresh: bool) -> Vec<Notice> {
    let mut names: BTreeSet<&str> = changed.iter().filter_map(|(_, layer)| ConfigMaps::name_of(layer)).collect();
    let notice =
        |reason, note: String| move |name: &str| Notice { config_map: name.to_owned(), reason, note: note.clone() };
    match result {
        Ok(reload) => {
            let keys = reload.applied.join(", ");
            let note = if keys.is_empty() { "no effective value changed".into() } else { format!("active: {keys}") };
            let mut notices: Vec<_> = names.iter().copied().map(notice(Reason::Reloaded, note)).collect();
            for name in names {
                let about = |complaint: &&Complaint| ConfigMaps::name_of(&complaint.layer) == Some(name);
                let mut about = reload.misplaced.iter().filter(about);
                if let Some(first) = about.next() {
                    let note = and_more(first, about.count());
                    notices.push(notice(Reason::RestartNeeded, note)(name));
                }
            }
            notices
        }
        Err(complaints) => {
            // The change may be in a file that contradicts a ConfigMap.
            let blamed = complaints.iter().flat_map(|complaint| complaint.layer.split(" and "));
            names.extend(blamed.filter_map(ConfigMaps::name_of));
            let Some(first) = complaints.first() else { return Vec::new() };
            let note = format!("{}. So {}", and_more(first, complaints.len() - 1), rest(is_fresh));
            names.into_iter().map(notice(Reason::Rejected, note)).collect()
        }
    }
}

/// What stays active when a change is rejected.
fn rest(is_fresh: bool) -> &'static str {
    if is_fresh { "the server has started without it" } else { "the last good configuration stays active" }
}

fn and_more(first: &Complaint, more: usize) -> String {
    if more == 0 { first.to_string() } else { format!("{first} (and {more} more, see the log)") }
}
