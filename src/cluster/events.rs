//! Events on ConfigMaps, which `kubectl describe` shows to users who have changed one.

use std::{fs, time::Duration};

use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff,
};
use kube::{
    Api,
    api::{ObjectMeta, PostParams},
};
use tokio::{
    sync::{mpsc, watch},
    time::{sleep, timeout},
};

use super::{
    access::{Access, explain},
    follow::Pauses,
};
use crate::{
    config::{
        config_maps::{ConfigMap, ConfigMaps, Sight},
        notice::{Notice, Reason},
    },
    domain::{Clock, Timestamp, fingerprint},
};

/// Length limit of an Event's note, in bytes, set by the API server.
const LONGEST_NOTE: usize = 1024;
/// The reporting controller, in the form that the API requires.
const CONTROLLER: &str = "nutritionfacts.learningequality.org/server";
/// How long to wait until the ConfigMap is known.
const PATIENCE: Duration = Duration::from_secs(10);
/// Attempts for one Event. The log has the same information.
const TRIES: u32 = 6;
/// The Event exists: another replica was faster.
const CONFLICT: u16 = 409;

fn word(reason: Reason) -> &'static str {
    match reason {
        Reason::Reloaded => "ConfigReloaded",
        Reason::Rejected => "ConfigRejected",
        Reason::RestartNeeded => "ConfigRestartNeeded",
        Reason::MessagesRejected => "MessagesRejected",
        Reason::DatabaseRejected => "DatabaseRejected",
    }
}

/// Writes an Event for each notice, until the channel is closed.
pub(super) async fn run(
    access: &Access,
    mut config_maps: watch::Receiver<ConfigMaps>,
    mut notices: mpsc::Receiver<Notice>,
    clock: &impl Clock,
) {
    while let Some(notice) = notices.recv().await {
        // A mounted copy may be checked before the API server has sent the ConfigMap.
        let is_unseen =
            |all: &ConfigMaps| all.iter().any(|(name, is)| name == notice.config_map && *is == Sight::Unseen);
        let _ = timeout(PATIENCE, config_maps.wait_for(|all| !is_unseen(all))).await;
        // A ConfigMap that does not exist cannot have Events.
        let Some(config_map) = config_maps.borrow().present(&notice.config_map).cloned() else { continue };
        let event = event(&notice, &config_map, clock.now());
        let mut pauses = Pauses::default();
        for left in (0..TRIES).rev() {
            match publish(access, event.clone()).await {
                Ok(()) => break,
                Err(problem) if left == 0 => tracing::warn!(problem, "cannot write an Event"),
                Err(_) => sleep(pauses.next()).await,
            }
        }
    }
}

async fn publish(access: &Access, mut event: Event) -> Result<(), String> {
    let (client, namespace) = access.client().await?;
    event.metadata.namespace = Some(namespace.clone());
    if let Some(regarding) = &mut event.regarding {
        regarding.namespace = Some(namespace.clone());
    }
    match Api::namespaced(client, &namespace).create(&PostParams::default(), &event).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == CONFLICT => Ok(()),
        Err(error) => Err(explain(&error)),
    }
}

/// The Event's name is derived from its content and the ConfigMap's version, so that only one replica writes it.
fn event(notice: &Notice, config_map: &ConfigMap, now: Timestamp) -> Event {
    let Notice { config_map: name, reason, note } = notice;
    let said = [config_map.uid.as_str(), &config_map.resource_version, word(*reason), note].join("\n");
    let digest = fingerprint(&said);
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{}.{digest}", name[..name.len().min(200)].trim_end_matches(['-', '.']))),
            ..ObjectMeta::default()
        },
        event_time: jiff::Timestamp::from_microsecond(now.timestamp_micros()).ok().map(MicroTime),
        action: Some("Reload".into()),
        reason: Some(word(*reason).into()),
        type_: Some(if *reason == Reason::Reloaded { "Normal" } else { "Warning" }.into()),
        note: Some(shortened(note)),
        regarding: Some(ObjectReference {
            api_version: Some("v1".into()),
            kind: Some("ConfigMap".into()),
            name: Some(name.clone()),
            uid: Some(config_map.uid.clone()),
            resource_version: Some(config_map.resource_version.clone()),
            ..ObjectReference::default()
        }),
        reporting_controller: Some(CONTROLLER.into()),
        reporting_instance: Some(instance()),
        ..Event::default()
    }
}

fn shortened(note: &str) -> String {
    if note.len() <= LONGEST_NOTE {
        return note.to_owned();
    }
    format!("{}…", &note[..note.floor_char_boundary(LONGEST_NOTE - '…'.len_utf8())])
}

/// The name of the pod, if the process runs in one.
fn instance() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name: String = name.trim().chars().take(128).collect();
    if name.is_empty() { "unknown".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_replicas_give_the_same_event_the_same_name() {
        let notice = Notice { config_map: "live".into(), reason: Reason::Rejected, note: "x".into() };
        let config_map = ConfigMap { uid: "u".into(), resource_version: "1".into(), ..ConfigMap::default() };
        let name = |notice: &Notice, config_map: &ConfigMap| {
            event(notice, config_map, Timestamp::default()).metadata.name.unwrap()
        };
        assert_eq!(name(&notice, &config_map), name(&notice, &config_map));
        let later = ConfigMap { resource_version: "2".into(), ..config_map.clone() };
        assert_ne!(name(&notice, &config_map), name(&notice, &later));
        assert_ne!(name(&notice, &config_map), name(&Notice { note: "y".into(), ..notice.clone() }, &config_map));
        let long = Notice { config_map: "x".repeat(253), ..notice };
        assert!(name(&long, &config_map).len() <= 253);
    }

    #[test]
    fn a_long_note_is_cut_between_characters() {
        assert_eq!(shortened("short"), "short");
        let long = shortened(&"ä".repeat(1000));
        assert!(long.len() <= LONGEST_NOTE && long.ends_with("ä…"));
    }
}
