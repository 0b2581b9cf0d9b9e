//! A followed ConfigMap: what it can set, what it cannot, and how errors are reported.

use std::{fs, time::Instant};

use super::{
    install::{Install, LIVE, is_answered, metric, mount, said, watch},
    support::{
        eventually,
        mount::{BROKEN, Mount},
        server::Server,
    },
};

const RELOADS: &str = "nutritionfacts_config_reloads_total{result=\"{}\",source=\"config_map\"}";

fn reloads(server: &Server, result: &str) -> u32 {
    server.metric(&RELOADS.replace("{}", result)).unwrap().parse().unwrap()
}

fn is_last_good(server: &Server, is: &str) {
    metric(server, "nutritionfacts_config_last_reload_successful", is);
}

#[test]
fn changes_and_removals_are_applied_without_a_restart() {
    let install = Install::new();
    install.configure("api: {reply: empty}");
    let server = install.setup().start();
    eventually("the ConfigMap is active", || (!is_answered(&server)).then_some(()));
    let mut longest = std::time::Duration::ZERO;
    for round in 0..6 {
        let answers = round % 2 == 0;
        install.configure(if answers { "api: {reply: by_version}" } else { "api: {reply: empty}" });
        let begun = Instant::now();
        eventually("the change is active", || (is_answered(&server) == answers).then_some(()));
        longest = longest.max(begun.elapsed());
    }
    println!("a changed ConfigMap was active within {longest:?}");
    install.configure("");
    eventually("a removed key falls back", || is_answered(&server).then_some(()));
    install.configure("api: {reply: empty}");
    eventually("it is set again", || (!is_answered(&server)).then_some(()));
    install.namespace.kubectl(&["delete", "configmap", LIVE], "").unwrap();
    eventually("a removed ConfigMap falls back", || is_answered(&server).then_some(()));
    said(&server, "the ConfigMap was deleted");
    watch(&server, "configmap/nutritionfacts-live", true);
    install.configure("api: {reply: empty}");
    eventually("a new one of the name is followed", || (!is_answered(&server)).then_some(()));
}

#[test]
fn layers_keep_their_order_and_their_origins() {
    let install = Install::new();
    install.configure("{api: {reply: empty}, ingest: {max_batch: 7}, http: {max_body: 3 MiB}}");
    let file = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
    fs::write(file.path(), "{api: {reply: by_version}, ingest: {lanes: 2}}").unwrap();
    let server = install.setup().config(file.path()).set("ingest.max_batch=9").start();
    eventually("it overrides a file", || (!is_answered(&server)).then_some(()));
    let config: serde_json::Value = serde_json::from_str(&server.admin_text("/config")).unwrap();
    let of = |key: &str| config["origins"][key].as_str().unwrap().to_owned();
    assert_eq!(of("api.reply"), "configmap/nutritionfacts-live");
    assert_eq!(of("http.max_body"), "configmap/nutritionfacts-live");
    assert_eq!(of("ingest.max_batch"), "--set");
    assert_eq!(of("ingest.lanes"), format!("file {}", file.path().display()));
    assert_eq!(config["config"]["ingest"]["max_batch"], 9);
}

/// Each error leaves the last good configuration active, and is reported in all places.
#[test]
fn an_error_keeps_the_last_good_configuration_and_is_reported() {
    let install = Install::new();
    install.configure("api: {reply: empty}");
    let server = install.setup().start();
    eventually("the ConfigMap is active", || (!is_answered(&server)).then_some(()));
    let rubbish = "rubbish: [".repeat(100 * 1024);
    let many = (0..40_000).fold(String::new(), |text, number| format!("{text}key{number}: 1\n"));
    for (text, problem) in [
        ("api: {reply: [", "line 1, column"),
        ("apy: {reply: empty}", "apy: unknown key; did you mean `api`?"),
        ("api: {reply: all}", "api.reply: got text, allowed is `by_version` or `empty`"),
        ("ingest: {max_batch: 0}", "ingest.max_batch: got a number out of range"),
        ("privacy: {identifiers: raw}", "`raw` needs `privacy.notice_url`"),
        ("store: {password: planted-secret}", "store.password: is a secret"),
        (&rubbish, "line 1, column 321: this is not valid YAML"),
        (&many, "(and 39999 more, see the log)"),
    ] {
        let before = reloads(&server, "rejected");
        install.configure(text);
        eventually("it is rejected", || (reloads(&server, "rejected") > before).then_some(()));
        is_last_good(&server, "0");
        assert!(!is_answered(&server), "the last good configuration stays");
        let event = eventually("there is an Event", || {
            let text = install.describe_live();
            text.lines().find(|line| line.contains("ConfigRejected") && line.contains(problem)).map(str::to_owned)
        });
        assert!(event.contains("Warning") && event.contains("the last good configuration stays active"), "{event}");
        let logged = problem.replace(" (and 39999 more, see the log)", "");
        assert!(server.log.text().contains(logged.trim_start_matches('(')) || problem.starts_with('('), "{problem}");
    }
    assert!(!server.log.text().contains("planted-secret") && !install.describe_live().contains("planted-secret"));
    assert!(server.log.text().matches("configuration rejected").count() < 60, "a megabyte of rubbish fills no log");

    // Fixed, to the same content as before.
    let hash = eventually("a hash", || config_hash(&server));
    install.configure("api: {reply: empty}");
    is_last_good(&server, "1");
    eventually("an Event reports it", || install.describe_live().contains("ConfigReloaded").then_some(()));
    assert_eq!(config_hash(&server), Some(hash.clone()));
    install.configure("{api: {reply: empty}, ingest: {max_batch: 11}}");
    eventually("another configuration, another hash", || (config_hash(&server)? != hash).then_some(()));
    eventually("an Event reports it", || install.describe_live().contains("active: ingest.max_batch").then_some(()));
}

fn config_hash(server: &Server) -> Option<String> {
    let text = server.admin_text("/metrics");
    text.lines()
        .find_map(|line| line.strip_prefix("nutritionfacts_config_info{hash=\"")?.split('"').next().map(str::to_owned))
}

#[test]
fn a_key_that_needs_a_restart_is_reported_and_never_applied() {
    let install = Install::new();
    let server = install.setup().start();
    install.configure("{api: {reply: empty}, ingest: {lanes: 3}, shutdown: {delay: 0s}}");
    eventually("the rest is applied", || (!is_answered(&server)).then_some(()));
    let problem = "configmap/nutritionfacts-live: ingest.lanes: needs a restart";
    said(&server, problem);
    let event = eventually("there is an Event", || {
        let text = install.describe_live();
        text.lines().find(|line| line.contains("ConfigRestartNeeded")).map(str::to_owned)
    });
    assert!(event.contains("NUTRITIONFACTS__INGEST__LANES"), "{event}");
    assert!(!server.log.text().contains("shutdown.delay"), "what is already active is not reported");
    assert_eq!(reloads(&server, "restart_needed"), 1);
    is_last_good(&server, "1");
}

/// Whatever the error: a starting server starts without the ConfigMap, and a running one keeps the last good configuration.
#[test]
fn an_invalid_config_map_does_not_prevent_a_start() {
    let install = Install::new();
    for text in BROKEN {
        install.configure(text);
        let server = install.setup().start();
        said(&server, "the server has started without it");
        assert!(is_answered(&server) && !server.log.text().contains("last good"), "{text}");
        is_last_good(&server, "0");
        install.configure("api: {reply: empty}");
        eventually("it is fixed", || (!is_answered(&server)).then_some(()));
        is_last_good(&server, "1");
        install.configure(text);
        said(&server, "the last good configuration stays active");
        is_last_good(&server, "0");
        assert!(!is_answered(&server), "{text}");
    }
}

/// The mounted copy is used until the API server has returned the ConfigMap, and not afterwards.
#[test]
fn a_mounted_copy_is_used_until_the_config_map_is_known() {
    let install = Install::new();
    let folder = tempfile::tempdir().unwrap();
    let mut copy = Mount::new(&mount(folder.path()), "config.yaml", "{api: {reply: empty}, ingest: {lanes: 2}}");
    let setup = install.setup().config(copy.file());
    install.unbind();
    let server = setup.start();
    watch(&server, "configmap/nutritionfacts-live", false);
    assert!(!is_answered(&server), "the copy serves");
    said(&server, "ingest.lanes: needs a restart");
    copy.publish("api: {reply: by_version}");
    eventually("a change of the copy is seen", || is_answered(&server).then_some(()));
    install.configure("api: {reply: empty}");
    install.bind();
    watch(&server, "configmap/nutritionfacts-live", true);
    eventually("the ConfigMap replaces it", || (!is_answered(&server)).then_some(()));
    copy.publish("api: {reply: b");
    install.namespace.kubectl(&["delete", "configmap", LIVE], "").unwrap();
    eventually("a removed ConfigMap is removed with its copy", || is_answered(&server).then_some(()));

    // An invalid ConfigMap must not prevent a pod from starting.
    install.configure("api: {reply: b");
    let server = server.kill().start();
    assert!(is_answered(&server));
    is_last_good(&server, "0");
    install.configure("api: {reply: empty}");
    eventually("it is fixed", || (!is_answered(&server)).then_some(()));
    is_last_good(&server, "1");
}
