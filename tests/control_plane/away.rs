//! The API server is down at start, goes down, and comes back: with its state, or with an older one.

use std::process::Command;

use super::{
    install::{Install, SOURCES, is_answered, messages, said, up},
    plane::Plane,
    support::{eventually, server::Server},
};

const TROUBLE: &str = "cannot follow the cluster";

#[test]
fn a_server_starts_while_the_api_server_is_down() {
    let mut plane = Plane::take();
    let install = Install::new();
    install.configure("api: {reply: empty}");
    let setup = install.setup();
    plane.stop_api_server();
    let server = setup.start();
    assert!(is_answered(&server), "pings are taken, by the defaults");
    said(&server, TROUBLE);
    up(&server, false);
    plane.start();
    up(&server, true);
    eventually("the ConfigMap is active", || (!is_answered(&server)).then_some(()));
}

#[test]
fn an_api_server_that_comes_back_is_followed_again() {
    let mut plane = Plane::take();
    let install = Install::new();
    install.configure("ingest: {max_batch: 7}");
    install.publish("hello");
    let server = install.setup().start();
    up(&server, true);
    eventually("the message is active", || (messages(&server) == ["hello"]).then_some(()));
    let hash = server.admin_text("/config");
    plane.stop_api_server();
    up(&server, false);
    assert_eq!(messages(&server), ["hello"]);
    assert_eq!(server.admin_text("/config"), hash);
    // The connection ended and cannot be restored: we and our libraries log this, but not each attempt.
    let complaints = |server: &Server| {
        let events = server.log.events();
        events.iter().filter(|event| event["level"] == "WARN" || event["level"] == "ERROR").count()
    };
    assert!((2..=2 * SOURCES.len()).contains(&complaints(&server)), "{}", server.log.text());
    let server = server.kill().start();
    assert_eq!(messages(&server), ["hello"], "the store remembers it over a restart");
    plane.start();
    up(&server, true);
    assert!((2..=2 * SOURCES.len()).contains(&complaints(&server)), "{}", server.log.text());
    install.configure("api: {reply: empty}");
    eventually("a change is active", || (!is_answered(&server)).then_some(()));
}

/// After the restore, new resource versions are smaller than the one that the server knows: a watch from there would
/// never report changes.
#[test]
fn an_api_server_restored_from_a_backup_is_followed() {
    let mut plane = Plane::take();
    let install = Install::new();
    install.configure("api: {reply: empty}");
    install.publish("old");
    let copy = tempfile::tempdir().unwrap();
    plane.stop_all();
    let data = plane.data();
    let copy_folder = |from: &std::path::Path, to: &std::path::Path| {
        let done = Command::new("cp").args(["-a", "-T"]).args([from, to]).status().unwrap();
        assert!(done.success());
    };
    copy_folder(&data, &copy.path().join("etcd"));
    plane.start();

    let server = install.setup().start();
    up(&server, true);
    eventually("the older state is active", || (!is_answered(&server)).then_some(()));
    install.configure("api: {reply: by_version}");
    for number in 0..20 {
        install.publish(&format!("new-{number}"));
    }
    eventually("the newer state is active", || (is_answered(&server) && messages(&server).len() == 21).then_some(()));

    plane.stop_all();
    std::fs::remove_dir_all(&data).unwrap();
    copy_folder(&copy.path().join("etcd"), &data);
    plane.start();
    eventually("the older state is active again", || (!is_answered(&server)).then_some(()));
    up(&server, true);
    install.configure("");
    eventually("what comes then is not missed", || {
        (is_answered(&server) && messages(&server) == ["old"]).then_some(())
    });
    install.publish("newest");
    eventually("nor is a message", || (messages(&server) == ["newest", "old"]).then_some(()));
    install.wait_for("Published", "newest");
}
