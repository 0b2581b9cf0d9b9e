//! Layers that change at run time: they are read again, checked, and applied; after an error the last good ones stay active.
//!
//! Files are read twice a second instead of being watched: a mounted ConfigMap changes by a swap of symbolic links,
//! editors rename files, network file systems send no events, and reading them takes microseconds.

use tokio::{
    sync::{mpsc, oneshot, watch},
    task::spawn_blocking,
};

use super::{
    Complaint, Layer, Loaded, Reload, Source,
    looks::{self, Glimpse},
};

/// The outcome of a change of the layers.
#[derive(Debug)]
pub struct Outcome {
    /// The layers that changed, such as `file /etc/x.yaml` or `configmap/live`. At the first look, the ConfigMaps: everything
    /// else is what the program has started with.
    pub changed: Vec<(Source, String)>,
    /// The new configuration, in which only live keys changed; or errors, and the last good configuration stays active.
    pub result: Result<Box<Reload>, Vec<Complaint>>,
    /// Whether no change has been applied since the start.
    pub is_fresh: bool,
}

/// Runs forever: checks the layers, publishes the active configuration, and sends each outcome; signals the end of the
/// first look. `accept` makes the final check, of the files that the configuration names.
pub async fn watch(
    read: impl Fn() -> Vec<Layer> + Clone + Send + 'static,
    accept: impl Fn(&Loaded) -> Result<(), Complaint> + Clone + Send + 'static,
    running: watch::Sender<Loaded>,
    outcomes: mpsc::Sender<Outcome>,
    first_look: oneshot::Sender<()>,
) {
    let mut first_look = Some(first_look);
    // The layers at start count as applied, unless they have changed since.
    let (mut taken, mut glimpse, mut refused) = (None, Glimpse::default(), None);
    let mut is_fresh = true;
    let mut ticks = looks::ticks();
    loop {
        if taken.is_some() {
            // The receiver may be gone.
            let _ = first_look.take().map(|done| done.send(()));
        }
        ticks.tick().await;
        // Reading may block on a network file system.
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
                    // A file that it names may still appear: retried, and reported once.
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

/// The layers that changed.
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
