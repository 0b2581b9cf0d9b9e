//! The subcommand `nutritionfacts report` on both stores, compared with the rows.

use std::process::{Command, Output};

use serde_json::Value;
use sqlx::Connection;

use crate::{
    fleet::Fleet,
    support::{
        http::{PINGBACK, post},
        postgres::shared,
        server::Setup,
    },
};

fn report(store: &str, arguments: &[&str]) -> Output {
    run(store, "report", arguments)
}

fn run(store: &str, name: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nutritionfacts"));
    command.env_clear().env("DATABASE_URL", store);
    command.arg(name).args(arguments).output().unwrap()
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn the_report_matches_the_rows() {
    let mut fleet = Fleet::of(400, 15).await;
    let url = shared().url(&fleet.database);
    let said = json(&report(&url, &["--since", "2026-01-10", "--until", "2026-08-01", "--format", "json"]));
    let of = |what: &str| {
        format!(
            "SELECT {what} FROM (SELECT DISTINCT ON (instance_id) * FROM pingbacks
                WHERE received_at >= '2026-01-10Z' AND received_at < '2026-08-01Z' ORDER BY instance_id, id DESC) AS latest WHERE mode = ''"
        )
    };
    assert_eq!(said["installations"].to_string(), fleet.text(&of("count(*)")).await);
    for (key, column) in
        [("os", "os"), ("version", "kolibri_version"), ("country", "country"), ("language", "language")]
    {
        let value = format!("CASE {column} WHEN '' THEN 'unknown' ELSE {column} END");
        let groups = of(&format!("{value} AS value, count(*) AS installations"));
        let sql = format!(
            "SELECT coalesce(jsonb_agg(t ORDER BY installations DESC, value COLLATE \"C\"), '[]') FROM ({groups} GROUP BY 1 HAVING count(*) >= 10) AS t"
        );
        let expected: Value = fleet.text(&sql).await.parse().unwrap();
        let few = |group: &&Value| group["value"] != "others";
        let told: Vec<_> = said[key].as_array().unwrap().iter().filter(few).cloned().collect();
        assert_eq!(Value::from(told), expected, "{key}");
        let sum: u64 = said[key].as_array().unwrap().iter().map(|group| group["installations"].as_u64().unwrap()).sum();
        assert_eq!(said["installations"], sum, "{key}");
    }
    let learners = "SELECT sum(most) FROM (SELECT max(learners) AS most FROM facility_statistics JOIN statistics ON statistics.id = statistics_id
        JOIN pingbacks ON pingbacks.id = pingback_id WHERE mode = '' AND statistics.received_at >= '2026-01-10Z' AND statistics.received_at < '2026-08-01Z'
        GROUP BY facility_id) AS _";
    assert_eq!(said["learners"].to_string(), fleet.text(learners).await);

    let all = json(&report(&url, &["--since", "2026-01-10", "--until", "2026-08-01", "--all", "--format", "json"]));
    assert!(all["installations"].as_u64() > said["installations"].as_u64());
}

/// The counts of a period remain when its pings are deleted, on both stores.
#[tokio::test]
async fn the_report_includes_counts_of_deleted_pings() {
    let fleet = Fleet::of(400, 15).await;
    fleet.derive().await;
    let url = shared().url(&fleet.database);
    let month = ["--since", "2026-03-01", "--until", "2026-04-01", "--format", "json"];
    let before = json(&report(&url, &month));
    shared()
        .execute(
            &fleet.database,
            "UPDATE store_state SET sealed_before = '2026-05-01'; DELETE FROM pings WHERE received_at < '2026-05-01Z'",
        )
        .await;
    let after = json(&report(&url, &month));
    for key in ["installations", "os", "country"] {
        assert_eq!(after[key], before[key], "{key}");
    }
    assert!(after["learners"].is_null() && before["learners"].is_u64());
    let other = report(&url, &["--since", "2026-03-02", "--until", "2026-04-01"]);
    assert_eq!(other.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&other.stderr).contains("pings before 2026-05-01 are deleted"));

    let folder = tempfile::tempdir().unwrap();
    let file = format!("sqlite://{}/n.db", folder.path().display());
    assert!(run(&file, "migrate", &[]).status.success());
    let mut connection = sqlx::SqliteConnection::connect(&file).await.unwrap();
    let rows = "INSERT INTO activity (grain, begins, ordinary, release, build, os, country, instances, new_instances) VALUES
        ('month', '2026-03-01', 1, '0.17', 'release', 'linux', 'KE', 20, 1), ('month', '2026-03-01', 1, '0.16', 'release', 'linux', 'KE', 10, 1),
        ('month', '2026-03-01', 0, '0.17', 'release', 'linux', 'KE', 5, 1); UPDATE store_state SET sealed_before = '2026-04-01'";
    sqlx::raw_sql(rows).execute(&mut connection).await.unwrap();
    let said = json(&report(&file, &month));
    assert_eq!(said["installations"], 30);
    assert_eq!(said["version"][0], serde_json::json!({"value": "0.17", "installations": 20}));
    let table = String::from_utf8(report(&file, &month[..4]).stdout).unwrap();
    assert!(table.contains("their pings are deleted"), "{table}");
}

#[test]
fn the_report_reads_an_embedded_store_in_use() {
    let setup = Setup::sqlite();
    let server = setup.start();
    for id in 0..12 {
        let body = format!(
            r#"{{"instance_id": "i{}", "version": "0.17.{}", "platform": "Linux", "language": "en"}}"#,
            id % 11,
            id % 11
        );
        assert_eq!(server.ask(&post(PINGBACK, body.as_bytes())).status, 200);
    }
    let url = format!("sqlite://{}/nutritionfacts.db", server.data_folder().display());
    let said = json(&report(&url, &["--format", "json"]));
    assert_eq!(said["installations"], 11);
    assert_eq!(said["language"], serde_json::json!([{"value": "en", "installations": 11}]));
    // Groups of fewer than ten are merged.
    assert_eq!(said["version"], serde_json::json!([{"value": "others", "installations": 11}]));

    let table = String::from_utf8(report(&url, &[]).stdout).unwrap();
    assert!(table.contains("11 ordinary installations pinged"), "{table}");
    assert!(table.contains("language  installations   share\nen                   11  100.0%"), "{table}");
    server.assert_well();
}

/// In a read-only mount, with a running server and without one; and it needs no place for temporary files.
#[test]
fn the_report_reads_a_read_only_store() {
    let setup = Setup::sqlite();
    let server = setup.start();
    for id in 0..12 {
        let body = format!(r#"{{"instance_id": "i{id}", "version": "0.17.5"}}"#);
        assert_eq!(server.ask(&post(PINGBACK, body.as_bytes())).status, 200);
    }
    let folder = server.data_folder().display().to_string();
    let read_only = || {
        // In a separate user namespace anyone may mount.
        let script =
            format!("mount --bind {folder} {folder} && mount -o remount,bind,ro {folder} && exec \"$0\" \"$@\"");
        let mut command = Command::new("unshare");
        command.args([
            "--user",
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            &script,
            env!("CARGO_BIN_EXE_nutritionfacts"),
        ]);
        command.args([
            "report",
            "--format",
            "json",
            "--set",
            &format!("store.url=sqlite://{folder}/nutritionfacts.db"),
        ]);
        command.env("TMPDIR", "/nowhere");
        json(&command.output().unwrap())["installations"].clone()
    };
    assert_eq!(read_only(), 12, "beside a server");
    assert!(server.stop().success());
    assert_eq!(read_only(), 12, "without a server");
}

#[test]
fn the_report_explains_errors() {
    let output = report("sqlite:///nowhere/at-all.db", &[]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "nutritionfacts: there is no database at /nowhere/at-all.db\n");
    let output = report("sqlite:///nowhere/at-all.db", &["--since", "2026-02-01", "--until", "2026-01-01"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("is not before"));
    let output = report("sqlite:///nowhere/at-all.db", &["--since", "yesterday"]);
    assert_eq!(output.status.code(), Some(2));
}
