//! Which layer decides.

use std::fs;

use crate::run::{KEY, Run, run};

#[test]
fn nothing_set_means_the_defaults() {
    let ended = run(&["config", "show", "--origins"]).end();
    ended.shows("listen: \"127.0.0.1:8080\"  # default");
    ended.shows("url: null  # default");
}

#[test]
fn a_file_may_be_empty() {
    for text in ["", "# nothing\n", "http:\n  # listen: 127.0.0.1:1\n"] {
        run(&["config", "show"]).file("a.yaml", text).end().shows("listen: \"127.0.0.1:8080\"");
    }
}

#[test]
fn later_layers_stand_above_earlier_ones() {
    let layered = |run: Run| {
        run.file("a.yaml", "telemetry: {log: {filter: a}}\ningest: {lanes: 2, max_batch: 7}\n")
            .file("b.yaml", "telemetry: {log: {filter: b}}\ningest: {lanes: 3}\n")
    };
    let show = || layered(run(&["config", "show", "--origins"]));
    show().end().shows("filter: b  # file DIR/b.yaml");
    show().end().shows("max_batch: 7  # file DIR/a.yaml");
    let environment = || show().variable("RUST_LOG", "c");
    environment().end().shows("filter: c  # environment RUST_LOG");
    let environment = || environment().variable("NUTRITIONFACTS__TELEMETRY__LOG__FILTER", "d");
    environment().end().shows("filter: d  # environment NUTRITIONFACTS__TELEMETRY__LOG__FILTER");
    let flag = || environment().argument("--set").argument("telemetry.log.filter=e");
    flag().end().shows("filter: e  # --set");
    flag().argument("--log").argument("f").end().shows("filter: f  # --log");
    show().argument("--log-format").argument("json").end().shows("format: json  # --log-format");
}

#[test]
fn flags_before_and_behind_the_command_both_count() {
    let ended = run(&["--set", "ingest.lanes=2", "config", "show", "--set", "ingest.max_batch=7"]).end();
    ended.shows("lanes: 2");
    ended.shows("max_batch: 7");
}

#[test]
fn the_environment_names_files_unless_a_flag_does() {
    let named = |run: Run| {
        let (one, two) = (run.path("one.yaml"), run.path("two.yaml"));
        fs::write(&one, "ingest: {lanes: 2, max_batch: 7}").unwrap();
        fs::write(&two, "ingest: {lanes: 3}").unwrap();
        run.variable("NUTRITIONFACTS_CONFIG", &format!("{}:{}", one.display(), two.display()))
    };
    let ended = named(run(&["config", "show", "--origins"])).end();
    ended.shows("max_batch: 7  # file DIR/one.yaml");
    ended.shows("lanes: 3  # file DIR/two.yaml");
    let ended = named(run(&["config", "show", "--origins"])).file("flag.yaml", "ingest: {lanes: 4}").end();
    ended.shows("lanes: 4  # file DIR/flag.yaml");
    ended.shows("max_batch: 500  # default");
}

#[test]
fn a_list_is_replaced_and_can_be_emptied() {
    let show = || run(&["config", "show"]).file("a.yaml", "http: {trusted_proxies: [10.0.0.0/8, 192.168.0.0/16]}");
    show().end().shows(r#"trusted_proxies: ["10.0.0.0/8","192.168.0.0/16"]"#);
    let narrower = show().variable("NUTRITIONFACTS__HTTP__TRUSTED_PROXIES", "[10.1.0.0/16]");
    narrower.end().shows(r#"trusted_proxies: ["10.1.0.0/16"]"#);
    show().argument("--set").argument("http.trusted_proxies=[]").end().shows("trusted_proxies: []");
}

#[test]
fn text_stays_text_and_an_empty_variable_is_unset() {
    let ended = run(&["config", "show", "--origins", "--set", "store.host=0123", "--set", "store.user=true"])
        .variable("NUTRITIONFACTS__STORE__DATABASE", "[a]")
        .variable("NUTRITIONFACTS__PRIVACY__KEY", KEY)
        .variable("NUTRITIONFACTS__INGEST__LANES", "")
        .variable("DATABASE_URL", "")
        .end();
    ended.shows(r#"host: "0123"  # --set"#);
    ended.shows(r#"user: "true"  # --set"#);
    ended.shows(r#"database: "[a]"  # environment NUTRITIONFACTS__STORE__DATABASE"#);
    ended.shows("lanes: 1  # default");
    ended.shows("url: null  # default");
}

#[test]
fn service_links_are_none_of_our_variables() {
    let ended = run(&["config", "show"])
        .variable("NUTRITIONFACTS_PORT", "tcp://10.0.0.1:8080")
        .variable("NUTRITIONFACTS_SERVICE_HOST", "10.0.0.1")
        .end();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
}
