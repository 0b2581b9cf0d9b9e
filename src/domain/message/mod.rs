//! A message to the administrators of Kolibri devices: content, audience, and format for clients (docs/protocol.md, 10).

mod audience;
pub mod limits;
mod problem;
mod read;
mod wire;

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::Serialize;

pub use self::{
    audience::{Audience, is_installer, is_language},
    problem::Problem,
    read::{FALLBACK_LANGUAGE, STAGES},
    wire::preview,
};
use super::version::Range;

/// A message that every client can store; only [`Message::read`] makes one. Serialises as its document.
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

    /// The stage.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// The date by which clients sort.
    #[must_use]
    pub fn date(&self) -> NaiveDate {
        self.date
    }

    /// Its stage and date.
    #[must_use]
    pub fn schedule(&self) -> Schedule {
        Schedule { stage: self.stage, date: self.date }
    }

    /// The audience.
    #[must_use]
    pub fn audience(&self) -> &Audience {
        &self.audience
    }

    /// The versions of Kolibri that get it.
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
    /// Sent only to devices whose `mode` begins with `staged-msgs`.
    Staged,
    /// Sent to its whole audience.
    Active,
    /// Sent to nobody any more.
    Withdrawn,
}

/// When devices get a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// The stage.
    pub stage: Stage,
    /// The date by which clients sort.
    pub date: NaiveDate,
}

impl Schedule {
    /// Whether the message is active but of a later day: devices show only the newest message, so that it would hide all others.
    #[must_use]
    pub fn is_held_back(self, today: NaiveDate) -> bool {
        self.stage == Stage::Active && self.date > today
    }

    /// Whether its whole audience gets the message.
    #[must_use]
    pub fn is_sent(self, today: NaiveDate) -> bool {
        self.stage == Stage::Active && self.date <= today
    }
}

/// Texts in one language.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Translation {
    title: String,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    link_text: Option<String>,
}
