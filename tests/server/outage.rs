//! PostgreSQL is down or in trouble: 503 meanwhile, then recovery.

use std::thread;

use serde_json::json;

use crate::{
    stores::{self, database_in},
    support::{
        eventually,
        http::{PINGBACK, STATISTICS, post},
        postgres::Cluster,
        rows::Rows,
        server::Setup,
    },
};

const PING: &[u8] = br#"{"instance_id": "a", "version": "0.19.5"}"#;

#[test]
fn postgres_goes_down_and_the_server_recovers() {
    let cluster = Cluster::start();
    let setup = database_in(&cluster).set("store.acquire_timeout=1s");
    let server = setup.start();
    assert_eq!(server.ask(&post(PINGBACK, PING)).status, 200);
    cluster.kill();
    for (path, body) in [(PINGBACK, PING), (STATISTICS, b"{}")] {
        let mut connection = server.connect();
        let reply = connection.ask(&post(path, body));
        assert_eq!((reply.status, reply.says_close()), (503, false), "{path}: {}", reply.text());
        assert!(reply.body.len() < 200 && connection.is_open(), "{path}");
    }
    eventually("readiness ends", || (server.get("/readyz").status == 503).then_some(()));
    assert!(server.get("/readyz?verbose").json().is_object());
    assert_eq!(server.get("/livez").status, 200, "a restart would not bring PostgreSQL back");
    // Invalid requests are refused as such even now.
    assert_eq!(server.ask(&post(PINGBACK, b"[]")).status, 400);

    cluster.restart();
    server.wait_until_ready();
    assert_eq!(server.ask(&post(PINGBACK, PING)).status, 200);
    assert_eq!(Rows::open(&setup.url).pings("a"), 2);
    server.assert_well();
}

#[test]
fn a_server_starts_while_postgres_is_down() {
    let cluster = Cluster::start();
    let setup = database_in(&cluster);
    cluster.kill();
    let server = setup.launch();
    assert_eq!((server.get("/livez").status, server.get("/readyz").status), (200, 503));
    assert_eq!(server.ask(&post(PINGBACK, PING)).status, 503);
    cluster.restart();
    server.wait_until_ready();
    assert_eq!(server.ask(&post(PINGBACK, PING)).status, 200);
    assert_eq!(Rows::open(&setup.url).count("pingbacks"), 1);
}

#[test]
fn a_full_queue_is_answered_503() {
    let cluster = Cluster::start();
    let setup = database_in(&cluster).set("ingest.queue_capacity=3").set("ingest.max_batch=1");
    let setup = setup.set("store.statement_timeout=60s").set("store.acquire_timeout=60s");
    let server = setup.start();
    assert_eq!(server.ask(&post(PINGBACK, PING)).status, 200);
    cluster.pause();
    let statuses: Vec<u16> = thread::scope(|scope| {
        let senders: Vec<_> = (0..30).map(|_| scope.spawn(|| server.ask(&post(PINGBACK, PING)).status)).collect();
        // Most of them cannot even be queued.
        eventually("the queue is full", || {
            (senders.iter().filter(|sender| sender.is_finished()).count() > 20).then_some(())
        });
        cluster.resume();
        senders.into_iter().map(|sender| sender.join().unwrap()).collect()
    });
    assert!(statuses.iter().all(|status| [200, 503].contains(status)), "{statuses:?}");
    let answered = statuses.iter().filter(|status| **status == 200).count();
    let pings = Rows::open(&setup.url).pings("a");
    assert_eq!(usize::try_from(pings).unwrap(), answered + 1);
    assert_eq!(server.ask(&post(PINGBACK, PING)).status, 200);
    server.assert_well();
}

/// One row that the database rejects: its client and other pings are not affected.
#[test]
fn a_poison_row_is_set_aside() {
    let cluster = Cluster::start();
    let setup = database_in(&cluster);
    let server = setup.start();
    let database = setup.url.rsplit('/').next().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(cluster.execute(database, "ALTER TABLE profiles ADD CONSTRAINT taste CHECK (mode <> 'poison')"));
    let ping = |number: usize| {
        let mode = if number == 20 { "poison" } else { "" };
        let body =
            json!({"instance_id": format!("i{number}"), "version": "0.19.5", "mode": mode, "node_id": "a raw address"});
        server.ask(&post(PINGBACK, body.to_string().as_bytes()))
    };
    thread::scope(|scope| {
        let senders: Vec<_> = (0..40).map(|number| scope.spawn(move || ping(number))).collect();
        for sender in senders {
            let reply = sender.join().unwrap();
            assert!(reply.status == 200 && reply.json()["id"].is_string(), "{reply:?}");
        }
    });
    let mut rows = Rows::open(&setup.url);
    assert_eq!(rows.count("pingbacks"), 39);
    let aside = rows.all("set_aside");
    assert_eq!(aside.len(), 1);
    assert_eq!((&aside[0]["instance_id"], &aside[0]["kind"]), (&json!("i20"), &json!("pingback")));
    let reason = aside[0]["reason"].as_str().unwrap();
    assert!(reason.contains("23514") && reason.contains("taste"), "{reason}");
    assert!(!json!(aside).to_string().contains("a raw address"));
    assert!(!server.log.text().contains("a raw address") && !server.log.text().contains("i20"));
    let lines: Vec<_> = server
        .log
        .events()
        .into_iter()
        .filter(|event| event["message"].as_str().is_some_and(|message| message.starts_with("row set aside")))
        .collect();
    assert!(lines.len() == 1 && lines[0]["request"].is_string() && lines[0]["reason"] == reason, "{lines:?}");
    server.assert_well();
}

#[test]
fn the_log_contains_no_data_of_clients() {
    for setup in [Setup::sqlite(), stores::postgres()] {
        let server = setup.set("telemetry.log.filter=debug").start();
        let body =
            json!({"instance_id": "the instance", "node_id": "the node", "project": "the project", "x": "the extra"});
        assert_eq!(server.ask(&post(PINGBACK, body.to_string().as_bytes())).status, 200);
        assert_eq!(server.ask(&post(PINGBACK, b"{\"the broken\": ")).status, 400);
        let log = server.log.text();
        for hidden in ["the instance", "the node", "the project", "the extra", "the broken"] {
            assert!(!log.contains(hidden), "{hidden} in the log");
        }
    }
}
