//! The profile of each ping is in the store, whatever the server has cached.

use crate::{
    load::{Load, check},
    stores::{database_in, execute, on_both_stores},
    support::{
        http::{PINGBACK, post},
        postgres::Cluster,
        rows::Rows,
        server::{Server, Setup},
    },
};

on_both_stores!(a_deleted_profile_is_written_again, a_small_cache_changes_no_result);

fn ping(server: &Server) {
    assert_eq!(server.ask(&post(PINGBACK, br#"{"instance_id": "a", "version": "0.19.5"}"#)).status, 200);
}

/// The only stored ping, with its profile.
fn check_ping(setup: &Setup) {
    let mut rows = Rows::open(&setup.url);
    assert_eq!(rows.one("pingbacks", "instance_id", "a")["kolibri_version"], "0.19.5");
    assert_eq!(rows.pings("a"), 1);
}

/// As a retention job does.
fn a_deleted_profile_is_written_again(setup: &Setup) {
    let server = setup.start();
    ping(&server);
    check_ping(setup);
    execute(
        setup,
        "BEGIN; DELETE FROM pings; DELETE FROM profiles; DELETE FROM installations;
        UPDATE store_state SET generation = generation + 1; COMMIT",
    );
    ping(&server);
    check_ping(setup);
    server.assert_well();
}

/// As by a failover to a server that did not have them yet.
#[test]
fn a_profile_lost_by_postgres_is_written_again() {
    let cluster = Cluster::start();
    let setup = database_in(&cluster);
    let server = setup.start();
    ping(&server);
    check_ping(&setup);
    execute(&setup, "TRUNCATE pings, profiles, installations");
    cluster.restart();
    server.wait_until_ready();
    ping(&server);
    check_ping(&setup);
    server.assert_well();
}

/// The cache has room for one installation or two, and many ping at once.
fn a_small_cache_changes_no_result(setup: &Setup) {
    let setup = setup.clone().set("ingest.profile_cache=1KiB");
    let server = setup.start();
    let load = Load::default();
    let answered = load.during(server.public, "small", || load.wait_for_answers(1000));
    check(&setup, &answered);
    server.assert_well();
}
