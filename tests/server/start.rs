//! How the program starts, and when it refuses to start.

use std::{fs, os::unix::fs::PermissionsExt};

use serde_json::json;

use crate::{
    stores,
    support::{
        eventually,
        http::{PINGBACK, post},
        rows::Rows,
        server::Setup,
    },
};

const PING: &[u8] = br#"{"instance_id": "a", "version": "0.19.5", "node_id": "0123456789abcdef0123"}"#;

#[test]
fn the_embedded_store_creates_its_folder_and_key() {
    let setup = Setup::sqlite().without_key();
    let server = setup.start();
    assert_eq!(server.ask(&post(PINGBACK, PING)).status, 200);
    let key = server.data_folder().join("privacy.key");
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let made = fs::read(&key).unwrap();
    // The key is the same after a restart, and so is the pseudonym.
    let server = server.kill().start();
    assert_eq!(server.ask(&post(PINGBACK, PING)).status, 200);
    assert_eq!(fs::read(&key).unwrap(), made);
    let rows = Rows::open(&setup.url).all("pingbacks");
    assert_eq!((rows.len(), &rows[0]["node_id"]), (2, &rows[1]["node_id"]));
    assert_eq!(rows[0]["node_id"].as_str().unwrap().len(), 32);
    // Another folder has another key.
    assert_ne!(made, {
        let other = Setup::sqlite().without_key().start();
        fs::read(other.data_folder().join("privacy.key")).unwrap()
    });
}

#[test]
fn postgres_without_a_key_is_refused_with_a_command_to_generate_one() {
    let (code, text) = stores::postgres().without_key().refusal();
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("privacy.key") && text.contains("/dev/urandom"), "{text}");
}

#[test]
fn a_second_server_on_the_same_file_is_refused() {
    let server = Setup::sqlite().start();
    let (code, text) = server.setup.refusal();
    assert!(code.is_some_and(|code| code != 0), "{text}");
    assert!(text.contains("nutritionfacts.db"), "names the file: {text}");
    assert!(!text.contains("panicked"), "{text}");
    server.assert_well();
    // The lock ends with its holder, however that ended.
    let server = server.kill().start();
    server.assert_well();
}

#[test]
fn an_invalid_setting_is_refused_and_named() {
    for (setting, named) in [
        ("http.max_boddy=1MiB", "max_boddy"),
        ("ingest.queue_capacity=many", "ingest.queue_capacity"),
        ("nothing.at_all=1", "nothing"),
        ("privacy.identifiers=raw", "privacy.notice_url"),
        ("telemetry.tracing.endpoint=collector:4317", "write `http://HOST:4317`"),
        ("telemetry.tracing.endpoint=https://user:secret@collector:4317", "OTEL_EXPORTER_OTLP_HEADERS"),
        ("telemetry.tracing.sample_ratio=1.5", "a number from 0 to 1"),
        ("telemetry.tracing.sample_ratio=half", "a number from 0 to 1"),
    ] {
        let (code, text) = Setup::sqlite().set(setting).refusal();
        assert_eq!(code, Some(2), "{setting}: {text}");
        assert!(text.contains(named), "{setting}: {text}");
    }
}

#[test]
fn a_port_in_use_is_reported() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, text) = Setup::sqlite().set(&format!("http.listen={address}")).refusal();
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains(&address), "{text}");
}

#[test]
fn replies_can_follow_the_first_specification_literally() {
    let setup = Setup::sqlite().set("api.reply=empty");
    let server = setup.start();
    let reply = server.ask(&post(PINGBACK, PING));
    assert_eq!((reply.status, reply.header("content-length"), reply.body.len()), (200, Some("0"), 0));
    // That specification does not cover statistics.
    let reply = server.ask(&post("/api/v1/statistics", b"{}"));
    assert_eq!(reply.json(), json!({"messages": []}));
    assert_eq!(Rows::open(&setup.url).count("pingbacks"), 1);
}

/// `systemctl reload` and log rotation send these.
#[test]
fn reload_signals_do_not_stop_the_server() {
    let server = Setup::sqlite().start();
    for name in ["HUP", "USR1", "USR2"] {
        server.signal(name);
        eventually("it is logged", || server.log.text().contains(&format!("SIG{name}")).then_some(()));
        assert_eq!(server.ask(&post(PINGBACK, PING)).status, 200);
    }
    server.assert_well();
}

/// A pipe that nobody reads does not block the server.
#[test]
fn an_unread_log_does_not_block_the_server() {
    let server = Setup::sqlite().set("telemetry.log.filter=debug").start();
    server.log.be_deaf();
    let refused = b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut connection = server.connect();
    for _ in 0..150 {
        connection.send(&refused.repeat(100)).unwrap();
        for _ in 0..100 {
            assert_eq!(connection.reply().status, 404);
        }
    }
    assert_eq!(server.ask(&post(PINGBACK, PING)).status, 200);
    let dropped = || server.metric("nutritionfacts_log_lines_dropped_total").unwrap();
    eventually("lines are counted instead", || (dropped() != "0").then_some(()));
}

/// Several processes that start at the same time on one database do not disturb each other.
#[test]
fn many_servers_can_start_on_one_empty_database() {
    let setup = stores::postgres();
    let servers: Vec<_> = (0..5).map(|_| setup.clone()).collect();
    let servers: Vec<_> = std::thread::scope(|scope| {
        let starts: Vec<_> = servers.iter().map(|setup| scope.spawn(|| setup.start())).collect();
        starts.into_iter().map(|start| start.join().unwrap()).collect()
    });
    for server in &servers {
        assert_eq!(server.ask(&post(PINGBACK, PING)).status, 200);
        server.assert_well();
    }
    let mut rows = Rows::open(&setup.url);
    assert_eq!((rows.count("pingbacks"), rows.pings("a")), (5, 5));
}
