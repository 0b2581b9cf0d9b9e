//! PostgreSQL under load becomes read-only, hangs, is slow, or gets a new password: 503 meanwhile, then recovery.

use std::{fs, sync::atomic::Ordering::SeqCst};

use sqlx::{Connection, Executor};
use tokio::runtime::{Builder, Runtime};

use crate::{
    load::{Load, check},
    stores::database_in,
    support::{
        eventually,
        http::{PINGBACK, post},
        postgres::Cluster,
        rows::Rows,
        server::{Server, Setup},
    },
};

pub fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

pub fn name_of(setup: &Setup) -> &str {
    setup.url.rsplit('/').next().unwrap()
}

/// Waits until this number of additional pings is refused.
fn wait_for_refusals(load: &Load, more: usize) {
    let wanted = load.refused.load(SeqCst) + more;
    eventually("pings are refused", || (load.refused.load(SeqCst) >= wanted).then_some(()));
}

/// The reason in the log line about a store that is down.
fn complaints(server: &Server) -> Vec<String> {
    let events = server.log.events().into_iter();
    let down = events.filter(|event| event["message"].as_str().is_some_and(|text| text.starts_with("store is down")));
    down.map(|event| event["reason"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_read_only_postgres_is_refused_until_it_is_writable() {
    let cluster = Cluster::start();
    let setup = database_in(&cluster);
    let server = setup.start();
    let load = Load::default();
    let answered = load.during(server.public, "read-only", || {
        load.wait_for_answers(500);
        runtime().block_on(cluster.set("default_transaction_read_only", "on"));
        wait_for_refusals(&load, 200);
        eventually("readiness ends", || (server.get("/readyz").status == 503).then_some(()));
        // As after a failover: the old connections are closed, and new ones lead to the same server.
        runtime().block_on(cluster.cut_connections(name_of(&setup)));
        wait_for_refusals(&load, 200);
        runtime().block_on(cluster.set("default_transaction_read_only", "off"));
        server.wait_until_ready();
        load.wait_for_answers(500);
    });
    check(&setup, &answered);
    let complaints = complaints(&server);
    assert!(complaints.iter().any(|reason| reason.contains("25006") || reason.contains("read-only")), "{complaints:?}");
    assert!(complaints.len() < 5, "a change is logged once: {complaints:?}");
    server.assert_well();
}

#[test]
fn a_hanging_postgres_is_refused_and_used_again() {
    let cluster = Cluster::start();
    let setup = database_in(&cluster).set("store.acquire_timeout=1s").set("store.statement_timeout=1s");
    let server = setup.start();
    let load = Load::default();
    let answered = load.during(server.public, "hangs", || {
        for _ in 0..2 {
            load.wait_for_answers(500);
            cluster.pause();
            // All of them fail while it hangs, and connections for later pings are not delayed either.
            wait_for_refusals(&load, 500);
            assert_eq!(server.get("/livez").status, 200);
            cluster.resume();
            server.wait_until_ready();
        }
        load.wait_for_answers(500);
    });
    check(&setup, &answered);
    server.assert_well();
}

#[test]
fn a_slow_statement_times_out_alone() {
    let cluster = Cluster::start();
    let setup = database_in(&cluster).set("store.statement_timeout=300ms");
    let server = setup.start();
    let runtime = runtime();
    let mut other = runtime.block_on(cluster.connect(name_of(&setup)));
    runtime.block_on(other.execute("BEGIN; LOCK TABLE pings")).unwrap();
    let ping = post(PINGBACK, br#"{"instance_id": "a", "version": "0.19.5"}"#);
    let reply = server.ask(&ping);
    assert_eq!((reply.status, reply.says_close()), (503, false));
    runtime.block_on(other.close()).unwrap();
    server.wait_until_ready();
    assert_eq!(server.ask(&ping).status, 200);
    assert_eq!(Rows::open(&setup.url).pings("a"), 1);
    // A single slow statement does not mark the store as down.
    let log = server.log.text();
    assert!(log.contains("57014") && !log.contains("store is down"), "{log}");
    server.assert_well();
}

/// The password changes, connections are cut, and the file follows later; no restart is needed.
#[test]
fn a_rotated_password_needs_no_restart() {
    let cluster = Cluster::start_with_password("first");
    let mut setup = database_in(&cluster);
    let file = setup.folder().join("password");
    fs::write(&file, "first\n").unwrap();
    for setting in [
        "store.host=127.0.0.1".to_owned(),
        format!("store.port={}", cluster.port()),
        format!("store.database={}", name_of(&setup)),
        "store.user=postgres".to_owned(),
        format!("store.password_file={}", file.display()),
    ] {
        setup = setup.set(&setting);
    }
    let server = setup.clone().without_url().start();
    let runtime = runtime();
    let mut superuser = runtime.block_on(cluster.connect("postgres"));
    let mut execute = |sql: String| runtime.block_on(superuser.execute(sqlx::AssertSqlSafe(sql))).map(|_| ()).unwrap();
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'nutritionfacts'";
    let load = Load::default();
    let answered = load.during(server.public, "password", || {
        load.wait_for_answers(300);
        // Existing connections stay, and the file is updated before they are cut: nothing fails.
        execute("ALTER ROLE postgres PASSWORD 'second'".into());
        fs::write(&file, "second\n").unwrap();
        execute(cut.into());
        load.wait_for_answers(300);
        // The file is updated late.
        execute("ALTER ROLE postgres PASSWORD 'third'".into());
        execute(cut.into());
        wait_for_refusals(&load, 100);
        fs::write(&file, "third\n").unwrap();
        server.wait_until_ready();
        load.wait_for_answers(300);
    });
    assert!(complaints(&server).iter().any(|reason| reason.contains("28P01")), "{:?}", complaints(&server));
    for password in ["first", "second", "third"] {
        assert!(!server.log.text().contains(password), "{password} in the log");
    }
    server.assert_well();
    setup.url = setup.url.replace("first", "third");
    check(&setup, &answered);
}
