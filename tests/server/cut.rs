//! The connection to PostgreSQL is cut when it is unknown whether the batch was committed.

use crate::{
    load::{Load, check},
    stores::database_in,
    support::{eventually, postgres::Cluster, proxy::Proxy, rows::Rows, server::Setup},
};

#[test]
fn a_cut_during_a_commit_loses_and_duplicates_nothing() {
    let cluster = Cluster::start();
    let proxy = Proxy::start(cluster.port());
    let direct = database_in(&cluster);
    let through = direct.url.replace(&format!(":{}/", cluster.port()), &format!(":{}/", proxy.address.port()));
    let server = Setup::postgres(&through).set("ingest.lanes=3").set("ingest.max_batch=20").start();
    let load = Load::default();
    let answered = load.during(server.public, "cut", || {
        load.wait_for_answers(300);
        proxy.cut_every(4);
        eventually("many batches were cut off", || (proxy.cuts() >= 100).then_some(()));
        proxy.cut_every(0);
        load.wait_for_answers(300);
    });
    check(&direct, &answered);
    // A row that exists already is skipped, and not treated as a poison row.
    assert_eq!(Rows::open(&direct.url).count("set_aside"), 0);
    let replayed = server.metric("nutritionfacts_store_errors_total{class=\"retried\",store=\"postgres\"}").unwrap();
    assert!(replayed.parse::<f64>().unwrap() > 10.0, "batches were tried again: {replayed}");
    server.assert_well();
}
