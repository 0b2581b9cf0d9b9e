//! What is written about a message that is an object: whether it is right, and whether devices get it.

use std::collections::BTreeMap;

use chrono::SecondsFormat;
use kube::{
    Client,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};
use tokio::{
    sync::watch,
    time::{Duration, sleep},
};

use super::{
    access::{Access, explain},
    follow::Pauses,
    objects::api,
};
use crate::{
    domain::{Clock, Timestamp, message::Stage},
    messages::{Object, Objects, Verdict, Verdicts},
};

/// Longest message of a condition: of the 32,768 that are allowed, what a person reads.
const LONGEST_MESSAGE: usize = 2_000;
/// No object of that name: it was removed meanwhile.
const NOT_FOUND: u16 = 404;

/// Writes for ever what has become of the objects, while this process leads.
pub(super) async fn run(
    access: &Access,
    mut objects: watch::Receiver<Objects>,
    mut verdicts: watch::Receiver<Verdicts>,
    mut leads: watch::Receiver<bool>,
    clock: &impl Clock,
) {
    let mut writer = Writer { access, client: None, written: BTreeMap::new(), said: None };
    let mut pauses = Pauses::default();
    loop {
        let pause = if *leads.borrow_and_update() {
            let due = due(objects.borrow_and_update().as_ref(), &verdicts.borrow_and_update(), clock.now());
            match writer.write(due).await {
                Ok(()) => {
                    pauses = Pauses::default();
                    Duration::MAX
                }
                Err(problem) => {
                    writer.say(problem);
                    pauses.next()
                }
            }
        } else {
            Duration::MAX
        };
        let changed = tokio::select! {
            changed = objects.changed() => changed,
            changed = verdicts.changed() => changed,
            changed = leads.changed() => changed,
            () = sleep(pause) => Ok(()),
        };
        if changed.is_err() {
            return;
        }
    }
}

/// A status that differs from what the object has.
struct Due {
    name: String,
    resource_version: String,
    status: Value,
}

/// Of the objects whose present generation was judged.
fn due(objects: Option<&BTreeMap<String, Object>>, verdicts: &Verdicts, now: Timestamp) -> Vec<Due> {
    let due = objects.into_iter().flatten().filter_map(|(name, object)| {
        let verdict = verdicts.get(name).filter(|verdict| verdict.generation == object.generation)?;
        let status = status(verdict, &object.status, now);
        let resource_version = object.resource_version.clone();
        (status != object.status).then(|| Due { name: name.clone(), resource_version, status })
    });
    due.collect()
}

struct Writer<'a> {
    access: &'a Access,
    client: Option<(Client, String)>,
    /// What was written to which version of an object: until the watch tells of it, the object looks as before.
    written: BTreeMap<String, (String, Value)>,
    said: Option<String>,
}

impl Writer<'_> {
    async fn write(&mut self, due: Vec<Due>) -> Result<(), String> {
        self.written.retain(|name, _| due.iter().any(|due| due.name == *name));
        for Due { name, resource_version, status } in due {
            let written = self.written.get(&name);
            if written.is_some_and(|(version, last)| *version == resource_version && is_same(last, &status)) {
                continue;
            }
            self.patch(&name, &status).await?;
            self.written.insert(name, (resource_version, status));
        }
        self.said = None;
        Ok(())
    }

    async fn patch(&mut self, name: &str, status: &Value) -> Result<(), String> {
        let (client, namespace) = match self.client.take() {
            Some(client) => client,
            None => self.access.client().await?,
        };
        let patch = Patch::Merge(json!({ "status": status }));
        let result = api(client.clone(), &namespace).patch_status(name, &PatchParams::default(), &patch).await;
        match result {
            Ok(_) => {}
            Err(kube::Error::Api(answer)) if answer.code == NOT_FOUND => {}
            Err(error) => return Err(explain(&error)),
        }
        self.client = Some((client, namespace));
        Ok(())
    }

    /// The same problem once.
    fn say(&mut self, problem: String) {
        if self.said.as_ref() != Some(&problem) {
            tracing::warn!(problem, "cannot write the status of messages yet");
            self.said = Some(problem);
        }
    }
}

/// Apart from the times of changes.
fn is_same(left: &Value, right: &Value) -> bool {
    let timeless = |status: &Value| {
        let mut status = status.clone();
        for condition in status["conditions"].as_array_mut().into_iter().flatten() {
            condition["lastTransitionTime"].take();
        }
        status
    };
    timeless(left) == timeless(right)
}

/// The status of an object that had another one before. `lastTransitionTime` changes with the condition's `status` only.
fn status(verdict: &Verdict, before: &Value, now: Timestamp) -> Value {
    let condition = |kind: &str, is: bool, reason: &str, message: &str| {
        let status = if is { "True" } else { "False" };
        let old = before["conditions"].as_array().into_iter().flatten().find(|old| old["type"] == kind);
        let since = old.filter(|old| old["status"] == status).and_then(|old| old["lastTransitionTime"].as_str());
        let since = since.map_or_else(|| now.to_rfc3339_opts(SecondsFormat::Secs, true), str::to_owned);
        json!({
            "type": kind,
            "status": status,
            "reason": reason,
            "message": message.chars().take(LONGEST_MESSAGE).collect::<String>(),
            "observedGeneration": verdict.generation,
            "lastTransitionTime": since,
        })
    };
    let conditions = match &verdict.outcome {
        Ok(stage) => {
            let (is_sent, reason, message) = match stage {
                Stage::Active => (true, "Active", "devices get it with the answer to their next ping"),
                Stage::Staged => (false, "Staged", "testers get it: devices whose mode begins with staged-msgs"),
                Stage::Draft => (false, "Draft", "nobody gets it"),
                Stage::Withdrawn => (false, "Withdrawn", "nobody gets it; devices hide it after their next ping"),
            };
            let accepted = condition("Accepted", true, "Valid", "every version of Kolibri can store it");
            [accepted, condition("Published", is_sent, reason, message)]
        }
        Err(problems) => [
            condition("Accepted", false, "Invalid", problems),
            condition("Published", false, "Invalid", "nobody gets it: see the condition Accepted"),
        ],
    };
    json!({"observedGeneration": verdict.generation, "conditions": conditions})
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn at(second: u32) -> Timestamp {
        format!("2026-11-24T12:00:{second:02}Z").parse().unwrap()
    }

    fn verdict(generation: i64, outcome: Result<Stage, String>) -> Verdict {
        Verdict { generation, outcome }
    }

    fn shown(status: &Value) -> Vec<String> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let conditions = status["conditions"].as_array().unwrap().iter();
        conditions.map(|of| format!("{}={} {}", text(&of["type"]), text(&of["status"]), text(&of["reason"]))).collect()
    }

    #[test]
    fn a_stage_is_a_reason() {
        for (stage, published) in [
            (Stage::Active, "Published=True Active"),
            (Stage::Staged, "Published=False Staged"),
            (Stage::Draft, "Published=False Draft"),
            (Stage::Withdrawn, "Published=False Withdrawn"),
        ] {
            let status = status(&verdict(1, Ok(stage)), &Value::Null, at(0));
            assert_eq!(shown(&status), ["Accepted=True Valid", published]);
        }
    }

    #[test]
    fn a_time_of_transition_changes_with_its_condition_only() {
        let first = status(&verdict(1, Ok(Stage::Active)), &Value::Null, at(1));
        assert_eq!(status(&verdict(1, Ok(Stage::Active)), &first, at(2)), first, "nothing to write");
        let second = status(&verdict(2, Ok(Stage::Withdrawn)), &first, at(3));
        let times = |status: &Value| {
            let time = |of: usize| status["conditions"][of]["lastTransitionTime"].as_str().unwrap().to_owned();
            [time(0), time(1)]
        };
        assert_eq!(times(&second), ["2026-11-24T12:00:01Z", "2026-11-24T12:00:03Z"]);
        assert_eq!(second["observedGeneration"], 2);
        let third = status(&verdict(3, Err("stage: is missing".into())), &second, at(4));
        assert_eq!(shown(&third), ["Accepted=False Invalid", "Published=False Invalid"]);
        assert_eq!(times(&third), ["2026-11-24T12:00:04Z", "2026-11-24T12:00:03Z"]);
        assert_eq!(third["conditions"][0]["message"], "stage: is missing");
    }

    #[test]
    fn only_what_was_judged_and_differs_is_written() {
        let object = |generation, status| Object {
            generation,
            resource_version: "1".into(),
            spec: Arc::new(Value::Null),
            status,
        };
        let good = verdict(2, Ok(Stage::Active));
        let done = status(&good, &Value::Null, at(0));
        let objects = [
            ("done".to_owned(), object(2, done)),
            ("new".to_owned(), object(2, Value::Null)),
            ("changed".to_owned(), object(3, Value::Null)),
            ("unjudged".to_owned(), object(1, Value::Null)),
        ];
        let verdicts = ["done", "new", "changed", "removed"].map(|name| (name.to_owned(), good.clone())).into();
        let due = due(Some(&objects.into()), &verdicts, at(1));
        assert_eq!(due.iter().map(|due| due.name.as_str()).collect::<Vec<_>>(), ["new"]);
        let again = status(&good, &Value::Null, at(9));
        assert!(is_same(&due[0].status, &again) && due[0].status != again);
    }
}
