//! Connection settings of PostgreSQL: accepted as by libpq, and never logged.

use crate::{
    stores,
    support::{
        eventually,
        http::{PINGBACK, post},
        server::{Server, Setup},
    },
};

const PING: &[u8] = br#"{"instance_id": "a", "version": "0.19.5"}"#;

/// Host and port, and the name of the database.
fn parts(url: &str) -> (String, String) {
    let (_, rest) = url.split_once('@').unwrap();
    let (server, database) = rest.split_once('/').unwrap();
    (server.to_owned(), database.to_owned())
}

fn at(setup: &Setup, url: &str) -> Setup {
    let mut setup = setup.clone();
    url.clone_into(&mut setup.url);
    setup
}

#[track_caller]
fn told(server: &Server, field: &str, text: &str) {
    eventually(&format!("`{field}` says `{text}`"), || {
        let events = server.log.events();
        events.iter().any(|event| event[field].as_str().is_some_and(|said| said.contains(text))).then_some(())
    });
}

/// If the server has no TLS, a client that requires it does not connect.
#[test]
fn libpqs_variables_are_used() {
    let setup = stores::postgres();
    let (server, database) = parts(&setup.url);
    let (host, port) = server.rsplit_once(':').unwrap();
    let by_host = setup.clone().without_url().set(&format!("store.host={host}")).set("store.user=postgres");
    let by_host = by_host.set(&format!("store.database={database}")).variable("PGPORT", port);
    for setup in [&setup, &by_host] {
        setup.start().assert_well();
        for mode in ["require", "verify-full"] {
            let strict = setup.clone().variable("PGSSLMODE", mode).launch();
            told(&strict, "problem", "TLS");
            assert_eq!(strict.ask(&post(PINGBACK, PING)).status, 503, "{mode}");
        }
        // The configuration overrides the variables.
        setup.clone().variable("PGSSLMODE", "require").set("store.ssl_mode=disable").start().assert_well();
    }
    let (code, text) = setup.clone().variable("PGSSLMODE", "maybe").refusal();
    assert!(code.is_some_and(|code| code != 0) && text.contains("PGSSLMODE"), "{text}");
    let (code, text) = setup.clone().variable("PGCHANNELBINDING", "require").refusal();
    assert!(code.is_some_and(|code| code != 0) && text.contains("PGCHANNELBINDING"), "{text}");
}

#[test]
fn urls_of_libpq_are_accepted() {
    let setup = stores::postgres();
    let (server, database) = parts(&setup.url);
    let (host, port) = server.rsplit_once(':').unwrap();
    for url in [
        format!("postgresql://postgres@{host}:1,{host}:{port}/{database}?target_session_attrs=read-write"),
        format!("postgres:///{database}?host={host}&port={port}&user=postgres&connect_timeout=3"),
        // As in a Secret that was made by hand.
        format!("{}\n", setup.url),
    ] {
        let server = at(&setup, &url).start();
        assert_eq!(server.ask(&post(PINGBACK, PING)).status, 200, "{url}");
        server.assert_well();
    }
}

#[test]
fn no_part_of_a_url_is_logged() {
    let setup = stores::postgres().set("telemetry.log.filter=trace");
    let url = setup.url.clone();
    for parameter in ["sslpassword=hunter2", "Password=hunter2", "hunter2", "options=hunter2", "x=1&hunter2=3"] {
        let (code, text) = at(&setup, &format!("{url}?{parameter}")).refusal();
        assert!(code.is_some_and(|code| code != 0), "{parameter}: {text}");
        assert!(
            !text.contains("hunter2") && text.contains("store.url") || text.contains("options"),
            "{parameter}: {text}"
        );
        assert!(!text.contains("hunter2"), "{parameter}: {text}");
    }
    let server = at(&setup, &url.replace("postgres@", "postgres:hunter2@")).start();
    assert_eq!(server.ask(&post(PINGBACK, PING)).status, 200);
    assert!(!server.log.text().contains("hunter2"));
}

/// Each error includes what to do.
#[test]
fn errors_that_need_action_are_logged_with_advice() {
    let setup = stores::postgres();
    let (server, _) = parts(&setup.url);
    for (url, problem, advice) in [
        ("postgres://postgres@nowhere.invalid/x".to_owned(), "the host name is not known", "the DNS"),
        (format!("postgres://postgres@{server}/no_such_database"), "3D000", "create it"),
        (format!("postgres://nobody_known@{server}/postgres"), "28000", "pg_hba.conf"),
    ] {
        let server = at(&setup, &url).launch();
        told(&server, "problem", problem);
        told(&server, "problem", advice);
    }
}
