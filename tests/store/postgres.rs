//! What only a server does: months, passwords, being away, paused or read-only.

use std::{fs, time::Duration};

use nutritionfacts::{
    config::{secret::Secret, sections},
    store::{MigrationError, Store, StoreError, Write},
};
use sqlx::{Connection, Executor, PgConnection};

use crate::{
    rows::{Bench, by_url, digest, now, ping, ping_at, until, write, write_reports},
    support::postgres::Cluster,
};

pub fn is_unavailable(result: &Result<(), StoreError>) -> bool {
    matches!(result, Err(StoreError::Unavailable { timeout: false, .. }))
}

#[tokio::test]
async fn eight_servers_migrate_an_empty_database_at_once() {
    let bench = Bench::postgres().await;
    let mut tasks = Vec::new();
    for _ in 0..8 {
        let store = Store::open(&by_url(&bench.url)).await.unwrap();
        tasks.push(tokio::spawn(async move { store.migrate(now()).await }));
    }
    for task in tasks {
        task.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_failed_migration_leaves_the_schema_as_it_was() {
    let bench = Bench::postgres().await;
    bench.execute("CREATE TABLE set_aside (mine int)").await;
    let error = bench.store.migrate(now()).await.unwrap_err();
    assert!(matches!(&error, MigrationError::Failed { version: 3, reason } if reason == "42P07"), "{error}");
    assert_eq!(bench.count("pg_class WHERE relname IN ('pings', '_sqlx_migrations')").await, 0);
    bench.execute("DROP TABLE set_aside").await;
    bench.store.migrate(now()).await.unwrap();
}

/// Who remembers that a profile is there writes nothing into a server that is not the one that it knows, or is as it was before.
#[tokio::test]
async fn no_ping_without_its_profile() {
    let cluster = Cluster::start();
    let url = cluster.create_database("d").await;
    let store = Store::open(&by_url(&url)).await.unwrap();
    store.migrate(now()).await.unwrap();
    let (first, second) = (ping("i", 0), ping("i", 0));
    let epoch = store.epoch();
    store.write_pings(&[&first.ping], &[&first.profile], Write::New, epoch).await.unwrap();
    store.write_pings(&[&second.ping], &[], Write::New, epoch).await.unwrap();
    cluster.execute("d", "DELETE FROM pings; DELETE FROM profiles").await;
    cluster.restart();
    let third = ping("i", 0);
    let stale = |result: &Result<(), StoreError>| matches!(result, Err(StoreError::Stale));
    until("the restart is noticed", async || {
        stale(&store.write_pings(&[&third.ping], &[], Write::Replay, epoch).await)
    })
    .await;
    assert!(stale(&store.write_statistics(&[crate::rows::report("", 0)], Write::New, epoch).await));
    assert_ne!(store.epoch(), epoch);
    write(&store, &[&third], Write::Replay).await.unwrap();
    // And a backup that is put back while the server of the database runs on.
    let epoch = store.epoch();
    cluster
        .execute(
            "d",
            "ALTER TABLE store_state RENAME TO old; CREATE TABLE store_state (LIKE old INCLUDING ALL);
            INSERT INTO store_state SELECT * FROM old; DROP TABLE old; DELETE FROM pings; DELETE FROM profiles",
        )
        .await;
    let fourth = ping("i", 0);
    assert!(stale(&store.write_pings(&[&fourth.ping], &[], Write::New, epoch).await));
    write(&store, &[&fourth], Write::New).await.unwrap();
    let mut connection = cluster.connect("d").await;
    let whole: i64 = sqlx::query_scalar("SELECT count(*) FROM pings JOIN profiles USING (instance_id, profile)")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    let all: i64 = sqlx::query_scalar("SELECT count(*) FROM pings").fetch_one(&mut connection).await.unwrap();
    assert_eq!((whole, all), (1, 1));
}

#[tokio::test]
async fn updates_of_instances_stay_in_their_page() {
    let bench = Bench::postgres().await;
    bench.store.migrate(now()).await.unwrap();
    for second in 0..20 {
        let row = ping("i", second).saying(|profile| profile.kolibri_version = "0.18.0".into());
        write(&bench.store, &[row], Write::New).await.unwrap();
        digest(&bench.store).await;
    }
    bench.store.close().await;
    let sql =
        "SELECT (n_tup_upd = 19 AND n_tup_hot_upd = 19)::text FROM pg_stat_user_tables WHERE relname = 'installations'";
    // Statistics arrive a while after the commit.
    until("19 HOT updates", async || bench.texts(sql).await == ["true"]).await;
}

#[tokio::test]
async fn errors_tell_what_to_do() {
    let bench = Bench::postgres().await;
    bench.store.migrate(now()).await.unwrap();
    let raise = |code: &str| {
        format!(
            "CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                RAISE EXCEPTION 'secret' USING ERRCODE = '{code}'; END $$"
        )
    };
    bench.execute(&raise("22000")).await;
    bench.execute("CREATE TRIGGER fail BEFORE INSERT ON set_aside EXECUTE FUNCTION fail()").await;
    bench.execute("CREATE TRIGGER fail BEFORE INSERT ON statistics EXECUTE FUNCTION fail()").await;
    for (code, rejected, conflict, timeout) in [
        ("22003", true, false, false),
        ("22P05", true, false, false),
        ("23505", true, false, false),
        ("54000", true, false, false),
        ("P0001", true, false, false),
        ("40P01", false, true, false),
        ("40001", false, true, false),
        ("57014", false, false, true),
        ("57P01", false, false, false),
        ("53100", false, false, false),
        ("25006", false, false, false),
        ("42P01", false, false, false),
        ("08006", false, false, false),
        ("XX000", false, false, false),
    ] {
        bench.execute(&raise(code)).await;
        let error = write_reports(&bench.store, &[crate::rows::report("", 0)], Write::New).await.unwrap_err();
        assert_eq!(matches!(error, StoreError::Rejected { .. }), rejected, "{code}");
        assert_eq!(error.is_conflict(), conflict, "{code}");
        assert_eq!(matches!(error, StoreError::Unavailable { timeout: true, .. }), timeout, "{code}");
        assert!(error.to_string().contains(code) && !format!("{error:?}").contains("secret"), "{error:?}");
    }
}

#[tokio::test]
async fn a_slow_statement_is_ended() {
    let bench = Bench::postgres().await;
    bench.store.migrate(now()).await.unwrap();
    let config = sections::Store { statement_timeout: Duration::from_millis(300), ..by_url(&bench.url) };
    let store = Store::open(&config).await.unwrap();
    let mut other = crate::support::postgres::shared().connect(bench.url.rsplit('/').next().unwrap()).await;
    other.execute("BEGIN; LOCK TABLE pings").await.unwrap();
    let error = write(&store, &[ping("i", 0)], Write::New).await.unwrap_err();
    assert!(matches!(&error, StoreError::Unavailable { reason, timeout: true } if reason == "57014"), "{error}");
    other.close().await.unwrap();
    write(&store, &[ping("i", 0)], Write::New).await.unwrap();
}

#[tokio::test]
async fn through_a_pooler_nothing_rests_on_the_session() {
    let bench = Bench::postgres().await;
    let config = sections::Store { pooler: sections::Pooler::Transaction, ..by_url(&bench.url) };
    let store = Store::open(&config).await.unwrap();
    store.migrate(now()).await.unwrap();
    store.migrate(now()).await.unwrap();
    write(&store, &[ping("i", 0), ping_at("i", "2031-01-01T00:00:00Z".parse().unwrap())], Write::New).await.unwrap();
    write_reports(&store, &[crate::rows::report("", 2)], Write::Replay).await.unwrap();
    store.health().await.unwrap();
    assert_eq!(bench.count("pingbacks").await, 2);
    digest(&store).await;
    write(&store, &[ping("i", 1)], Write::Replay).await.unwrap();
    digest(&store).await;
    write(&store, &[ping("i", 2)], Write::New).await.unwrap();
    digest(&store).await;
    assert_eq!(bench.table("instances", &["instance_id", "pings"], "instance_id").await, ["i|4"]);
}

#[tokio::test]
async fn a_connection_that_would_lose_commits_is_refused() {
    let bench = Bench::postgres().await;
    let name = bench.url.rsplit('/').next().unwrap();
    bench.execute(&format!("ALTER DATABASE {name} SET synchronous_commit = off")).await;
    // A direct connection asks for durable commits itself.
    bench.store.migrate(now()).await.unwrap();
    let config = sections::Store { pooler: sections::Pooler::Transaction, ..by_url(&bench.url) };
    let store = Store::open(&config).await.unwrap();
    let error = store.migrate(now()).await.unwrap_err();
    assert!(matches!(error, MigrationError::NotDurable { setting: "synchronous_commit" }), "{error}");
    let result = write(&store, &[ping("i", 0)], Write::New).await;
    assert!(is_unavailable(&result), "{result:?}");
}

#[tokio::test]
async fn passwords_may_hold_anything_and_change() {
    let first = "a b:/@?#%&+'\"\\ü€";
    let cluster = Cluster::start_with_password(first);
    cluster.create_database("d").await;
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), format!("{first}\n")).unwrap();
    let by_file = sections::Store {
        host: Some("127.0.0.1".into()),
        port: Some(cluster.port()),
        database: Some("d".into()),
        user: Some("postgres".into()),
        password_file: Some(file.path().into()),
        max_connections: 1,
        ..sections::Store::default()
    };
    let store = Store::open(&by_file).await.unwrap();
    store.migrate(now()).await.unwrap();

    // Through the socket, with the password itself.
    let by_field = sections::Store {
        host: Some(cluster.socket_folder().to_str().unwrap().into()),
        password: Some(Secret::from(first.to_owned())),
        password_file: None,
        ..by_file.clone()
    };
    Store::open(&by_field).await.unwrap().health().await.unwrap();

    // A new password: refused as long as the file holds the old one.
    cluster
        .execute(
            "postgres",
            "ALTER USER postgres PASSWORD 'second'; SELECT pg_terminate_backend(pid) \
             FROM pg_stat_activity WHERE datname = 'd'",
        )
        .await;
    until(
        "the old connection is gone",
        async || matches!(store.health().await, Err(StoreError::Unavailable { reason, .. }) if reason == "28P01"),
    )
    .await;
    fs::write(file.path(), "second").unwrap();
    store.health().await.unwrap();
}

/// Whoever holds up a migration is told of, instead of being waited for without a word.
#[tokio::test]
async fn a_migration_does_not_wait_for_ever() {
    let bench = Bench::postgres().await;
    bench.store.migrate(now()).await.unwrap();
    let mut connection = PgConnection::connect(&bench.url).await.unwrap();
    sqlx::raw_sql("BEGIN; LOCK TABLE store_state").execute(&mut connection).await.unwrap();
    // Another one that migrates is waited for no longer.
    let other = Bench::postgres().await;
    let mut migrating = PgConnection::connect(&other.url).await.unwrap();
    // As in `src/store/postgres/mod.rs`.
    sqlx::raw_sql("BEGIN; SELECT pg_advisory_xact_lock(7959395949422313473)").execute(&mut migrating).await.unwrap();
    let results = tokio::join!(bench.store.migrate(now()), other.store.migrate(now()));
    for error in [results.0.unwrap_err(), results.1.unwrap_err()] {
        assert!(error.is_transient() && error.to_string().contains("another session holds a lock"), "{error}");
    }
    connection.close().await.unwrap();
    bench.store.migrate(now()).await.unwrap();
}
