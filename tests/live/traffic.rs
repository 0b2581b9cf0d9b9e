//! Traffic of clients.

use std::fs;

use serde_json::json;

use crate::support::{
    http::{PINGBACK, STATISTICS, post},
    server::Server,
};

/// Sends a ping of a new installation; returns the status of the reply, unless the server is down.
pub fn ping(server: &Server, number: usize, mode: &str) -> u16 {
    let body = json!({"instance_id": format!("i{number}"), "version": "0.19.5", "mode": mode});
    server.ask(&post(PINGBACK, body.to_string().as_bytes())).status
}

/// Recorded requests of real Kolibri releases, alternating between servers.
pub fn captures(servers: [&Server; 2]) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/kolibri/captures");
    let list = fs::read_to_string(format!("{folder}/captures.jsonl")).unwrap();
    let mut sent = 0;
    for line in list.lines() {
        let capture: serde_json::Value = serde_json::from_str(line).unwrap();
        let request = fs::read(format!("{folder}/{}", capture["file"].as_str().unwrap())).unwrap();
        servers[sent % 2].ask(&request);
        sent += 1;
    }
    assert!(sent > 100, "{sent}");
}

/// Invalid requests, and requests of scanners.
pub fn faults(server: &Server) {
    for path in [PINGBACK, STATISTICS] {
        assert_eq!(server.ask(&post(path, b"{\"a\": ")).status, 400);
    }
    assert_eq!(server.ask(&post(PINGBACK, &vec![b' '; (64 << 10) + 1])).status, 413);
    assert_eq!(server.get("/nowhere").status, 404);
}
