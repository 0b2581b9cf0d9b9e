//! The real binary: layers, complaints, redaction and exit codes, in an environment of nothing else.

use std::{fs, path::PathBuf, process::Command};

use tempfile::TempDir;

/// One run of the binary that is prepared step by step.
struct Run {
    command: Command,
    dir: TempDir,
}

/// How it ended.
struct Ended {
    code: i32,
    stdout: String,
    stderr: String,
}

fn run(arguments: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nutritionfacts"));
    command.env_clear().args(arguments);
    Run { command, dir: TempDir::new().unwrap() }
}

impl Run {
    fn variable(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    fn argument(mut self, argument: &str) -> Self {
        self.command.arg(argument);
        self
    }

    /// With the folder of the files as the current one.
    fn in_its_folder(mut self) -> Self {
        self.command.current_dir(self.dir.path());
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A file of that name, given by `--config`.
    fn file(mut self, name: &str, text: &str) -> Self {
        fs::write(self.path(name), text).unwrap();
        let path = self.path(name);
        self.command.arg("--config").arg(path);
        self
    }

    /// Runs; the folder of the files is shown as `DIR`.
    fn end(mut self) -> Ended {
        let output = self.command.output().unwrap();
        let folder = self.dir.path().display().to_string();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace(&folder, "DIR");
        Ended { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

impl Ended {
    /// Asserts a refusal with exactly these complaints.
    #[track_caller]
    fn refused(&self, complaints: &[&str]) {
        let expected = [&["nutritionfacts: the configuration is wrong"], complaints].concat().join("\n  ");
        assert_eq!(self.stderr, format!("{expected}\n"));
        assert_eq!((self.code, self.stdout.as_str()), (2, ""));
    }

    #[track_caller]
    fn shows(&self, line: &str) {
        assert_eq!(self.code, 0, "{}", self.stderr);
        assert!(self.stdout.lines().any(|shown| shown.trim() == line), "no line `{line}` in:\n{}", self.stdout);
    }
}

const KEY: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn without_a_command_there_is_help_and_exit_code_2() {
    let ended = run(&[]).end();
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.contains("Usage: nutritionfacts [OPTIONS] <COMMAND>"), "{}", ended.stderr);
}

#[test]
fn the_version_and_help_are_no_failure() {
    let ended = run(&["--version"]).end();
    assert_eq!((ended.code, ended.stdout), (0, format!("nutritionfacts {}\n", env!("CARGO_PKG_VERSION"))));
    assert_eq!(run(&["serve", "--help"]).end().code, 0);
}

#[test]
fn an_unknown_command_or_flag_is_wrong_usage() {
    for arguments in [&["simulate"][..], &["config", "show", "--colour"], &["--log-format", "xml", "config", "show"]] {
        assert_eq!(run(arguments).end().code, 2, "{arguments:?}");
    }
}

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
        "file DIR/twice.yaml: line 2, column 1: the key `api` stands there twice",
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
        "environment DATABASE_URL: store.url: got text that is no URL of a store; \
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
        "--log: telemetry.log.filter: got text that is no filter; \
         write directives such as `info` or `nutritionfacts=debug,sqlx=warn`",
    ]);
    let ports = ["config", "show", "--set", "admin.listen=127.0.0.1:0", "--set", "http.listen=127.0.0.1:0"];
    run(&ports).end().shows("listen: \"127.0.0.1:0\"");
}

#[test]
fn a_check_tells_wrong_from_unreadable() {
    let ended = run(&["config", "check"]).end();
    assert_eq!((ended.code, ended.stdout.as_str()), (0, "the configuration is right\n"));
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

#[test]
fn the_schema_is_printed() {
    let ended = run(&["config", "schema"]).end();
    assert_eq!(ended.code, 0);
    let schema: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(schema["properties"]["http"]["properties"]["max_body"]["x-live"], true);
}

#[test]
fn the_openapi_document_is_printed() {
    let ended = run(&["openapi"]).end();
    assert_eq!((ended.code, ended.stdout.as_str()), (0, include_str!("../docs/openapi.json")));
}

#[test]
fn the_definition_of_the_custom_resource_is_printed() {
    let ended = run(&["crd"]).end();
    assert_eq!((ended.code, ended.stdout.as_str()), (0, include_str!("../helm/nutritionfacts/files/crd.yaml")));
}

#[test]
fn migrate_makes_the_tables_and_may_be_run_again() {
    for _ in 0..2 {
        let run = run(&["migrate", "--log-format", "json"]);
        let url = format!("sqlite://{}", run.path("data/n.db").display());
        let ended = run.argument("--set").argument(&format!("store.url={url}")).end();
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        assert!(ended.stderr.contains("the schema is up to date"), "{}", ended.stderr);
    }
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
