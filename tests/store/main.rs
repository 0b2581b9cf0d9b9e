//! The contract of the store, kept by PostgreSQL and SQLite alike.

#[path = "../support/mod.rs"]
mod support;

#[tokio::test]
async fn cluster_lives() {
    let c = support::postgres::Cluster::start();
    let url = c.create_database("a").await;
    println!("{url}");
    c.kill();
    c.restart();
    c.execute("a", "select 1").await;
    c.pause();
    c.resume();
    c.execute("a", "select 1").await;
    let s = support::postgres::shared();
    s.create_database("b").await;
    drop(c);
    let c = support::postgres::Cluster::start_with_password("a b/ü%'\"\\");
    c.create_database("a").await;
    c.pause();
}
