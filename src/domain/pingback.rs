//! A pingback: what any Kolibri since 0.7 may send, and the row made of it (PROTOCOL.md section 4).

use serde::Serialize;
use uuid::Uuid;

use super::Timestamp;

/// One row of `pingbacks`, after cleaning, cutting and the privacy rules.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PingbackRow {
    /// UUIDv7 of `received_at`.
    pub id: Uuid,
    /// The moment of arrival, by our clock.
    pub received_at: Timestamp,
    /// As sent; `''` if absent: then there is no row in `instances`.
    pub instance_id: String,
    /// As sent.
    pub kolibri_version: String,
    /// See [`super::mode`].
    pub mode: String,
    /// As sent.
    pub platform: String,
    /// `windows`, `macos`, `linux`, `android`, `chromeos`, `other` or `''`.
    pub os: &'static str,
    /// As sent.
    pub sysversion: String,
    /// The leading number of `sysversion`, as `3.9.2`.
    pub python_version: String,
    /// As sent.
    pub database_id: String,
    /// By the privacy rules.
    pub system_id: String,
    /// By the privacy rules; also filled from `macaddress`.
    pub node_id: String,
    /// As sent.
    pub language: String,
    /// As sent.
    pub timezone: String,
    /// Minutes, from 0.
    pub uptime: i64,
    /// The device's own clock; `None` if unreadable.
    pub client_time: Option<Timestamp>,
    /// As sent.
    pub installer: String,
    /// As sent.
    pub project: String,
    /// By the privacy rules: address, network or `''`.
    pub ip: String,
    /// ISO 3166-1 code, or `''`.
    pub country: String,
    /// ISO 3166-2 code, or `''`.
    pub subdivision: String,
    /// The version of the notice under which a raw row was stored, or `''`.
    pub privacy_notice: String,
    /// A JSON object (its text) of unknown keys.
    pub extra: String,
}
