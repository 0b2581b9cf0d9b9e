//! A disk that fills up: 503 meanwhile, no acknowledged ping is lost, and recovery once there is space again.

use std::{collections::BTreeSet, fs};

use serde_json::json;

use crate::support::{
    eventually,
    http::{PINGBACK, STATISTICS, post},
    rows::Rows,
    server::Setup,
};

#[test]
fn a_full_disk_is_answered_503_and_recovers() {
    let setup = Setup::sqlite().on_a_small_disk();
    let server = setup.start();
    let data = server.own(&server.data_folder());
    // Space that an operator can free: more than SQLite's log, which must be checkpointed first.
    let ballast = data.join("ballast");
    fs::write(&ballast, vec![1; 5 * 1024 * 1024]).unwrap();

    let mut connection = server.connect();
    let mut answered = BTreeSet::new();
    let ping = json!({"instance_id": "a", "version": "0.19.5", "more": "m".repeat(15_000)}).to_string();
    let refused = eventually("the disk is full", || {
        let reply = connection.ask(&post(PINGBACK, ping.as_bytes()));
        if reply.status == 200 {
            answered.insert(reply.json()["id"].as_str().unwrap().to_owned());
        }
        (reply.status != 200).then_some(reply)
    });
    assert_eq!((refused.status, refused.says_close()), (503, false));
    assert!(answered.len() > 20, "{}", answered.len());
    eventually("readiness ends", || (server.get("/readyz").status == 503).then_some(()));
    let reply = connection.ask(&post(STATISTICS, b"{}"));
    assert_eq!((reply.status, reply.says_close()), (503, false));
    assert_eq!(server.get("/livez").status, 200, "a restart would not make room");

    fs::remove_file(&ballast).unwrap();
    server.wait_until_ready();
    let reply = connection.ask(&post(PINGBACK, ping.as_bytes()));
    assert_eq!(reply.status, 200, "{}", server.log.text());
    answered.insert(reply.json()["id"].as_str().unwrap().to_owned());
    // SQLite cannot open the path inside the server's mount namespace.
    for name in ["nutritionfacts.db", "nutritionfacts.db-wal"] {
        fs::copy(data.join(name), setup.folder().join(name)).unwrap();
    }
    let copy = format!("sqlite://{}", setup.folder().join("nutritionfacts.db").display());
    let kept = Rows::open(&copy).ids("pingbacks");
    assert_eq!(kept, answered, "acknowledged pings are stored, refused ones are not");
    let told = server.log.text().matches("store is down").count();
    assert_eq!(told, 1, "{}", server.log.text());
    server.assert_well();
}
