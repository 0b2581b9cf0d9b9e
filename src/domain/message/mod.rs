//! A message to the administrators of Kolibri devices: what it says, to whom, and how clients get it (docs/protocol.md, 10).

pub mod limits;
mod problem;
mod read;
mod wire;

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use ipnet::IpNet;
use serde::Serialize;

pub use self::{
    problem::Problem,
    read::{FALLBACK_LANGUAGE, STAGES},
    wire::preview,
};
use super::version::Range;

/// A message that no client can choke on: only [`Message::read`] makes one. Serialized, it is its document again.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    id: String,
    stage: Stage,
    version_range: String,
    #[serde(skip)]
    range: Range,
    link_url: String,
    date: NaiveDate,
    translations: BTreeMap<String, Translation>,
    audience: Audience,
}

impl Message {
    /// `msg_id`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Who gets it by its stage.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// The day by which clients sort.
    #[must_use]
    pub fn date(&self) -> NaiveDate {
        self.date
    }

    /// Who gets it by name and place.
    #[must_use]
    pub fn audience(&self) -> &Audience {
        &self.audience
    }

    /// The versions that get it.
    #[must_use]
    pub fn range(&self) -> &Range {
        &self.range
    }
}

/// Stage of publication of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Stage {
    /// Sent to nobody.
    Draft,
    /// Sent to those whose `mode` begins with `staged-msgs`.
    Staged,
    /// Sent to all of its audience.
    Active,
    /// Sent to nobody any more.
    Withdrawn,
}

/// In one language.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Translation {
    title: String,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    link_text: Option<String>,
}

/// Who gets a message; without any, everybody. Never sent out.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Audience {
    /// Ids of installations.
    pub instances: BTreeSet<String>,
    /// Networks of senders.
    pub networks: Vec<IpNet>,
}
