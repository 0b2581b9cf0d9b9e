//! More pings than the store can take: each is stored or refused, none lost, none counted twice.

use std::sync::atomic::Ordering::SeqCst;

use tokio::runtime::Builder;

use crate::{
    load::{Load, check},
    stores::database_in,
    support::{eventually, postgres::Cluster},
};

const SLOW: &str = "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN PERFORM pg_sleep(0.002); RETURN NEW; END';
    CREATE TRIGGER slow BEFORE INSERT ON pings FOR EACH ROW EXECUTE FUNCTION slow()";

#[test]
fn excess_pings_are_refused_and_all_others_stored() {
    let cluster = Cluster::start();
    let setup = database_in(&cluster).set("ingest.queue_capacity=20").set("ingest.max_batch=10");
    let server = setup.start();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let name = setup.url.rsplit('/').next().unwrap();
    runtime.block_on(cluster.execute(name, SLOW));
    let load = Load::default();
    let answered = load.during(server.public, "overload", || {
        eventually("some are refused", || (load.refused.load(SeqCst) > 500).then_some(()));
        load.wait_for_answers(500);
        // The store is as fast as before: the overload has no lasting effect.
        runtime.block_on(cluster.execute(name, "DROP TRIGGER slow ON pings"));
        load.wait_for_answers(1000);
    });
    assert_eq!(load.failed.load(SeqCst), 0, "nobody is left without an answer");
    check(&setup, &answered);
    assert_eq!(server.metric("nutritionfacts_ingest_queue_rows").as_deref(), Some("0"));
    server.assert_well();
}
