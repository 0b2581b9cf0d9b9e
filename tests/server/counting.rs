//! `instances` follows the pings, and is exact whoever dies in the middle of it.

use std::thread;

use serde_json::json;
use sqlx::{Connection, Executor, PgConnection};
use tokio::runtime::Runtime;

use crate::{
    failover::{name_of, runtime},
    load::{Load, check, check_instances},
    stores::{self, database_in, on_both_stores},
    support::{
        eventually,
        http::{PINGBACK, post},
        postgres::Cluster,
        rows::Rows,
        server::{Server, Setup},
    },
};

on_both_stores!(a_small_fleet_is_soon_counted, killed_at_arbitrary_points, killed_in_a_stroke);

fn a_small_fleet_is_soon_counted(setup: &Setup) {
    let server = setup.start();
    for number in 0..3 {
        ping(&server, number);
    }
    assert_eq!(Rows::open(&setup.url).counted().len(), 3);
    server.assert_well();
}

/// Of each start the first deed is to count what the last one left, so this too is cut off somewhere.
fn killed_at_arbitrary_points(setup: &Setup) {
    let mut answered = vec![];
    for round in 0..6 {
        let server = setup.start();
        let load = Load::default();
        answered.extend(load.during(server.public, &round.to_string(), || {
            load.wait_for_answers(fastrand::usize(..800));
            server.kill();
        }));
    }
    let server = setup.start();
    check(setup, &answered);
    server.assert_well();
}

/// Many installations, so that a stroke takes a while.
fn killed_in_a_stroke(setup: &Setup) {
    let begun = if setup.url.starts_with("postgres") {
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%INTO instances%' \
            AND pid <> pg_backend_pid() AND datname = current_database()"
    } else {
        "SELECT count(*) FROM counting WHERE done <> ''"
    };
    let mut server = setup.start();
    let mut rows = Rows::open(&setup.url);
    thread::scope(|scope| {
        for part in 0..8 {
            let server = &server;
            scope.spawn(move || {
                let mut connection = server.connect();
                for number in 0..400 {
                    let body = json!({"instance_id": format!("{part}-{number}"), "version": "0.19.5"}).to_string();
                    assert_eq!(connection.ask(&post(PINGBACK, body.as_bytes())).status, 200);
                }
            });
        }
    });
    eventually("a stroke has begun", || {
        // Or it has ended, which is no reason to wait for ever.
        (rows.number(begun) > 0 || rows.number("SELECT count(*) FROM uncounted") == 0).then_some(())
    });
    server = server.kill().start();
    check_instances(&mut rows);
    assert_eq!(rows.count("instances"), 3200);
    server.assert_well();
}

fn ping(server: &Server, number: usize) {
    let body = json!({"instance_id": format!("i{number}"), "version": "0.19.5"}).to_string();
    assert_eq!(server.ask(&post(PINGBACK, body.as_bytes())).status, 200);
}

/// A stroke that is held in the middle of its transaction: the batches deleted, the installations not merged.
struct Held {
    runtime: Runtime,
    holder: PgConnection,
}

impl Held {
    fn hold(cluster: &Cluster, setup: &Setup, server: &Server) -> Self {
        let runtime = runtime();
        let mut holder = runtime.block_on(cluster.connect(name_of(setup)));
        runtime.block_on(holder.execute("BEGIN; LOCK TABLE instances")).unwrap();
        for number in 0..10 {
            ping(server, number);
        }
        let mut held = Self { runtime, holder };
        eventually("the stroke waits", || (held.waiting() > 0).then_some(()));
        held
    }

    fn waiting(&mut self) -> i64 {
        let sql = "SELECT count(*) FROM pg_locks WHERE relation = 'instances'::regclass AND NOT granted";
        self.runtime.block_on(sqlx::query_scalar(sql).fetch_one(&mut self.holder)).unwrap()
    }

    fn release(self) {
        self.runtime.block_on(self.holder.close()).unwrap();
    }
}

#[test]
fn the_server_is_killed_in_the_middle_of_a_transaction() {
    let cluster = Cluster::start();
    let setup = database_in(&cluster);
    let server = setup.start();
    let held = Held::hold(&cluster, &setup, &server);
    // Pings are kept meanwhile.
    ping(&server, 0);
    server.kill();
    held.release();
    let server = setup.start();
    check_instances(&mut Rows::open(&setup.url));
    assert_eq!(Rows::open(&setup.url).pings("i0"), 2);
    server.assert_well();
}

#[test]
fn postgres_is_killed_in_the_middle_of_a_transaction() {
    let cluster = Cluster::start();
    let setup = database_in(&cluster);
    let server = setup.start();
    let _held = Held::hold(&cluster, &setup, &server);
    cluster.kill();
    cluster.restart();
    server.wait_until_ready();
    ping(&server, 0);
    check_instances(&mut Rows::open(&setup.url));
    assert_eq!(Rows::open(&setup.url).pings("i0"), 2);
    server.assert_well();
}

/// It runs into the limit of its statement, and makes up for it by SQL.
#[test]
fn a_stroke_takes_too_long() {
    let cluster = Cluster::start();
    let setup = database_in(&cluster).set("store.statement_timeout=300ms");
    let server = setup.start();
    let held = Held::hold(&cluster, &setup, &server);
    eventually("it is told", || server.log.text().contains("cannot count installations").then_some(()));
    held.release();
    check_instances(&mut Rows::open(&setup.url));
    server.assert_well();
}

#[test]
fn two_servers_of_which_one_is_killed_again_and_again() {
    let setup = stores::postgres();
    let steady = setup.start();
    let load = Load::default();
    let mut answered = vec![];
    let other = load.during(steady.public, "steady", || {
        for round in 0..3 {
            let server = setup.start();
            let load = Load::default();
            answered.extend(load.during(server.public, &format!("killed-{round}"), || {
                load.wait_for_answers(300);
                server.kill();
            }));
        }
    });
    answered.extend(other);
    // What the dead have left is found by the next that starts.
    let server = setup.start();
    check(&setup, &answered);
    server.assert_well();
    steady.assert_well();
}
