//! A 2xx for a ping means that it is on disk, even if processes are killed under load. Only pings that retention has deleted are not stored again.

use std::sync::atomic::Ordering::SeqCst;

use crate::{
    load::{Load, check},
    stores::{database_in, execute, on_both_stores},
    support::{
        eventually,
        http::{PINGBACK, STATISTICS, post},
        postgres::Cluster,
        rows::Rows,
        server::Setup,
    },
};

on_both_stores!(
    acknowledged_pings_survive_kill_9_of_the_server,
    pings_older_than_the_retention_are_acknowledged_and_not_stored
);

fn acknowledged_pings_survive_kill_9_of_the_server(setup: &Setup) {
    let mut answered = vec![];
    for round in ["first", "second"] {
        let server = setup.start();
        let load = Load::default();
        answered.extend(load.during(server.public, round, || {
            load.wait_for_answers(2000);
            server.kill();
        }));
    }
    // The start after a kill includes the recovery.
    let server = setup.start();
    check(setup, &answered);
    assert_eq!(server.ask(&post(PINGBACK, b"{}")).status, 200);
}

/// As if the clock were years behind: retention has deleted the current day while the server runs.
fn pings_older_than_the_retention_are_acknowledged_and_not_stored(setup: &Setup) {
    let server = setup.start();
    let send = || {
        for path in [PINGBACK, STATISTICS] {
            let reply = server.ask(&post(path, br#"{"instance_id": "a", "version": "0.19.5"}"#));
            assert_eq!((reply.status, reply.json()["messages"].is_array()), (200, true), "{path}");
        }
    };
    send();
    execute(setup, "UPDATE store_state SET sealed_before = '9999-01-01', generation = generation + 1");
    send();
    send();
    for kind in ["pingbacks", "statistics"] {
        for (outcome, count) in [("stored", "1"), ("expired", "2"), ("unavailable", "0")] {
            let series = format!("nutritionfacts_{kind}_total{{outcome=\"{outcome}\"}}");
            assert_eq!(server.metric(&series).as_deref(), Some(count), "{series}");
        }
        assert_eq!(Rows::open(&setup.url).count(kind), 1);
    }
    server.assert_well();
    assert!(server.stop().success());
    let mut rows = Rows::open(&setup.url);
    assert_eq!((rows.undigested(), rows.pings("a")), (0, 1));
}

#[test]
fn acknowledged_pings_survive_kill_9_of_postgres() {
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
