//! A 2xx for a ping means that it is on disk: under load, whoever is killed.

use std::sync::atomic::Ordering::SeqCst;

use crate::{
    load::{Load, check},
    stores::{database_in, on_both_stores},
    support::{
        eventually,
        http::{PINGBACK, post},
        postgres::Cluster,
        server::Setup,
    },
};

on_both_stores!(the_server_is_killed);

fn the_server_is_killed(setup: &Setup) {
    let mut answered = vec![];
    for round in ["first", "second"] {
        let server = setup.start();
        let load = Load::default();
        answered.extend(load.during(server.public, round, || {
            load.wait_for_answers(2000);
            server.kill();
        }));
    }
    // The start after a kill is the recovery.
    let server = setup.start();
    check(setup, &answered);
    assert_eq!(server.ask(&post(PINGBACK, b"{}")).status, 200);
}

#[test]
fn postgres_is_killed() {
    let cluster = Cluster::start();
    let setup = database_in(&cluster);
    let server = setup.start();
    let load = Load::default();
    let answered = load.during(server.public, "only", || {
        for _ in 0..2 {
            load.wait_for_answers(1500);
            let refused = load.refused.load(SeqCst);
            cluster.kill();
            eventually("pings are refused", || (load.refused.load(SeqCst) > refused).then_some(()));
            cluster.restart();
            server.wait_until_ready();
        }
        load.wait_for_answers(1000);
    });
    check(&setup, &answered);
    server.assert_well();
}
