//! How pings of one installation merge into its row of `instances`: in whatever order they come, the same row.

/// The columns that describe an installation; its row holds those of its latest ping.
const DESCRIPTIVE: [&str; 13] = [
    "kolibri_version",
    "mode",
    "platform",
    "os",
    "sysversion",
    "python_version",
    "database_id",
    "language",
    "timezone",
    "installer",
    "project",
    "country",
    "subdivision",
];

/// The end of the statement that merges new rows into `instances`; `least` and `greatest` are the database's words.
///
/// Which of two pings is the later must not depend on which came first, so at the same moment the texts decide.
pub(super) fn merge(least: &str, greatest: &str) -> String {
    let list = |table: &str| DESCRIPTIVE.map(|column| format!("{table}.{column}")).join(", ");
    let later = format!("(excluded.last_seen, {}) > (instances.last_seen, {})", list("excluded"), list("instances"));
    let columns = DESCRIPTIVE.map(|column| {
        format!(",\n    {column} = CASE WHEN {later} THEN excluded.{column} ELSE instances.{column} END")
    });
    format!(
        "ON CONFLICT (instance_id) DO UPDATE SET
    first_seen = {least}(instances.first_seen, excluded.first_seen),
    last_seen = {greatest}(instances.last_seen, excluded.last_seen),
    pings = instances.pings + excluded.pings{}",
        columns.concat()
    )
}
