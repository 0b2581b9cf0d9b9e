//! What a change of the configuration leads to in a running server: log lines, metrics, log filter, privacy rules.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    task::spawn_blocking,
    time::interval,
};

use super::{clock::SystemClock, privacy_key};
use crate::{
    config::{Complaint, Loaded, live::Outcome},
    domain::{Clock, privacy::Privacy},
    telemetry::{Controls, metrics::Metrics},
};

/// Between two looks at `privacy.key_file`: a rotated Secret is mounted within a minute anyway.
const KEY_PAUSE: Duration = Duration::from_secs(5);

/// Follows the configuration that is in force.
pub struct Reconfigure {
    /// Published by `config::live`.
    pub running: watch::Receiver<Loaded>,
    /// The rules that the ingest uses.
    pub privacy: watch::Sender<Privacy>,
    /// Of the embedded store.
    pub folder: Option<PathBuf>,
    /// Logs and traces of the process.
    pub controls: Controls,
    /// Of the process.
    pub metrics: Arc<Metrics>,
}

impl Reconfigure {
    /// Whether the files that a configuration names can be used.
    pub fn accept(folder: Option<PathBuf>) -> impl Fn(&Loaded) -> Result<(), Complaint> + Clone + Send + 'static {
        move |loaded| match privacy_key::rules(&loaded.privacy, folder.as_deref()) {
            Ok(_) => Ok(()),
            Err(error) => {
                let origin = loaded.origins.get("privacy.key_file").cloned().unwrap_or_default();
                Err(Complaint::new(origin, "privacy.key_file", super::with_causes(&error)))
            }
        }
    }

    /// Runs for ever.
    pub async fn run(self, mut outcomes: mpsc::Receiver<Outcome>) {
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
            let (privacy, folder) = (self.running.borrow().privacy.clone(), self.folder.clone());
            // A hung network file system must not hold up whoever looks at the configuration.
            let rules = spawn_blocking(move || privacy_key::rules(&privacy, folder.as_deref())).await;
            match rules {
                Err(_) => {}
                Ok(Ok(rules)) => {
                    self.privacy.send_replace(rules);
                    said.clear();
                }
                // The same problem once; the last good key stays.
                Ok(Err(error)) => {
                    let problem = super::with_causes(&error);
                    if problem != said {
                        tracing::error!(problem, "cannot read the privacy key again: the last one stays in use");
                        said = problem;
                    }
                }
            }
        }
    }

    fn outcome(&self, outcome: &Outcome) {
        let count = |result| self.metrics.config_reloads_total.with_label_values(&["file", result]).inc();
        match outcome {
            Outcome::Applied(reload) => {
                self.applied();
                if !reload.applied.is_empty() {
                    count("applied");
                }
                if !reload.needs_restart.is_empty() {
                    count("restart_needed");
                    tracing::warn!(keys = reload.needs_restart.join(", "), "changed keys need a restart");
                }
                let keys = reload.applied.join(", ");
                tracing::info!(config = reload.loaded.hash, keys, "configuration reloaded");
            }
            Outcome::Rejected(complaints) => {
                count("rejected");
                self.metrics.config_last_reload_successful.set(0);
                for complaint in complaints {
                    tracing::error!(%complaint, "configuration rejected: the last good one stays in force");
                }
            }
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
