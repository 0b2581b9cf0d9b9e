//! Layers that change while the program runs: read again, checked, and taken over, or the last good stays.
//!
//! Files are read again twice a second instead of being watched: a mounted ConfigMap changes by a swap of symbolic links,
//! editors by a rename, network file systems without any notice, and reading all three kinds costs microseconds.

use tokio::{
    sync::{mpsc, watch},
    task::spawn_blocking,
};

use super::{
    Complaint, Layer, Loaded, Reload,
    looks::{self, Glimpse},
};

/// What a change of the layers has led to.
#[derive(Debug)]
pub enum Outcome {
    /// Live keys are in force; others may need a restart.
    Applied(Box<Reload>),
    /// Something is wrong: the last good configuration stays.
    Rejected(Vec<Complaint>),
}

/// Looks at the layers for ever; publishes what is in force, and tells each outcome. `accept` has the last word, as it
/// knows whether the files that the configuration names can be used.
pub async fn watch(
    read: impl Fn() -> Vec<Layer> + Clone + Send + 'static,
    accept: impl Fn(&Loaded) -> Result<(), Complaint> + Clone + Send + 'static,
    running: watch::Sender<Loaded>,
    outcomes: mpsc::Sender<Outcome>,
) {
    // What the program has started with counts as taken over, unless it has changed since.
    let (mut taken, mut glimpse, mut refused) = (None, Glimpse::default(), None);
    let mut ticks = looks::ticks();
    loop {
        ticks.tick().await;
        // A network file system may take its time.
        let Ok(layers) = spawn_blocking(read.clone()).await else { continue };
        let Some(layers) = glimpse.confirm(layers, taken.as_ref()) else { continue };
        let result = running.borrow().reload(&layers);
        let outcome = match result {
            Ok(reload) => {
                let (accept, loaded) = (accept.clone(), reload.loaded.clone());
                match spawn_blocking(move || accept(&loaded)).await {
                    Ok(Ok(())) => {}
                    // A file that it names may still come: it is tried again, and told once.
                    Ok(Err(complaint)) if refused.as_ref() != Some(&complaint) => {
                        refused = Some(complaint.clone());
                        if outcomes.send(Outcome::Rejected(vec![complaint])).await.is_err() {
                            return;
                        }
                        continue;
                    }
                    _ => continue,
                }
                refused = None;
                let first = taken.is_none();
                taken = Some(layers);
                if first && reload.applied.is_empty() && reload.needs_restart.is_empty() {
                    continue;
                }
                running.send_replace(reload.loaded.clone());
                Outcome::Applied(Box::new(reload))
            }
            Err(complaints) => {
                taken = Some(layers);
                Outcome::Rejected(complaints)
            }
        };
        if outcomes.send(outcome).await.is_err() {
            return;
        }
    }
}
