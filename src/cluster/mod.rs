//! Everything that is read from and written to the Kubernetes cluster.
//!
//! `access` connects to the API server, `follow` keeps a set of objects up to date; `config_map` and `objects` follow
//! what is configured; `events` writes Events on ConfigMaps, `status` the status of messages. The server never needs any of
//! this to accept a ping (docs/decisions/0060-following-the-cluster.md).

mod access;
mod config_map;
mod events;
mod follow;
pub mod kolibri_message;
mod objects;
mod status;

use std::{path::Path, sync::Arc};

use tokio::sync::{mpsc, watch};

use self::{access::Access, follow::Answers};
use crate::{
    config::{
        config_maps::ConfigMaps,
        notice::{Notice, Notices},
        sections::{Enabled, Kubernetes},
    },
    domain::Clock,
    messages::{Objects, Verdicts, Watched},
    telemetry::metrics::Metrics,
};

/// Capacity of the queue of notices.
const MOST_NOTICES: usize = 64;
/// Where kubelet mounts the token of a pod's service account, unless that is switched off.
const TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// What is followed in the cluster.
pub struct Cluster {
    access: Access,
    config_maps: watch::Sender<ConfigMaps>,
    objects: Option<watch::Sender<Objects>>,
    /// Number of sources without a first answer.
    pending: watch::Sender<usize>,
    notices: Notices,
    to_tell: mpsc::Receiver<Notice>,
}

impl Cluster {
    /// Returns `None` if it is switched off, or nothing is to be followed.
    #[must_use]
    pub fn new(kubernetes: &Kubernetes, config_maps: watch::Sender<ConfigMaps>) -> Option<Self> {
        let enabled = match kubernetes.enabled {
            Enabled::Auto => Path::new(TOKEN).exists(),
            Enabled::Set(enabled) => enabled,
        };
        let objects = kubernetes.message_resources.then(|| watch::Sender::new(None));
        let something = objects.is_some() || !kubernetes.config_maps.is_empty();
        let pending = watch::Sender::new(kubernetes.config_maps.len() + usize::from(objects.is_some()));
        let access = Access::new(kubernetes.namespace.clone());
        let (notices, to_tell) = mpsc::channel(MOST_NOTICES);
        let notices = Notices::to(notices);
        (enabled && something).then_some(Self { access, config_maps, objects, pending, notices, to_tell })
    }

    /// The sources of messages that this cluster will provide.
    #[must_use]
    pub fn watched(&self) -> Watched {
        Watched {
            config_maps: Some(self.config_maps.subscribe()),
            objects: self.objects.as_ref().map(watch::Sender::subscribe),
            pending: Some(self.pending.subscribe()),
            notices: self.notices.clone(),
        }
    }

    /// Runs forever. `leads` says whether this process writes the status of objects, from `verdicts`.
    pub async fn run(
        self,
        verdicts: watch::Receiver<Verdicts>,
        leads: watch::Receiver<bool>,
        metrics: Arc<Metrics>,
        clock: impl Clock,
    ) {
        let Self { access, config_maps, objects, pending, notices: _, to_tell } = self;
        let to = Answers { metrics: &metrics, pending: &pending };
        let events = events::run(&access, config_maps.subscribe(), to_tell, &clock);
        let about_objects = async {
            if let Some(objects) = &objects {
                let status = status::run(&access, objects.subscribe(), verdicts, leads, &clock);
                tokio::join!(objects::follow(&access, to, objects), status);
            }
        };
        tokio::join!(config_map::follow_all(&access, to, &config_maps), events, about_objects);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cluster_is_followed_if_enabled_or_in_a_pod_with_a_token() {
        let is_on = |enabled, names: &[&str], message_resources| {
            let config_maps: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
            let seen = watch::Sender::new(ConfigMaps::named(config_maps.clone()));
            Cluster::new(&Kubernetes { enabled, config_maps, message_resources, namespace: None }, seen).is_some()
        };
        assert!(is_on(Enabled::Set(true), &["a"], false) && is_on(Enabled::Set(true), &[], true));
        assert!(!is_on(Enabled::Set(true), &[], false), "there is nothing to follow");
        assert!(!is_on(Enabled::Set(false), &["a"], true));
        assert_eq!(is_on(Enabled::Auto, &["a"], true), Path::new(TOKEN).exists());
    }
}
