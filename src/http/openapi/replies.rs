//! What is answered as JSON, for the document only.

#![expect(dead_code, reason = "only the schemas of these types are used")]

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::{Map, Value};

/// The answer to a pingback of 0.11 or later.
#[derive(JsonSchema)]
#[schemars(rename = "PingbackReply")]
pub struct Pingback {
    /// UUIDv7 of the pingback, for `pi` of the statistics.
    #[schemars(extend("format" = "uuid"), example = &"01a20c5d-0bd2-777f-acf7-52a4b809fce5")]
    id: String,
    /// Messages for administrators; none so far.
    messages: Vec<Map<String, Value>>,
}

/// The answer to a statistics report.
#[derive(JsonSchema)]
#[schemars(rename = "StatisticsReply")]
pub struct Statistics {
    /// Messages for administrators; none so far.
    messages: Vec<Map<String, Value>>,
}

/// Whether a report can be kept.
#[derive(JsonSchema)]
pub struct Ready {
    /// All checks together.
    status: Status,
    /// Each check: `ok`, or what is the matter. Present with `?verbose`, and when the status is not `ok`.
    #[schemars(example = serde_json::json!({"startup": "ok", "shutdown": "ok", "store": "unavailable"}))]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    checks: BTreeMap<String, String>,
}

/// All checks together.
#[derive(JsonSchema)]
#[schemars(inline, rename_all = "snake_case")]
enum Status {
    Ok,
    Unavailable,
}
