//! Messages to administrators: published from files, changed, withdrawn, and never lost by accident.

use std::{
    fs,
    path::{Path, PathBuf},
};

use chrono::{NaiveTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::{
    stores::{database_in, on_both_stores},
    support::{
        eventually,
        http::{PINGBACK, STATISTICS, post},
        mount::Mount,
        postgres::Cluster,
        rows::Rows,
        server::{Server, Setup},
    },
};

on_both_stores!(
    messages_are_published_changed_and_withdrawn,
    the_last_good_messages_are_used_while_files_are_unreadable,
    an_invalid_message_is_left_out_and_others_are_sent,
    a_mistyped_path_withdraws_nothing,
    a_mounted_config_map_is_read_after_a_swap_of_links,
    a_mode_rule_makes_a_device_a_tester,
    messages_go_to_the_audience_that_they_name,
    a_message_is_held_back_until_its_day,
);

/// A setup with a folder of messages.
fn with_folder(setup: &Setup) -> (Setup, PathBuf) {
    let folder = setup.folder().join("messages");
    fs::create_dir(&folder).unwrap();
    (setup.clone().set(&format!("messages.files=[{}]", folder.display())), folder)
}

fn document(id: &str, more: &str) -> String {
    format!("id: {id}\nstage: Active\ndate: 2026-11-01\ntranslations: {{en: {{title: T, message: M}}}}\n{more}\n")
}

fn ping(server: &Server, more: &Value) -> Value {
    let mut body = json!({"instance_id": "a", "version": "0.17.5", "mode": ""});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let reply = server.ask(&post(PINGBACK, body.to_string().as_bytes()));
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
    reply.json()
}

fn ids(server: &Server, more: &Value) -> Vec<String> {
    let reply = ping(server, more);
    reply["messages"].as_array().unwrap().iter().map(|message| message["msg_id"].as_str().unwrap().into()).collect()
}

fn wait_for(server: &Server, expected: &[&str]) {
    eventually("the messages are sent", || (ids(server, &json!({})) == expected).then_some(()));
}

fn messages_are_published_changed_and_withdrawn(setup: &Setup) {
    let (setup, folder) = with_folder(setup);
    let server = setup.start();
    assert!(ids(&server, &json!({})).is_empty());
    let upgrade = "\
id: upgrade
stage: Active
versionRange: '>=0.15.0,<0.18.0'
linkUrl: https://example.org/upgrade
date: 2026-11-02
translations:
  en: {title: Please upgrade, message: It is time., linkText: How to}
  sw-tz: {title: Tafadhali, message: Ni wakati.}
audience: {networks: [127.0.0.0/8], instances: [a, b]}
";
    fs::write(folder.join("a.yaml"), upgrade).unwrap();
    fs::write(folder.join("b.yml"), document("second", "") + "---\n" + &document("third", "versionRange: '<0.12.0'"))
        .unwrap();
    fs::write(folder.join("config.yaml"), "http: {}\n").unwrap();
    fs::write(folder.join("notes.txt"), "no message").unwrap();
    wait_for(&server, &["upgrade", "second"]);
    assert_eq!(
        ping(&server, &json!({}))["messages"][0],
        json!({
            "msg_id": "upgrade", "version_range": ">=0.15.0,<0.18.0", "link_url": "https://example.org/upgrade",
            "timestamp": "2026-11-02",
            "i18n": {
                "en": {"title": "Please upgrade", "msg": "It is time.", "link_text": "How to"},
                "sw-tz": {"title": "Tafadhali", "msg": "Ni wakati.", "link_text": null},
            },
        })
    );
    assert_eq!(ids(&server, &json!({"instance_id": "c"})), ["second"]);
    assert_eq!(ids(&server, &json!({"version": "0.11.1"})), ["second", "third"]);
    assert_eq!(ids(&server, &json!({"mode": "msg-here"})), ["upgrade", "second", "msg-here"]);
    let old = server.ask(&post(PINGBACK, br#"{"instance_id": "a", "version": "0.10.3"}"#));
    assert_eq!((old.status, old.body.len()), (200, 0));
    let statistics = server.ask(&post(STATISTICS, br#"{"pi": null, "c": [], "f": []}"#));
    assert_eq!(statistics.json(), json!({"messages": []}));
    assert_eq!(server.metric("nutritionfacts_messages_active"), Some("3".into()));

    fs::write(folder.join("a.yaml"), upgrade.replace("Active", "Staged").replace("<0.18.0", "<0.19.0")).unwrap();
    wait_for(&server, &["second"]);
    assert_eq!(ids(&server, &json!({"mode": "staged-msgs"})), ["upgrade", "second"]);
    assert_eq!(ids(&server, &json!({"mode": "staged-msgs-ver-0.19.0"})), ["second"]);
    fs::remove_file(folder.join("b.yml")).unwrap();
    wait_for(&server, &[]);
    eventually("the withdrawal is logged", || {
        let loaded = server.log.events().into_iter().rfind(|event| event["message"] == "messages loaded")?;
        (loaded["active"] == 0).then_some(())
    });
    server.assert_well();
}

fn the_last_good_messages_are_used_while_files_are_unreadable(setup: &Setup) {
    let (setup, folder) = with_folder(setup);
    let fresh = document("fresh", "");
    fs::write(folder.join("a.yaml"), document("first", "")).unwrap();
    let server = setup.start();
    wait_for(&server, &["first"]);
    eventually("the store remembers", || {
        let rows = Rows::open(&setup.url).all("message_snapshot");
        rows.first().is_some_and(|row| row["catalogue"].to_string().contains("first")).then_some(())
    });

    // Missing while the server runs, and still at the next start.
    let away = setup.folder().join("away");
    fs::rename(&folder, &away).unwrap();
    eventually("it is logged", || server.log.text().contains("cannot read messages").then_some(()));
    assert_eq!(ids(&server, &json!({})), ["first"]);
    assert!(server.stop().success());
    let server = setup.start();
    assert_eq!(ids(&server, &json!({})), ["first"], "the very first reply has them");
    let server = server.kill().start();
    assert_eq!(ids(&server, &json!({})), ["first"]);

    // If a volume is not mounted, its folder is empty.
    fs::create_dir(&folder).unwrap();
    eventually("it is logged", || server.log.text().contains("not mounted").then_some(()));
    assert_eq!(ids(&server, &json!({})), ["first"]);
    assert_eq!(server.metric("nutritionfacts_messages_rejected"), Some("1".into()));
    let told = server.log.text().matches("cannot read messages").count();
    assert_eq!(told, 2, "once for each change: {}", server.log.text());

    fs::write(folder.join("b.yaml"), fresh).unwrap();
    wait_for(&server, &["fresh"]);
    fs::write(folder.join("b.yaml"), "# none at present\n").unwrap();
    wait_for(&server, &[]);
}

/// A mistyped path, while the server runs and at start.
fn a_mistyped_path_withdraws_nothing(setup: &Setup) {
    let folder = setup.folder().join("messages");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("a.yaml"), document("first", "")).unwrap();
    let config = setup.folder().join("config.yaml");
    let names = |path: &Path| fs::write(&config, format!("messages: {{files: [{}]}}\n", path.display())).unwrap();
    names(&folder);
    let setup = setup.clone().config(&config);
    let server = setup.start();
    wait_for(&server, &["first"]);
    names(&setup.folder().join("mesages"));
    eventually("it is logged", || server.log.text().contains("mesages: cannot be read").then_some(()));
    assert_eq!(ids(&server, &json!({})), ["first"]);
    assert!(server.stop().success());
    let server = setup.start();
    assert_eq!(ids(&server, &json!({})), ["first"]);

    // Another readable path, or none, is a deliberate change.
    let other = setup.folder().join("other.yaml");
    fs::write(&other, document("second", "")).unwrap();
    names(&other);
    wait_for(&server, &["second"]);
    fs::write(&config, "").unwrap();
    wait_for(&server, &[]);
    server.assert_well();
}

fn a_mounted_config_map_is_read_after_a_swap_of_links(setup: &Setup) {
    let (setup, folder) = with_folder(setup);
    let mut mount = Mount::new(&folder, "a.yaml", &document("first", ""));
    let server = setup.start();
    assert_eq!(ids(&server, &json!({})), ["first"]);
    mount.publish(&document("second", ""));
    wait_for(&server, &["second"]);
    fs::remove_file(mount.file()).unwrap();
    wait_for(&server, &[]);
    server.assert_well();
}

/// A tester whose device sends no mode gets one by a rule.
fn a_mode_rule_makes_a_device_a_tester(setup: &Setup) {
    let (setup, folder) = with_folder(setup);
    let staged = document("staged", "").replace("Active", "Staged");
    fs::write(folder.join("a.yaml"), staged).unwrap();
    let server = setup.set("ingest.mode_rules=[{instances: [tester], mode: staged-msgs}]").start();
    assert_eq!(ids(&server, &json!({"instance_id": "tester"})), ["staged"]);
    assert!(ids(&server, &json!({})).is_empty());
}

/// An upgrade is announced only where it is downloaded. No country is known of a loopback address.
fn messages_go_to_the_audience_that_they_name(setup: &Setup) {
    let (setup, folder) = with_folder(setup);
    let to = |id: &str, audience: &str| document(id, &format!("audience: {{{audience}}}"));
    let all = [
        to("download", "installers: [Windows, Mac, deb kolibri]"),
        to("phones", "os: [android]"),
        to("shows", "modes: [demoserver]"),
        to("ordinary-swahili", "modes: [''], languages: [sw]"),
        to("tanzania", "countries: [TZ, KE]"),
        to("all", "countries: []"),
    ];
    fs::write(folder.join("a.yaml"), all.join("---\n")).unwrap();
    let server = setup.start();
    // The second ping is of a known profile.
    let to = |more: Value| {
        let first = ids(&server, &more);
        assert_eq!(ids(&server, &more), first);
        first
    };
    assert_eq!(to(json!({})), ["all"]);
    assert_eq!(to(json!({"installer": "Windows - 1.6.6"})), ["all", "download"]);
    assert_eq!(to(json!({"installer": "Windows App - 0.4.4"})), ["all"]);
    assert_eq!(to(json!({"installer": "deb kolibri-server - 0.5.1~beta1-0ubuntu1"})), ["all"]);
    assert_eq!(to(json!({"installer": "apk - 0.19.5-0.1.7.1", "platform": "Linux-4.14"})), ["all", "phones"]);
    assert_eq!(to(json!({"mode": "android-debug", "platform": "Linux-4.14"})), ["all", "phones"]);
    assert_eq!(to(json!({"mode": "demoserver", "language": "sw-tz"})), ["all", "shows"]);
    assert_eq!(to(json!({"language": "sw-tz"})), ["all", "ordinary-swahili"]);
    assert_eq!(to(json!({"mode": "staged-msgs", "language": "sw-tz"})), ["all", "ordinary-swahili", "shows"]);
    server.assert_well();
}

/// Over midnight, without a change of the file.
fn a_message_is_held_back_until_its_day(setup: &Setup) {
    const BEFORE_MIDNIGHT: i64 = 20;
    let (setup, folder) = with_folder(setup);
    #[expect(clippy::disallowed_methods, reason = "from which the clock of the server is set")]
    let now = Utc::now();
    let tomorrow = (now + TimeDelta::days(1)).date_naive();
    let later = document("later", "").replace("2026-11-01", &tomorrow.to_string());
    fs::write(folder.join("a.yaml"), [document("now", ""), later].join("---\n")).unwrap();
    let midnight = tomorrow.and_time(NaiveTime::MIN).and_utc();
    let ahead = (midnight - now).num_seconds() - BEFORE_MIDNIGHT;
    let server = setup.clock(1).variable("FAKETIME", format!("{ahead:+}")).start();
    assert_eq!(ids(&server, &json!({})), ["now"]);
    assert_eq!(ids(&server, &json!({"mode": "staged-msgs"})), ["later", "now"]);
    assert_eq!(server.metric("nutritionfacts_messages_active"), Some("1".into()));
    let note = format!("document 2 (later): date: {tomorrow} is in the future");
    assert!(server.log.text().contains(&note), "{}", server.log.text());
    wait_for(&server, &["later", "now"]);
    eventually("it is counted", || (server.metric("nutritionfacts_messages_active") == Some("2".into())).then_some(()));
    assert_eq!(server.log.text().matches("is in the future").count(), 1, "logged once");
    server.assert_well();
}

fn an_invalid_message_is_left_out_and_others_are_sent(setup: &Setup) {
    let (setup, folder) = with_folder(setup);
    let bad = document("bad", "versionRange: '<0.16.0b1'\nlinkUrl: ftp://example.org");
    fs::write(folder.join("a.yaml"), format!("{}---\n{bad}---\nid: [\n", document("good", ""))).unwrap();
    let server = setup.start();
    assert_eq!(ids(&server, &json!({})), ["good"]);
    assert_eq!(server.metric("nutritionfacts_messages_rejected"), Some("2".into()));
    let complaints: Vec<_> =
        server.log.events().iter().filter_map(|event| Some(event["complaint"].as_str()?.to_owned())).collect();
    assert_eq!(complaints.len(), 3, "{complaints:?}");
    assert!(complaints[0].contains("a.yaml:11: document 2 (bad): versionRange: "), "{complaints:?}");
    fs::write(folder.join("a.yaml"), document("good", "")).unwrap();
    eventually("it is fixed", || (server.metric("nutritionfacts_messages_rejected") == Some("0".into())).then_some(()));
    assert_eq!(ids(&server, &json!({})), ["good"]);
    server.assert_well();
}

/// PostgreSQL is down and the files are unreadable at start: clients get 503, never an empty set.
#[test]
fn nothing_is_sent_before_the_messages_are_known() {
    let cluster = Cluster::start();
    let (setup, folder) = with_folder(&database_in(&cluster));
    fs::write(folder.join("a.yaml"), document("first", "")).unwrap();
    let server = setup.start();
    eventually("the store remembers", || (!Rows::open(&setup.url).all("message_snapshot").is_empty()).then_some(()));
    assert!(server.stop().success());
    fs::remove_dir_all(&folder).unwrap();
    cluster.kill();
    let server = setup.launch();
    let reply = server.ask(&post(PINGBACK, br#"{"instance_id": "a", "version": "0.17.5"}"#));
    assert_eq!(reply.status, 503);
    cluster.restart();
    eventually("it answers", || {
        let reply = server.ask(&post(PINGBACK, br#"{"instance_id": "a", "version": "0.17.5"}"#));
        assert!(reply.status == 503 || reply.json()["messages"][0]["msg_id"] == "first", "{}", reply.text());
        (reply.status == 200).then_some(())
    });
}
