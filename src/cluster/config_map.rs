//! Follows each configured ConfigMap by its name, so that a Role can restrict access to these names.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::future::join_all;
use k8s_openapi::api::core::v1::ConfigMap as Object;
use kube::{Api, ResourceExt};
use tokio::sync::watch;

use super::{
    access::Access,
    follow::{Answers, Follow},
};
use crate::config::config_maps::{ConfigMap, ConfigMaps, Sight};

/// Runs forever.
pub(super) async fn follow_all(access: &Access, to: Answers<'_>, all: &watch::Sender<ConfigMaps>) {
    let names: Vec<_> = all.borrow().iter().map(|(name, _)| name.to_owned()).collect();
    join_all(names.iter().map(|name| follow(access, to, name, all))).await;
}

async fn follow(access: &Access, to: Answers<'_>, name: &str, all: &watch::Sender<ConfigMaps>) {
    let source = format!("configmap/{name}");
    let follow = Follow { access, source: &source, fields: Some(format!("metadata.name={name}")), to };
    let take = |objects: &BTreeMap<String, Object>| {
        let sight = objects.get(name).map_or(Sight::Absent, |object| Sight::Present(Arc::new(of(object))));
        let mut was_there = false;
        all.send_if_modified(|all| {
            was_there = all.present(name).is_some();
            all.set(name, &sight)
        });
        if was_there && sight == Sight::Absent {
            tracing::warn!(source, "the ConfigMap was deleted: its keys fall back to the layers before it");
        }
    };
    follow.run(Api::<Object>::namespaced, take).await;
}

fn of(object: &Object) -> ConfigMap {
    ConfigMap {
        uid: object.uid().unwrap_or_default(),
        resource_version: object.resource_version().unwrap_or_default(),
        data: object.data.clone().unwrap_or_default(),
    }
}
