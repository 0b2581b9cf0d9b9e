//! Recorded requests of released Kolibri packages, byte for byte: the reply, and the rows in the store.

use std::fs;

use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{
    load::check_derived,
    model,
    stores::on_both_stores,
    support::{
        http::{PINGBACK, Reply, STATISTICS},
        rows::{Row, Rows},
        server::Setup,
    },
};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/kolibri/captures");

#[derive(Deserialize)]
struct Capture {
    file: String,
    path: String,
    body: Option<Map<String, Value>>,
}

on_both_stores!(all_requests_of_released_packages_are_stored_and_answered);

fn captures() -> Vec<Capture> {
    let list = fs::read_to_string(format!("{FOLDER}/captures.jsonl")).unwrap();
    list.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn all_requests_of_released_packages_are_stored_and_answered(setup: &Setup) {
    let server = setup.start();
    let mut rows = Rows::open(&setup.url);
    let captures = captures();
    assert_eq!(captures.len(), 141);
    for capture in &captures {
        let request = fs::read(format!("{FOLDER}/{}", capture.file)).unwrap();
        let before = [rows.ids("pingbacks"), rows.ids("statistics")];
        // As clients do: one connection per request.
        let mut connection = server.connect();
        let reply = connection.ask(&request);
        assert!(!reply.says_close(), "{}: a client from 0.18 on throws this reply away", capture.file);
        assert!(connection.is_open(), "{}", capture.file);
        let mut new_in = |table: &str, before| -> Vec<Row> {
            let ids = &rows.ids(table) - before;
            ids.iter().map(|id| rows.one(table, "id", id)).collect()
        };
        let pingbacks = new_in("pingbacks", &before[0]);
        let statistics = new_in("statistics", &before[1]);
        match (capture.path.as_str(), &capture.body) {
            (PINGBACK, Some(body)) => {
                assert_eq!((pingbacks.len(), statistics.len()), (1, 0), "{}", capture.file);
                check_pingback(&capture.file, body, &reply, &pingbacks[0]);
            }
            (STATISTICS, Some(body)) => {
                assert_eq!((pingbacks.len(), statistics.len()), (0, 1), "{}", capture.file);
                check_statistics(&capture.file, body, &reply, &statistics[0], &mut rows);
            }
            _ => {
                assert_eq!(reply.status, 404, "{}", capture.file);
                assert_eq!((pingbacks.len(), statistics.len()), (0, 0), "{}", capture.file);
            }
        }
    }
    check_derived(&mut rows);
    for instance in rows.all("instances") {
        assert!(["ip", "node_id", "system_id"].iter().all(|hidden| !instance.contains_key(*hidden)));
    }
    server.assert_well();
}

/// docs/protocol.md, 5: an empty reply below 0.11, `{id, messages}` from 0.11 on.
fn check_pingback(file: &str, body: &Map<String, Value>, reply: &Reply, row: &Row) {
    assert_eq!(reply.status, 200, "{file}");
    let release = file.split('/').next().unwrap();
    let number: u32 = release.split('.').nth(1).unwrap().parse().unwrap();
    if number < 11 {
        assert_eq!((reply.header("content-length"), reply.body.len()), (Some("0"), 0), "{file}");
    } else {
        assert_eq!(reply.header("content-type"), Some("application/json"), "{file}");
        assert_eq!(reply.json(), serde_json::json!({"id": row["id"], "messages": []}), "{file}");
    }
    model::assert_columns(&model::pingback(body), row, file);
    assert_eq!(row["ip"], "127.0.0.0/24", "{file}");
    assert_eq!((&row["country"], &row["subdivision"]), (&"".into(), &"".into()), "{file}");
    check_id(row);
}

fn check_statistics(file: &str, body: &Map<String, Value>, reply: &Reply, row: &Row, rows: &mut Rows) {
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")), "{file}");
    assert_eq!(reply.json(), serde_json::json!({"messages": []}), "{file}");
    // The ids come from the server that was recorded: none exists here.
    assert_eq!((&row["pi"], &row["pingback_id"]), (&model::text(body.get("pi")).into(), &Value::Null), "{file}");
    check_id(row);
    let id = row["id"].as_str().unwrap();
    for (key, table, fields) in [
        ("c", "channel_statistics", model::CHANNEL.as_slice()),
        ("f", "facility_statistics", model::FACILITY.as_slice()),
    ] {
        let mut stored = rows.with(table, "statistics_id", id);
        stored.sort_by_key(|row| row["position"].as_i64());
        let sent = body[key].as_array().unwrap();
        assert_eq!(stored.len(), sent.len(), "{file}: {table}");
        for (position, (sent, stored)) in sent.iter().zip(&stored).enumerate() {
            assert_eq!(stored["position"], position, "{file}: {table}");
            model::assert_columns(
                &model::entry(fields, sent.as_object().unwrap()),
                stored,
                &format!("{file}: {table}"),
            );
        }
    }
}

/// A UUIDv7 of the time of arrival.
fn check_id(row: &Row) {
    let id: Uuid = row["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(id.get_version_num(), 7);
    let (seconds, nanoseconds) = id.get_timestamp().unwrap().to_unix();
    let received: chrono::DateTime<chrono::Utc> = row["received_at"].as_str().unwrap().parse().unwrap();
    let of_id = seconds * 1000 + u64::from(nanoseconds / 1_000_000);
    assert_eq!(u64::try_from(received.timestamp_millis()).unwrap(), of_id);
}
