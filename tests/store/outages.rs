//! PostgreSQL that is killed, hangs, is read-only or is cut off.

use std::time::Duration;

use nutritionfacts::{
    config::sections,
    store::{MigrationError, Store, StoreError, Write},
};
use sqlx::Executor;

use crate::{
    postgres::is_unavailable,
    rows::{Sighting, by_url, digest, now, ping, until, write},
    support::{line::Line, postgres::Cluster},
};

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
