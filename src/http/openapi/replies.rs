//! JSON replies, for the OpenAPI document only.

#![expect(dead_code, reason = "only the schemas of these types are used")]

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::{Map, Value};

/// The reply to a pingback of Kolibri 0.11 or later.
#[derive(JsonSchema)]
#[schemars(rename = "PingbackReply")]
pub struct Pingback {
    /// UUIDv7 of the pingback, for `pi` of the statistics.
    #[schemars(extend("format" = "uuid"), example = &"01a20c5d-0bd2-777f-acf7-52a4b809fce5")]
    id: String,
    /// The full set of messages for this client: a device withdraws messages that are no longer in it.
    messages: Vec<Message>,
}

/// A message for administrators; the limits are those of clients.
#[derive(JsonSchema)]
struct Message {
    #[schemars(length(min = 1, max = 50))]
    msg_id: String,
    /// Empty or `*` for all versions, or comparisons with final versions.
    #[schemars(length(max = 50), example = &">=0.15.0,<0.18.0")]
    version_range: String,
    /// Empty if there is none.
    #[schemars(length(max = 150))]
    link_url: String,
    /// Texts by language code; includes `en`.
    i18n: BTreeMap<String, Text>,
    /// The date of the message.
    #[schemars(extend("format" = "date"))]
    timestamp: String,
}

/// The text in one language.
#[derive(JsonSchema)]
#[expect(clippy::struct_field_names, reason = "these are the names that clients read")]
struct Text {
    title: String,
    msg: String,
    /// If null, the address is shown.
    link_text: Option<String>,
}

/// The reply to a statistics report.
#[derive(JsonSchema)]
#[schemars(rename = "StatisticsReply")]
pub struct Statistics {
    /// Always empty.
    messages: Vec<Map<String, Value>>,
}

/// Whether reports can be stored.
#[derive(JsonSchema)]
pub struct Ready {
    /// Result of all checks.
    status: Status,
    /// Result of each check: `ok`, or what is wrong. Present with `?verbose`, and if the status is not `ok`.
    #[schemars(example = serde_json::json!({"startup": "ok", "shutdown": "ok", "store": "unavailable"}))]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    checks: BTreeMap<String, String>,
}

/// Result of all checks.
#[derive(JsonSchema)]
#[schemars(inline, rename_all = "snake_case")]
enum Status {
    Ok,
    Unavailable,
}
