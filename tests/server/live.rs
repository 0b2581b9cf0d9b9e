//! Configuration changes at run time.

use std::{fs, path::PathBuf};

use serde_json::Value;

use crate::support::{
    eventually,
    http::{PINGBACK, post},
    mount::{BROKEN, Mount},
    rows::Rows,
    server::{Server, Setup},
};

const PING: &[u8] = br#"{"instance_id": "a", "version": "0.19.5", "node_id": "n"}"#;
const LAST: &str = "nutritionfacts_config_last_reload_successful";

fn reply_is_empty(server: &Server) -> bool {
    server.ask(&post(PINGBACK, PING)).body.is_empty()
}

fn reloads(server: &Server, result: &str) -> String {
    let series = format!("nutritionfacts_config_reloads_total{{result=\"{result}\",source=\"file\"}}");
    server.metric(&series).unwrap_or_default()
}

fn config(server: &Server) -> Value {
    serde_json::from_str(&server.admin_text("/config")).unwrap()
}

fn with_file(text: &str) -> (Setup, PathBuf) {
    let setup = Setup::sqlite();
    let file = setup.folder().join("config.yaml");
    fs::write(&file, text).unwrap();
    (setup.config(&file), file)
}

#[test]
fn live_keys_are_applied_and_others_reported() {
    let (setup, file) = with_file("");
    let server = setup.start();
    assert!(!reply_is_empty(&server));
    let before = config(&server);
    fs::write(&file, "api: {reply: empty}\ningest: {lanes: 3}\n").unwrap();
    eventually("the reply follows the file", || reply_is_empty(&server).then_some(()));
    eventually("the restart is counted", || (reloads(&server, "restart_needed") == "1").then_some(()));
    assert_eq!((reloads(&server, "applied"), server.metric(LAST)), ("1".into(), Some("1".into())));
    let after = config(&server);
    assert_ne!(before["hash"], after["hash"]);
    assert_eq!((&after["config"]["api"]["reply"], &after["config"]["ingest"]["lanes"]), (&"empty".into(), &1.into()));
    assert_eq!(after["origins"]["api.reply"], format!("file {}", file.display()));
    let hash = after["hash"].as_str().unwrap();
    assert_eq!(server.metric(&format!("nutritionfacts_config_info{{hash=\"{hash}\"}}")), Some("1".into()));
    assert!(server.log.text().contains("ingest.lanes"), "{}", server.log.text());
    fs::write(&file, "").unwrap();
    eventually("a removed key falls back", || (!reply_is_empty(&server)).then_some(()));
    assert_eq!(config(&server)["hash"], before["hash"]);
    server.assert_well();
}

#[test]
fn an_invalid_configuration_keeps_the_last_good_one() {
    let (setup, file) = with_file("api: {reply: empty}\n");
    let server = setup.start();
    let hash = config(&server)["hash"].clone();
    for (count, wrong) in
        [("1", "api: {reply: by_version"), ("2", "api: {replay: by_version}"), ("3", "api: {reply: 7}")]
    {
        fs::write(&file, wrong).unwrap();
        eventually("the file is rejected", || (reloads(&server, "rejected") == count).then_some(()));
        assert_eq!((server.metric(LAST), reply_is_empty(&server)), (Some("0".into()), true));
    }
    fs::remove_file(&file).unwrap();
    eventually("the missing file is rejected", || (reloads(&server, "rejected") == "4").then_some(()));
    let log = server.log.text();
    assert!(log.contains("did you mean `api.reply`?") && log.contains(&file.display().to_string()), "{log}");
    assert_eq!(config(&server)["hash"], hash);
    fs::write(&file, "api: {reply: empty}\n").unwrap();
    eventually("it is good again", || (server.metric(LAST) == Some("1".into())).then_some(()));
    server.assert_well();
}

#[test]
fn a_mounted_config_map_is_read_after_a_swap_of_links() {
    let setup = Setup::sqlite();
    let mut mount = Mount::new(&setup.folder().join("mount"), "config.yaml", "api: {reply: empty}");
    let server = setup.config(mount.file()).start();
    assert!(reply_is_empty(&server));
    mount.publish("api: {reply: by_version}");
    eventually("the swap is noticed", || (!reply_is_empty(&server)).then_some(()));
    server.assert_well();
}

/// An invalid ConfigMap that is followed is ignored at start and at run time; here by its mounted copy alone.
#[test]
fn an_invalid_config_map_does_not_prevent_a_start() {
    for text in BROKEN {
        let setup = Setup::sqlite();
        let base = setup.folder().join("config.yaml");
        fs::write(&base, "api: {reply: empty}\nkubernetes: {config_maps: [live]}").unwrap();
        let mut mount = Mount::new(&setup.folder().join("live"), "config.yaml", text);
        let server = setup.config(&base).config(mount.file()).start();
        assert!(reply_is_empty(&server), "{text}");
        let rejected =
            |of: &str| server.log.text().lines().any(|line| line.contains("configmap/live") && line.contains(of));
        eventually("it is logged", || rejected("the server has started without it").then_some(()));
        assert!(!rejected("last good"), "{text}");
        assert_eq!(server.metric(LAST), Some("0".into()), "{text}");
        mount.publish("api: {reply: by_version}");
        eventually("it is right", || (!reply_is_empty(&server)).then_some(()));
        mount.publish(text);
        eventually("it is logged", || rejected("the last good configuration stays active").then_some(()));
        assert!(!reply_is_empty(&server), "{text}");
        server.assert_well();
    }
}

#[test]
fn a_rotated_key_changes_pseudonyms_and_an_invalid_one_does_not() {
    let setup = Setup::sqlite().without_key();
    let key = setup.folder().join("key");
    fs::write(&key, "k".repeat(40)).unwrap();
    let setup = setup.set(&format!("privacy.key_file={}", key.display()));
    let server = setup.start();
    let mut pings = 0;
    let mut node_id = || {
        assert_eq!(server.ask(&post(PINGBACK, PING)).status, 200);
        pings += 1;
        let rows = Rows::open(&setup.url).all("pingbacks");
        assert_eq!(rows.len(), pings);
        let newest = rows.iter().max_by_key(|row| row["received_at"].as_str().unwrap().to_owned()).unwrap();
        newest["node_id"].as_str().unwrap().to_owned()
    };
    let first = node_id();
    fs::write(&key, "too short").unwrap();
    eventually("the key is refused", || server.log.text().contains("privacy key").then_some(()));
    assert_eq!(node_id(), first);
    fs::write(&key, "l".repeat(40)).unwrap();
    eventually("the new key is used", || (node_id() != first).then_some(()));
    server.assert_well();
}

/// Logs and replies never contain a secret, an address or an identifier.
#[test]
fn secrets_addresses_and_identifiers_are_not_logged() {
    const PLANTED: [&str; 6] =
        ["planted-key", "planted-node", "planted-instance", "203.0.113.99", "planted-body", "planted-unknown"];
    let setup =
        Setup::sqlite().without_key().set("telemetry.log.filter=trace").set("http.trusted_proxies=[127.0.0.0/8]");
    let key = setup.folder().join("secret");
    fs::write(&key, format!("planted-key-{}", "k".repeat(40))).unwrap();
    let server = setup.set(&format!("privacy.key_file={}", key.display())).start();
    let body = br#"{"instance_id": "planted-instance", "node_id": "planted-node", "version": "0.19.5", "x": "planted-unknown"}"#;
    let request = String::from_utf8(post(PINGBACK, body)).unwrap();
    let request = request.replace("Accept: */*", "X-Forwarded-For: 203.0.113.99");
    assert_eq!(server.ask(request.as_bytes()).status, 200);
    assert_eq!(server.ask(&post(PINGBACK, b"planted-body")).status, 400);
    let said = [
        server.log.text(),
        server.admin_text("/metrics"),
        server.admin_text("/config"),
        server.admin_text("/readyz?verbose"),
    ];
    for said in said {
        for planted in PLANTED {
            assert!(!said.contains(planted), "{planted} in {said}");
        }
    }
    server.assert_well();
}
