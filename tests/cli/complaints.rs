//! What a wrong configuration is told, and that no secret is printed.

use std::fs;

use crate::run::{KEY, run};

#[test]
fn unknown_keys_are_complaints_with_what_may_have_been_meant() {
    let ended = run(&["config", "show", "--set", "api.repli=empty"])
        .file("a.yaml", "htp: {}\nhttp: {lisen: x}\ningest: {mode_rules: [{netwroks: []}]}\nadmin: {colour: red}\n")
        .variable("NUTRITIONFACTS__TELEMETRY__LOG__FLTER", "info")
        .variable("NUTRITIONFACTS__HTTP__LISTEN__PORT", "1")
        .end();
    ended.refused(&[
        "file DIR/a.yaml: admin.colour: unknown key; known here: `listen`",
        "file DIR/a.yaml: htp: unknown key; did you mean `http`?",
        "file DIR/a.yaml: http.lisen: unknown key; did you mean `http.listen`?",
        "file DIR/a.yaml: ingest.mode_rules[0].netwroks: unknown key; did you mean `networks`?",
        "environment NUTRITIONFACTS__HTTP__LISTEN__PORT: http.listen.port: `http.listen` has no keys below it; cut it there",
        "environment NUTRITIONFACTS__TELEMETRY__LOG__FLTER: telemetry.log.flter: unknown key; \
         did you mean `NUTRITIONFACTS__TELEMETRY__LOG__FILTER`?",
        "--set: api.repli: unknown key; did you mean `api.reply`?",
    ]);
}

#[test]
fn wrong_values_are_complaints_with_what_is_allowed() {
    let text = "http: {listen: 80, max_body: 1 GiB, max_connections: '3', header_timeout: 0s, body_timeout: soon}\n\
                admin: [1]\n\
                store: {password: 123, pooler: transactoin, port: 70000, ssl_mode: off, acquire_timeout: 5}\n\
                ingest: {lanes: 17, max_batch: 0, mode_rules: [{networks: [10.0.0.0/8, 10.0.0.0/33]}]}\n\
                privacy: {notice_url: ''}\n\
                telemetry: {log: {filter: ~}}\n";
    let ended = run(&["config", "show", "--set", "http.trusted_proxies=[", "--set", "ingest.mode_rules.0.mode=x"])
        .file("a.yaml", text)
        .variable("NUTRITIONFACTS__INGEST__QUEUE_CAPACITY", "many")
        .end();
    ended.refused(&[
        "file DIR/a.yaml: admin: got a list, allowed is an object with the keys `listen`",
        "file DIR/a.yaml: http.body_timeout: got text, allowed is a time such as `30s` from 1ms to 24h",
        "file DIR/a.yaml: http.header_timeout: got text out of range, allowed is a time such as `30s` from 1ms to 24h",
        "file DIR/a.yaml: http.listen: got a number, allowed is an address with a port such as `127.0.0.1:8080`",
        "file DIR/a.yaml: http.max_body: got text out of range, allowed is a size such as `16 MiB` from 1 KiB to 32 MiB",
        "file DIR/a.yaml: http.max_connections: got text, allowed is a whole number from 1 to 1000000",
        "file DIR/a.yaml: ingest.lanes: got a number out of range, allowed is a whole number from 1 to 16",
        "file DIR/a.yaml: ingest.max_batch: got a number out of range, allowed is a whole number from 1 to 10000",
        "file DIR/a.yaml: ingest.mode_rules[0].networks[1]: got text, allowed is a network such as `10.0.0.0/8`",
        "file DIR/a.yaml: privacy.notice_url: got empty text, allowed is text; leave the key out to unset it",
        "file DIR/a.yaml: store.acquire_timeout: got a number, allowed is a time such as `30s` from 1ms to 24h",
        "file DIR/a.yaml: store.password: got a number, allowed is text; put it in quotes",
        "file DIR/a.yaml: store.pooler: got text, allowed is `none` or `transaction`; did you mean `transaction`?",
        "file DIR/a.yaml: store.port: got a number, allowed is a whole number from 1 to 65535",
        "file DIR/a.yaml: store.ssl_mode: got text, allowed is `disable`, `prefer`, `require`, `verify-ca` or `verify-full`",
        "file DIR/a.yaml: telemetry.log.filter: got nothing, allowed is text",
        "environment NUTRITIONFACTS__INGEST__QUEUE_CAPACITY: ingest.queue_capacity: got text, \
         allowed is a whole number from 1 to 1000000",
        "--set: http.trusted_proxies: got text, allowed is a list, each item a network such as `10.0.0.0/8`",
        "--set: ingest.mode_rules.0.mode: `ingest.mode_rules` has no keys below it; give the list as a whole, as `[…]`",
    ]);
}

#[test]
fn files_that_cannot_be_read_are_all_named() {
    let ended = run(&["serve", "--set", "lanes"])
        .file("syntax.yaml", "http:\n  listen: [\n")
        .file("twice.yaml", "api: {}\napi: {}\n")
        .argument("--config=/nowhere/a.yaml")
        .end();
    ended.refused(&[
        "file DIR/syntax.yaml: line 2, column 11: this is not valid YAML",
        "file DIR/twice.yaml: line 2, column 1: the key `api` is set twice",
        "file /nowhere/a.yaml: cannot be read: No such file or directory (os error 2)",
        "--set: needs `key.path=value`",
    ]);
}

#[test]
fn a_store_is_named_in_one_way() {
    let ended = run(&["serve"])
        .file("a.yaml", "store: {host: db, password: p, password_file: /run/p}\nprivacy: {key_file: /run/k}\n")
        .variable("DATABASE_URL", "mysql://db")
        .end();
    ended.refused(&[
        "environment DATABASE_URL: store.url: got a value that is not a store URL; \
         begin it with `sqlite://`, `postgres://` or `postgresql://`",
        "environment DATABASE_URL and file DIR/a.yaml: store.url: is set together with `store.host`; keep one of them",
        "file DIR/a.yaml: store.host: needs `store.database`; set the database",
        "file DIR/a.yaml: store.host: needs `store.user`; set the user",
        "file DIR/a.yaml: store.password: is set together with `store.password_file`; keep one of them",
    ]);
    run(&["serve", "--set", "store.user=n"])
        .end()
        .refused(&["--set: store.user: belongs to `store.host`, which is not set; set `store.host`, or leave it out"]);
    run(&["serve", "--set", "store.user=n", "--set", "store.url=sqlite://n.db"])
        .end()
        .refused(&["--set: store.user: belongs to `store.host`, which is not set; write it in `store.url`"]);
}

#[test]
fn postgresql_needs_a_key_for_pseudonyms() {
    let postgres = || run(&["config", "show", "--set", "store.url=postgres://db/n"]);
    postgres().end().refused(&[
        "--set: privacy.key: is needed with PostgreSQL, for the pseudonyms of hardware identifiers; make one with \
         `head -c 32 /dev/urandom | base64` and set it by NUTRITIONFACTS__PRIVACY__KEY or `privacy.key_file`",
    ]);
    postgres().variable("NUTRITIONFACTS__PRIVACY__KEY", KEY).end().shows("key: \"[redacted]\"");
    postgres().argument("--set=privacy.key_file=/run/k").end().shows("key_file: \"/run/k\"");
    postgres().argument("--set=privacy.identifiers=none").end().shows("identifiers: none");
}

#[test]
fn the_key_comes_from_the_environment_only_and_is_long_enough() {
    run(&["serve", "--set", &format!("privacy.key={KEY}")]).file("a.yaml", "privacy: {key: k}").end().refused(&[
        "file DIR/a.yaml: privacy.key: must not be set by a file; set it by NUTRITIONFACTS__PRIVACY__KEY",
        "--set: privacy.key: must not be set by a flag; flags are visible in `ps`; set it by NUTRITIONFACTS__PRIVACY__KEY",
    ]);
    run(&["serve", "--set", "store.password=p"])
        .end()
        .refused(&["--set: store.password: must not be set by a flag; flags are visible in `ps`; \
         set it by a file or NUTRITIONFACTS__STORE__PASSWORD"]);
    let padded = format!("  {}\n", &KEY[1..]);
    let ended = run(&["serve", "--set", "privacy.key_file=/run/k"]).variable("NUTRITIONFACTS__PRIVACY__KEY", &padded);
    ended.end().refused(&[
        "environment NUTRITIONFACTS__PRIVACY__KEY and --set: privacy.key: is set together with `privacy.key_file`; \
         keep one of them",
        "environment NUTRITIONFACTS__PRIVACY__KEY: privacy.key: got text of less than 32 characters; \
         make a key with `head -c 32 /dev/urandom | base64`",
    ]);
}

#[test]
fn raw_identifiers_need_a_notice() {
    let remedy = "name the privacy notice that users agreed to, or choose `pseudonymous` or `none`";
    run(&["serve", "--set", "privacy.identifiers=raw"]).end().refused(&[
        &format!("--set: privacy.identifiers: `raw` needs `privacy.notice_url`; {remedy}"),
        &format!("--set: privacy.identifiers: `raw` needs `privacy.notice_version`; {remedy}"),
    ]);
}

#[test]
fn rules_between_keys_hold() {
    let ended = run(&["serve", "--log", "a=b=c"])
        .file("a.yaml", "admin: {listen: '127.0.0.1:8080'}\ningest: {queue_capacity: 10, mode_rules: [{mode: dev}]}\n")
        .end();
    ended.refused(&[
        "file DIR/a.yaml: admin.listen: is the same address as `http.listen`; give each its own port",
        "file DIR/a.yaml: ingest.queue_capacity: is less than `ingest.max_batch`, so that no batch could be full; \
         raise it, or lower `ingest.max_batch`",
        "file DIR/a.yaml: ingest.mode_rules: rule 0 matches nobody; give it `networks`, `instances` or `countries`",
        "--log: telemetry.log.filter: got a value that is not a filter; \
         write directives such as `info` or `nutritionfacts=debug,sqlx=warn`",
    ]);
    let ports = ["config", "show", "--set", "admin.listen=127.0.0.1:0", "--set", "http.listen=127.0.0.1:0"];
    run(&ports).end().shows("listen: \"127.0.0.1:0\"");
}

#[test]
fn a_check_tells_wrong_from_unreadable() {
    let ended = run(&["config", "check"]).end();
    assert_eq!((ended.code, ended.stdout.as_str()), (0, "the configuration is valid\n"));
    let wrong = run(&["config", "check"]);
    let path = wrong.path("a.yaml");
    fs::write(&path, "http: {lisen: 1}\n").unwrap();
    let ended = wrong.argument(path.to_str().unwrap()).end();
    assert_eq!(ended.stdout, "file DIR/a.yaml: http.lisen: unknown key; did you mean `http.listen`?\n");
    assert_eq!((ended.code, ended.stderr.as_str()), (1, ""));
    let ended = run(&["config", "check", "/nowhere/a.yaml"]).end();
    ended.refused(&["file /nowhere/a.yaml: cannot be read: No such file or directory (os error 2)"]);
}

/// Plants `hunter2` wherever a secret may stand or may be put by mistake; whatever is printed must not hold it.
#[test]
fn no_secret_is_ever_printed() {
    let url = "postgres://n:hunter2@db/n";
    let key = format!("hunter2{KEY}");
    let good = |arguments: &[&str]| run(arguments).variable("NUTRITIONFACTS__PRIVACY__KEY", &key);
    let mut runs = vec![
        good(&["config", "show", "--origins"]).variable("DATABASE_URL", url),
        good(&["config", "check"]).variable("NUTRITIONFACTS__STORE__URL", url),
        good(&["serve"]).variable("NUTRITIONFACTS__STORE__PASSWORD", "hunter2").variable("DATABASE_URL", url),
        good(&["config", "show", "--set", "privacy.key=hunter2", "--set", "store.password=hunter2"]),
        good(&["config", "show", "--set", url, "--set", "postgres://n:hunter2@db/n?a=b"]),
        run(&["config", "show"]).variable("NUTRITIONFACTS__PRIVACY__KEY", "hunter2"),
        run(&["config", "show"]).variable("NUTRITIONFACTS__INGEST__LANES", "hunter2"),
        run(&["config", "show"]).variable("DATABASE_URL", "mysql://n:hunter2@db/n"),
        run(&["config", "show"]).variable("NUTRITIONFACTS__STORE__POOLER", "hunter2"),
    ];
    let texts = [
        "store: {url: hunter2, host: [hunter2], password: {hunter2: 1}}",
        "store: {password: *hunter2}",
        "store: {password: 'hunter2}",
        "store: {password: hunter2: hunter2}",
        "store: {password: !!int hunter2}",
        "store: {\"password: hunter2\": 1}",
        "privacy: {key: hunter2}",
        "hunter2",
        "[hunter2]",
    ];
    runs.extend(texts.map(|text| run(&["config", "show"]).file("a.yaml", text)));
    for run in runs {
        let command = format!("{:?}", run.command);
        let ended = run.end();
        for text in [ended.stdout, ended.stderr] {
            assert!(!text.contains("hunter2"), "{command} printed:\n{text}");
        }
    }
    let shown =
        run(&["config", "show"]).variable("DATABASE_URL", url).variable("NUTRITIONFACTS__PRIVACY__KEY", KEY).end();
    shown.shows("url: \"postgres://n:[redacted]@db/n\"");
}

/// What a configuration names is looked at before anything is done: exit code 2, with layer and key.
#[test]
fn files_that_are_named_but_missing_are_complaints() {
    let postgres =
        "store: {host: a, user: b, database: c, password_file: /nowhere/password}\nprivacy: {identifiers: none}";
    for (text, key) in [
        ("privacy: {key_file: /nowhere/key}", "privacy.key_file"),
        (postgres, "store.password_file"),
        ("store: {url: 'sqlite://n.db?mode=ro'}", "store.url"),
    ] {
        for command in [&["serve"][..], &["config", "check"]] {
            let run = run(command).argument("--set").argument("http.listen=127.0.0.1:0");
            let ended =
                run.argument("--set").argument("admin.listen=127.0.0.1:0").in_its_folder().file("a.yaml", text).end();
            assert_eq!(ended.code, 2, "{key}: {}", ended.stderr);
            assert!(ended.stderr.contains(&format!("file DIR/a.yaml: {key}: ")), "{key}: {}", ended.stderr);
        }
    }
}
