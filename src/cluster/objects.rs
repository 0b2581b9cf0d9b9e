//! Follows messages that are `KolibriMessage` objects. They are read as JSON, not as a type: an object that was stored under an
//! older schema and violates this one must not hide the others.

use std::{collections::BTreeMap, sync::Arc};

use kube::{
    Api, Client, ResourceExt,
    core::{ApiResource, DynamicObject},
};
use serde_json::Value;
use tokio::sync::watch;

use super::{
    access::Access,
    follow::{Answers, Follow},
    kolibri_message::KolibriMessage,
};
use crate::messages::{Object, Objects};

/// The label of metrics for all objects together.
const SOURCE: &str = "kolibrimessages";

/// Runs forever.
pub(super) async fn follow(access: &Access, to: Answers<'_>, all: &watch::Sender<Objects>) {
    let take = |objects: &BTreeMap<String, DynamicObject>| {
        let objects = objects.iter().map(|(name, object)| (name.clone(), of(object))).collect();
        all.send_if_modified(|all| {
            let is_new = all.as_ref() != Some(&objects);
            *all = Some(objects);
            is_new
        });
    };
    Follow { access, source: SOURCE, fields: None, to }.run(api, take).await;
}

/// The API of the objects in a namespace.
pub(super) fn api(client: Client, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client, namespace, &ApiResource::erase::<KolibriMessage>(&()))
}

/// The parts of an object that the server uses.
pub(super) fn of(object: &DynamicObject) -> Object {
    let part = |name| object.data.get(name).cloned().unwrap_or(Value::Null);
    Object {
        uid: object.uid().unwrap_or_default(),
        generation: object.metadata.generation.unwrap_or_default(),
        resource_version: object.resource_version().unwrap_or_default(),
        spec: Arc::new(part("spec")),
        status: part("status"),
    }
}
