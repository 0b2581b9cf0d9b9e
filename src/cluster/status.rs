//! Writes the status of messages that are objects: whether they are valid, and whether devices get them.

use std::{collections::BTreeMap, time::Duration};

use chrono::SecondsFormat;
use kube::{
    Client,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};
use tokio::{sync::watch, time::sleep};

use super::{
    access::{Access, explain, explain_status},
    follow::Pauses,
    objects::api,
};
use crate::{
    domain::{Clock, Timestamp, message::Stage},
    messages::{Object, Objects, Verdict, Verdicts},
};

/// Length limit of a condition's message, in bytes: a readable part of the 32,768 that are allowed.
const LONGEST_MESSAGE: usize = 2_000;
/// Minimum time between two rounds, so that two writers that disagree do not race.
const ROUND: Duration = Duration::from_secs(1);
/// How often to look whether the day of a message has come. Not one long sleep, because clocks are set and machines sleep.
const LOOK: Duration = Duration::from_secs(10);
/// The object was deleted or changed: the watch will report it.
const OVERTAKEN: [u16; 2] = [404, 409];
/// The API server does not accept our token: this concerns all objects.
const UNAUTHORIZED: u16 = 401;

/// Runs forever; writes the verdicts into the status of the objects while this process is the leader.
pub(super) async fn run(
    access: &Access,
    mut objects: watch::Receiver<Objects>,
    mut verdicts: watch::Receiver<Verdicts>,
    mut leads: watch::Receiver<bool>,
    clock: &impl Clock,
) {
    let mut writer = Writer { access, client: None, leads: leads.clone(), said: None };
    let mut pauses = Pauses::default();
    loop {
        // Read once: between two readings a message's day might begin, and nobody would look again.
        let now = clock.now();
        let due = due(objects.borrow_and_update().as_ref(), &verdicts.borrow_and_update(), now);
        if *leads.borrow_and_update() && !due.is_empty() {
            match writer.write(due).await {
                Ok(()) => {
                    pauses = Pauses::default();
                    sleep(ROUND).await;
                }
                Err(problem) => {
                    writer.say(problem);
                    sleep(pauses.next()).await;
                }
            }
            continue;
        }
        let waits = waits(&verdicts.borrow(), now);
        let changed = tokio::select! {
            () = sleep(LOOK), if waits => Ok(()),
            changed = objects.changed() => changed,
            changed = verdicts.changed() => changed,
            changed = leads.changed() => changed,
        };
        if changed.is_err() {
            return;
        }
    }
}

/// Whether a message waits for its day, when its status changes.
fn waits(verdicts: &Verdicts, now: Timestamp) -> bool {
    let mut valid = verdicts.values().filter_map(|verdict| verdict.outcome.as_ref().ok());
    valid.any(|schedule| schedule.is_held_back(now.date_naive()))
}

/// An object whose status must be written.
struct Due {
    name: String,
    resource_version: String,
    status: Value,
}

/// Objects whose status differs from their verdict, if the verdict is about their current version.
fn due(objects: Option<&BTreeMap<String, Object>>, verdicts: &Verdicts, now: Timestamp) -> Vec<Due> {
    let due = objects.into_iter().flatten().filter_map(|(name, object)| {
        let verdict = verdicts.get(name).filter(|verdict| verdict.is_about(object))?;
        let status = status(verdict, &object.status, now);
        let resource_version = object.resource_version.clone();
        (status != object.status).then(|| Due { name: name.clone(), resource_version, status })
    });
    due.collect()
}

struct Writer<'a> {
    access: &'a Access,
    client: Option<(Client, String)>,
    leads: watch::Receiver<bool>,
    said: Option<String>,
}

impl Writer<'_> {
    /// Writes as many as it can: an object that the API server rejects does not block the others.
    async fn write(&mut self, due: Vec<Due>) -> Result<(), String> {
        let mut problem = None;
        for due in due {
            if !*self.leads.borrow() {
                break;
            }
            match self.patch(&due).await? {
                Ok(()) => {}
                Err(refusal) => drop(problem.get_or_insert(refusal)),
            }
        }
        if let Some(problem) = problem {
            return Err(problem);
        }
        self.said = None;
        Ok(())
    }

    /// The inner error is about this object, the outer one about all.
    async fn patch(&mut self, due: &Due) -> Result<Result<(), String>, String> {
        let (client, namespace) = match self.client.take() {
            Some(client) => client,
            None => self.access.client().await?,
        };
        // Fails if another writer was faster.
        let metadata = json!({"resourceVersion": due.resource_version});
        let patch = Patch::Merge(json!({"metadata": metadata, "status": due.status}));
        let patched = api(client.clone(), &namespace).patch_status(&due.name, &PatchParams::default(), &patch).await;
        let result = match patched {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(answer)) if OVERTAKEN.contains(&answer.code) => Ok(()),
            Err(kube::Error::Api(answer)) if answer.code != UNAUTHORIZED => Err(explain_status(&answer)),
            Err(error) => return Err(explain(&error)),
        };
        self.client = Some((client, namespace));
        Ok(result)
    }

    /// Logs each problem once.
    fn say(&mut self, problem: String) {
        if self.said.as_ref() != Some(&problem) {
            tracing::warn!(problem, "cannot write the status of messages yet");
            self.said = Some(problem);
        }
    }
}

/// The new status of an object, given its previous one. `lastTransitionTime` changes only with the condition's `status`.
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
    let [accepted, published] = match &verdict.outcome {
        Ok(schedule) => {
            let held_back = format!(
                "held back until {}, because devices show only the newest message and it would hide all others",
                schedule.date
            );
            let (is_sent, reason, message) = match schedule.stage {
                Stage::Active if schedule.is_held_back(now.date_naive()) => (false, "Scheduled", held_back.as_str()),
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
    // Keep the conditions of other writers.
    let foreign = before["conditions"].as_array().into_iter().flatten();
    let foreign = foreign.filter(|of| of["type"] != "Accepted" && of["type"] != "Published").cloned();
    let conditions: Vec<_> = [accepted, published].into_iter().chain(foreign).collect();
    json!({"observedGeneration": verdict.generation, "conditions": conditions})
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::message::Schedule;

    fn at(second: u32) -> Timestamp {
        format!("2026-11-24T12:00:{second:02}Z").parse().unwrap()
    }

    fn verdict(generation: i64, outcome: Result<Stage, String>) -> Verdict {
        let date = "2026-11-24".parse().unwrap();
        let outcome = outcome.map(|stage| Schedule { stage, date });
        Verdict { uid: "u".into(), generation, outcome }
    }

    fn shown(status: &Value) -> Vec<String> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let conditions = status["conditions"].as_array().unwrap().iter();
        conditions.map(|of| format!("{}={} {}", text(&of["type"]), text(&of["status"]), text(&of["reason"]))).collect()
    }

    #[test]
    fn the_stage_is_the_reason_of_published() {
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
    fn a_message_of_a_later_day_is_scheduled_until_then() {
        let day = |text: &str| -> Timestamp { format!("{text}Z").parse().unwrap() };
        let (eve, noon) = (day("2026-11-23T23:59:59.999999"), day("2026-11-24T00:00:00"));
        let early = verdict(1, Ok(Stage::Active));
        let before = status(&early, &Value::Null, eve);
        assert_eq!(shown(&before), ["Accepted=True Valid", "Published=False Scheduled"]);
        assert!(before["conditions"][1]["message"].as_str().unwrap().starts_with("held back until 2026-11-24, "));
        for stage in [Stage::Draft, Stage::Staged, Stage::Withdrawn] {
            let status = status(&verdict(1, Ok(stage)), &Value::Null, eve);
            assert_eq!(shown(&status)[1], format!("Published=False {stage:?}"));
        }
        // Nothing but the time changes.
        let object = Object {
            uid: "u".into(),
            generation: 1,
            resource_version: "1".into(),
            spec: Arc::new(Value::Null),
            status: before,
        };
        let (objects, verdicts) = ([("a".to_owned(), object)].into(), [("a".to_owned(), early)].into());
        assert!(super::due(Some(&objects), &verdicts, eve).is_empty() && waits(&verdicts, eve));
        let due = super::due(Some(&objects), &verdicts, noon);
        assert_eq!(shown(&due[0].status), ["Accepted=True Valid", "Published=True Active"]);
        assert!(!waits(&verdicts, noon), "there is nothing more to wait for");
    }

    #[test]
    fn the_transition_time_changes_only_with_the_status_of_its_condition() {
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
        let mut shared = third.clone();
        shared["conditions"].as_array_mut().unwrap().push(json!({"type": "Reviewed", "status": "True"}));
        assert_eq!(status(&verdict(3, Err("stage: is missing".into())), &shared, at(5)), shared, "others' stay");
    }

    #[test]
    fn only_checked_objects_with_another_status_are_written() {
        let object = |generation, status| Object {
            uid: "u".into(),
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
        let due = super::due(Some(&objects.into()), &verdicts, at(1));
        assert_eq!(due.iter().map(|due| due.name.as_str()).collect::<Vec<_>>(), ["new"]);
        // Deleted and created again: not checked yet, although the generation is the same.
        let other = Object { uid: "v".into(), ..object(2, Value::Null) };
        assert!(super::due(Some(&[("new".to_owned(), other)].into()), &verdicts, at(1)).is_empty());
    }
}
