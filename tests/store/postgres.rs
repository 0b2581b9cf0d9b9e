//! What only a server does: months, passwords, being away, paused or read-only.

use std::{fs, time::Duration};

use nutritionfacts::{
    config::{secret::Secret, sections},
    domain::period::Grain,
    store::{MigrationError, Store, StoreError, Write},
};
use sqlx::{Connection, Executor, PgConnection};

use crate::{
    rows::{Bench, Sighting, by_url, digest, now, ping, ping_at, until, write, write_reports},
    support::{line::Line, postgres::Cluster},
};

/// A ping of another time.
fn ping_of(moment: &str) -> Sighting {
    ping_at("i", moment.parse().unwrap())
}

async fn months(bench: &Bench) -> Vec<String> {
    let sql = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'pings'::regclass ORDER BY 1";
    bench.texts(sql).await
}

fn is_unavailable(result: &Result<(), StoreError>) -> bool {
    matches!(result, Err(StoreError::Unavailable { timeout: false, .. }))
}

#[tokio::test]
async fn months_are_made_ahead_and_on_the_way() {
    let bench = Bench::postgres().await;
    bench.store.migrate(now()).await.unwrap();
    let ahead = ["2026_10", "2026_11", "2026_12", "2027_01", "2027_02"].map(|month| format!("pings_{month}"));
    assert_eq!(months(&bench).await, ahead);

    let late = [ping_of("2025-03-31T23:59:59.999999Z"), ping("i", 0), ping_of("2028-02-29T00:00:00Z")];
    write(&bench.store, &late, Write::New).await.unwrap();
    write(&bench.store, &[ping_of("2029-01-01T00:00:00Z")], Write::Replay).await.unwrap();
    assert_eq!(bench.count("pingbacks").await, 4);
    assert_eq!(bench.count("pings_2025_03").await, 1);
    assert_eq!(bench.count("pings_2028_02").await, 1);

    bench.store.prepare_months("2027-03-01T00:00:00Z".parse().unwrap()).await.unwrap();
    assert!(months(&bench).await.contains(&"pings_2027_06".to_owned()));
}

#[tokio::test]
async fn one_missing_month_is_made_by_many_at_once() {
    let bench = Bench::postgres().await;
    bench.store.migrate(now()).await.unwrap();
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let store = bench.store.clone();
            tokio::spawn(async move { write(&store, &[ping_of("2030-05-05T00:00:00Z")], Write::New).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(bench.count("pings_2030_05").await, 8);
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

/// Somebody looks at a month before it is dropped; it is needed again.
#[tokio::test]
async fn a_detached_month_keeps_nobody_from_starting() {
    let bench = Bench::postgres().await;
    bench.store.migrate(now()).await.unwrap();
    write(&bench.store, &[ping("old", 0)], Write::New).await.unwrap();
    for table in ["pings", "statistics", "channel_statistics", "facility_statistics"] {
        bench.execute(&format!("ALTER TABLE {table} DETACH PARTITION {table}_2026_11")).await;
    }
    bench.store.migrate(now()).await.unwrap();
    assert!(months(&bench).await.contains(&"pings_2026_11_2".to_owned()));
    assert_eq!(bench.store.months_ahead(now()).await.unwrap(), Some(3));
    write(&bench.store, &[ping("new", 0)], Write::New).await.unwrap();
    assert_eq!((bench.count("pings").await, bench.count("pings_2026_11").await), (1, 1));
    bench.store.migrate(now()).await.unwrap();
    assert_eq!(months(&bench).await.len(), 5, "nothing is made twice");
}

/// The statements of docs/operations.md, while somebody reads the month: pings do not wait.
#[tokio::test]
async fn dropping_a_month_holds_up_no_ping() {
    let bench = Bench::postgres().await;
    bench.store.migrate(now()).await.unwrap();
    write(&bench.store, &[ping_of("2024-11-05T00:00:00Z"), ping("i", 0)], Write::New).await.unwrap();
    write_reports(&bench.store, &[crate::rows::report_at("", 1, "2024-11-05T00:00:00Z".parse().unwrap())], Write::New)
        .await
        .unwrap();
    let database = bench.url.rsplit('/').next().unwrap();
    let page = include_str!("../../docs/operations.md");
    let (_, page) = page.split_once("### Dropping a month by hand").unwrap();
    let mut blocks = page.split("```sql\n").skip(1).map(|block| block.split("```").next().unwrap().to_owned());
    let [look, seal, mut drop] = [(); 3].map(|()| blocks.next().unwrap());
    let version = &bench.texts("SELECT current_setting('server_version_num')").await[0];
    if version.as_str() < "140000" {
        drop = drop.replace(" CONCURRENTLY", "");
    }
    let look = look.trim().trim_end_matches(';');
    let look = format!("SELECT batches || ' ' || periods FROM ({look}) AS looked");
    assert_eq!(bench.texts(&look).await, ["2 0"], "what is to be digested first");
    digest(&bench.store).await;
    for grain in Grain::ALL {
        while bench.store.count_period(grain).await.unwrap().is_some() {}
    }
    assert_eq!(bench.texts(&look).await, ["0 0"]);
    bench.execute(&seal).await;
    let mut reader = crate::support::postgres::shared().connect(database).await;
    reader.execute("BEGIN; SELECT count(*) FROM pings").await.unwrap();
    let mut operator = crate::support::postgres::shared().connect(database).await;
    let statements: Vec<_> = drop.split_inclusive(";\n").map(ToOwned::to_owned).collect();
    operator.execute(sqlx::AssertSqlSafe(statements[0].clone())).await.unwrap();
    let detach = statements[1].clone();
    let detaching = tokio::spawn(async move {
        let result = operator.execute(sqlx::AssertSqlSafe(detach)).await;
        (operator, result)
    });
    let waits = "SELECT count(*)::text FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'ALTER TABLE%' AND datname = current_database()";
    until("it waits for the reader", async || bench.texts(waits).await == ["1"]).await;
    write(&bench.store, &[ping("i", 1)], Write::New).await.unwrap();
    reader.execute("COMMIT").await.unwrap();
    let (mut operator, result) = detaching.await.unwrap();
    // Or its patience was at an end: then it is tried again.
    if result.is_err() {
        let again = if version.as_str() < "140000" {
            statements[1].clone()
        } else {
            statements[1].replace(" CONCURRENTLY", " FINALIZE")
        };
        operator.execute(sqlx::AssertSqlSafe(again)).await.unwrap();
    }
    for statement in &statements[2..] {
        operator.execute(sqlx::AssertSqlSafe(statement.clone())).await.unwrap();
    }
    assert_eq!((bench.count("pings").await, bench.count("channel_statistics").await), (2, 0));
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
    write(&store, &[ping("i", 0), ping_of("2031-01-01T00:00:00Z")], Write::New).await.unwrap();
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

/// A server of the test's own, and a migrated store in it that is soon impatient.
async fn impatient() -> (Cluster, Store) {
    let cluster = Cluster::start();
    let url = cluster.create_database("d").await;
    let config = sections::Store {
        acquire_timeout: Duration::from_secs(1),
        statement_timeout: Duration::from_secs(1),
        max_connections: 2,
        ..by_url(&url)
    };
    let store = Store::open(&config).await.unwrap();
    store.migrate(now()).await.unwrap();
    store.health().await.unwrap();
    (cluster, store)
}

/// The ping is kept, whatever failed before, and counted once.
async fn assert_kept_once(cluster: &Cluster, store: &Store, row: &Sighting) {
    until("back", async || write(store, &[row], Write::Replay).await.is_ok()).await;
    digest(store).await;
    let mut connection = cluster.connect("d").await;
    let pings: Vec<i64> = sqlx::query_scalar("SELECT pings FROM instances").fetch_all(&mut connection).await.unwrap();
    assert_eq!(pings, [1]);
}

#[tokio::test]
async fn a_server_that_is_killed_and_comes_back() {
    let (cluster, store) = impatient().await;
    let row = ping("i", 0);
    cluster.kill();
    // At once, not after a time limit; first through the connection that was open, then through none.
    for _ in 0..2 {
        let result = write(&store, &[&row], Write::Replay).await;
        assert!(is_unavailable(&result), "{result:?}");
    }
    assert!(is_unavailable(&store.health().await));
    assert_eq!(store.connections(), (0, 0));
    cluster.restart();
    assert_kept_once(&cluster, &store, &row).await;

    // Restarted while we rest: nobody notices. (A connection that rested a second is asked before it is used.)
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    cluster.restart();
    write(&store, &[&row], Write::Replay).await.unwrap();
}

#[tokio::test]
async fn a_server_that_hangs() {
    let (cluster, store) = impatient().await;
    let row = ping("i", 0);
    cluster.pause();
    // Every caller hears of it, those that wait for a connection too.
    let callers: Vec<_> = (0..5)
        .map(|_| {
            let (store, row) = (store.clone(), row.clone());
            tokio::spawn(async move { write(&store, &[row], Write::Replay).await })
        })
        .collect();
    for caller in callers {
        let result = tokio::time::timeout(Duration::from_secs(30), caller).await.unwrap().unwrap();
        assert!(matches!(result, Err(StoreError::Unavailable { timeout: true, .. })), "{result:?}");
    }
    assert_eq!(store.connections(), (0, 0), "a connection that hung does not come back");
    cluster.resume();
    assert_kept_once(&cluster, &store, &row).await;
}

#[tokio::test]
async fn a_server_that_only_lets_us_read() {
    let (cluster, store) = impatient().await;
    let row = ping("i", 0);
    cluster.execute("postgres", "ALTER SYSTEM SET default_transaction_read_only = on").await;
    cluster.execute("postgres", "SELECT pg_reload_conf()").await;
    until("read-only", async || store.health().await.is_err()).await;
    // Whoever is turned away by the new leader must not stay with the old one.
    assert_eq!(store.connections(), (0, 0));
    let result = write(&store, &[&row], Write::Replay).await;
    assert!(is_unavailable(&result), "{result:?}");
    let mut connection = cluster.connect("postgres").await;
    connection.execute("SET default_transaction_read_only = off").await.unwrap();
    connection.execute("ALTER SYSTEM RESET default_transaction_read_only").await.unwrap();
    connection.execute("SELECT pg_reload_conf()").await.unwrap();
    assert_kept_once(&cluster, &store, &row).await;
}

#[tokio::test]
async fn a_server_without_fsync() {
    let (cluster, store) = impatient().await;
    cluster.execute("postgres", "ALTER SYSTEM SET fsync = off").await;
    cluster.execute("postgres", "SELECT pg_reload_conf()").await;
    let refused = async || matches!(store.migrate(now()).await, Err(MigrationError::NotDurable { setting: "fsync" }));
    until("refused", refused).await;
}

/// After a silent cut of the network a ping waits for a second, and not for all the time that there is.
#[tokio::test]
async fn a_resting_connection_that_was_cut_in_silence() {
    let cluster = Cluster::start();
    let url = cluster.create_database("d").await;
    let line = Line::to(([127, 0, 0, 1], cluster.port()).into());
    let url = url.replace(&format!(":{}/", cluster.port()), &format!(":{}/", line.address.port()));
    let config = sections::Store { acquire_timeout: Duration::from_secs(4), ..by_url(&url) };
    let store = Store::open(&config).await.unwrap();
    store.migrate(now()).await.unwrap();
    write(&store, &[ping("i", 0)], Write::New).await.unwrap();
    // Only one that has rested for a second is asked whether it is alive.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    line.silence();
    write(&store, &[ping("i", 1)], Write::New).await.unwrap();
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
