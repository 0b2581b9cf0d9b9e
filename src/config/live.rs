//! Layers that change while the program runs: read again, checked, and taken over, or the last good stays.
//!
//! Files are read again twice a second instead of being watched: a mounted ConfigMap changes by a swap of symbolic links,
//! editors by a rename, network file systems without any notice, and reading all three kinds costs microseconds.

use tokio::{
    sync::{mpsc, oneshot, watch},
    task::spawn_blocking,
};

use super::{
    Complaint, Layer, Loaded, Reload, Source,
    looks::{self, Glimpse},
};

/// What a change of the layers has led to.
#[derive(Debug)]
pub struct Outcome {
    /// The layers that have changed, as `file /etc/x.yaml` or `configmap/live`. At the first look, the ConfigMaps: all
    /// else is what the program has started with.
    pub changed: Vec<(Source, String)>,
    /// Live keys are in force, others may need a restart; or something is wrong, and the last good configuration stays.
    pub result: Result<Box<Reload>, Vec<Complaint>>,
    /// Whether this process has not taken over any layers yet but those that it has started with, as far as they were right.
    pub is_fresh: bool,
}

/// Looks at the layers for ever, and says when it has done so once; publishes what is in force, and tells each outcome.
/// `accept` has the last word, as it knows whether the files that the configuration names can be used.
pub async fn watch(
    read: impl Fn() -> Vec<Layer> + Clone + Send + 'static,
    accept: impl Fn(&Loaded) -> Result<(), Complaint> + Clone + Send + 'static,
    running: watch::Sender<Loaded>,
    outcomes: mpsc::Sender<Outcome>,
    first_look: oneshot::Sender<()>,
) {
    let mut first_look = Some(first_look);
    // What the program has started with counts as taken over, unless it has changed since.
    let (mut taken, mut glimpse, mut refused) = (None, Glimpse::default(), None);
    let mut is_fresh = true;
    let mut ticks = looks::ticks();
    loop {
        if taken.is_some() {
            // Nobody may be waiting.
            let _ = first_look.take().map(|done| done.send(()));
        }
        ticks.tick().await;
        // A network file system may take its time.
        let Ok(layers) = spawn_blocking(read.clone()).await else { continue };
        let Some(layers) = glimpse.confirm(layers, taken.as_ref()) else { continue };
        let changed = changed(taken.as_deref(), &layers);
        let result = running.borrow().reload(&layers);
        let result = match result {
            Ok(reload) => {
                let (accept, loaded) = (accept.clone(), reload.loaded.clone());
                match spawn_blocking(move || accept(&loaded)).await {
                    Ok(Ok(())) => {
                        refused = None;
                        let first = taken.is_none();
                        (taken, is_fresh) = (Some(layers), false);
                        let nothing = reload.applied.is_empty() && reload.needs_restart.is_empty();
                        if first && nothing && reload.misplaced.is_empty() {
                            continue;
                        }
                        running.send_replace(reload.loaded.clone());
                        Ok(Box::new(reload))
                    }
                    // A file that it names may still come: it is tried again, and told once.
                    Ok(Err(complaint)) if refused.as_ref() != Some(&complaint) => {
                        refused = Some(complaint.clone());
                        Err(vec![complaint])
                    }
                    _ => continue,
                }
            }
            Err(complaints) => {
                taken = Some(layers);
                Err(complaints)
            }
        };
        if outcomes.send(Outcome { changed, result, is_fresh }).await.is_err() {
            return;
        }
    }
}

/// The layers that are not what they were.
fn changed(before: Option<&[Layer]>, after: &[Layer]) -> Vec<(Source, String)> {
    let other = |of: &[Layer], than: &[Layer]| -> Vec<_> {
        let other = of.iter().filter(|layer| !than.contains(layer));
        other.map(|layer| (layer.source, layer.name.clone())).collect()
    };
    match before {
        None => other(after, &[]).into_iter().filter(|(source, _)| *source == Source::ConfigMap).collect(),
        Some(before) => {
            let mut names = other(after, before);
            names.extend(other(before, after));
            names.sort();
            names.dedup();
            names
        }
    }
}
