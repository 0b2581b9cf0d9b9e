//! Derived data follows pings within seconds, and is exact even if a process is killed in between.

use std::thread;

use serde_json::json;
use sqlx::{Connection, Executor, PgConnection};
use tokio::runtime::Runtime;

use crate::{
    failover::{name_of, runtime},
    load::{Load, check, check_derived},
    stores::{self, database_in, execute, on_both_stores},
    support::{
        eventually,
        http::{PINGBACK, post},
        postgres::Cluster,
        rows::Rows,
        server::{Server, Setup},
    },
};

on_both_stores!(
    pings_of_a_small_fleet_are_digested_within_seconds,
    a_digest_killed_at_any_point_is_completed,
    a_digest_killed_between_many_steps_is_completed,
    the_next_graceful_shutdown_digests_what_is_left,
    many_failing_batches_do_not_block_others,
    a_client_whose_batches_fail_does_not_block_others,
);

fn ping(server: &Server, number: usize) {
    let body = json!({"instance_id": format!("i{number}"), "version": "0.19.5"}).to_string();
    assert_eq!(server.ask(&post(PINGBACK, body.as_bytes())).status, 200);
}

/// Number of rows that the server has digested.
fn digested(server: &Server) -> usize {
    let store = if server.setup.url.starts_with("postgres") { "postgres" } else { "sqlite" };
    let rows = server.metric(&format!("nutritionfacts_digest_rows_total{{store=\"{store}\"}}"));
    rows.map_or(0, |rows| rows.parse().unwrap())
}

fn pings_of_a_small_fleet_are_digested_within_seconds(setup: &Setup) {
    let server = setup.start();
    for number in 0..3 {
        ping(&server, number);
    }
    assert_eq!(Rows::open(&setup.url).digested().len(), 3);
    eventually("it says so", || (digested(&server) == 3).then_some(()));
    server.assert_well();
}

/// Before anything is digested, or while many rows are being digested and written.
fn a_digest_killed_at_any_point_is_completed(setup: &Setup) {
    let mut answered = vec![];
    for round in 0..6 {
        let server = setup.start();
        let load = Load::default();
        answered.extend(load.during(server.public, &round.to_string(), || {
            if round % 2 == 0 {
                eventually("pings are digested", || (digested(&server) > 0).then_some(()));
            }
            load.wait_for_answers(fastrand::usize(..800));
            server.kill();
        }));
    }
    let server = setup.start();
    check(setup, &answered);
    server.assert_well();
}

/// The digest is blocked for a while and pings are stored; then there is work for many steps.
fn a_digest_killed_between_many_steps_is_completed(setup: &Setup) {
    let (refuse, allow) = if setup.url.starts_with("postgres") {
        (
            "ALTER TABLE installations ADD CONSTRAINT refused CHECK (pings < 0)",
            "ALTER TABLE installations DROP CONSTRAINT refused",
        )
    } else {
        (
            "CREATE TRIGGER refused BEFORE INSERT ON installations BEGIN SELECT RAISE(ABORT, 'refused'); END",
            "DROP TRIGGER refused",
        )
    };
    let server = setup.start();
    execute(setup, refuse);
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
    eventually("it is logged", || server.log.text().contains("cannot digest a batch").then_some(()));
    server.assert_well();
    let setup = server.kill();
    let mut rows = Rows::open(&setup.url);
    let batches = rows.undigested();
    assert_eq!((rows.count("instances"), rows.count("pingbacks")), (0, 3200));
    execute(&setup, allow);
    let server = setup.start();
    eventually("some of it is digested", || (rows.undigested() < batches).then_some(()));
    let setup = server.kill();
    assert!(rows.undigested() > 0, "of {batches} batches none is left");
    let server = setup.start();
    check_derived(&mut rows);
    assert_eq!(rows.count("instances"), 3200);
    server.assert_well();
}

fn the_next_graceful_shutdown_digests_what_is_left(setup: &Setup) {
    let server = setup.start();
    for number in 0..20 {
        ping(&server, number % 10);
    }
    let server = server.kill().start();
    assert!(server.stop().success());
    let mut rows = Rows::open(&setup.url);
    assert_eq!(rows.undigested(), 0);
    check_derived(&mut rows);
}

/// A digest that is blocked in its transaction: the batches are removed from the outbox, and nothing is derived yet.
struct Held {
    runtime: Runtime,
    holder: PgConnection,
    rows: Rows,
}

impl Held {
    fn hold(cluster: &Cluster, setup: &Setup, server: &Server) -> Self {
        let runtime = runtime();
        let mut holder = runtime.block_on(cluster.connect(name_of(setup)));
        runtime.block_on(holder.execute("BEGIN; LOCK TABLE installations")).unwrap();
        for number in 0..10 {
            ping(server, number);
        }
        let mut held = Self { runtime, holder, rows: Rows::open(&setup.url) };
        eventually("the digest waits", || held.waits_for("0 seconds").then_some(()));
        held
    }

    /// Whether a session has waited for this long.
    fn waits_for(&mut self, time: &str) -> bool {
        let sql = format!(
            "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE relation = 'installations'::regclass
                AND NOT granted AND clock_timestamp() - query_start >= '{time}'"
        );
        self.rows.number(&sql) > 0
    }

    fn release(self) {
        self.runtime.block_on(self.holder.close()).unwrap();
    }
}

#[test]
fn a_server_killed_in_a_digest_transaction_loses_nothing() {
    let cluster = Cluster::start();
    let setup = database_in(&cluster);
    let server = setup.start();
    let held = Held::hold(&cluster, &setup, &server);
    // Pings are stored meanwhile.
    ping(&server, 0);
    server.kill();
    held.release();
    let server = setup.start();
    check_derived(&mut Rows::open(&setup.url));
    assert_eq!(Rows::open(&setup.url).pings("i0"), 2);
    server.assert_well();
}

#[test]
fn postgres_killed_in_a_digest_transaction_loses_nothing() {
    let cluster = Cluster::start();
    let setup = database_in(&cluster);
    let server = setup.start();
    let _held = Held::hold(&cluster, &setup, &server);
    cluster.kill();
    cluster.restart();
    server.wait_until_ready();
    ping(&server, 0);
    check_derived(&mut Rows::open(&setup.url));
    assert_eq!(Rows::open(&setup.url).pings("i0"), 2);
    server.assert_well();
}

/// Also for longer than the statement timeout of pings; the metrics show it.
#[test]
fn pings_do_not_wait_while_the_digest_waits_for_a_lock() {
    let cluster = Cluster::start();
    let setup = database_in(&cluster).set("store.statement_timeout=300ms");
    let server = setup.start();
    let mut held = Held::hold(&cluster, &setup, &server);
    eventually("it has waited for long", || held.waits_for("1 second").then_some(()));
    ping(&server, 0);
    let number = |name: &str| -> u64 {
        let value = server.metric(&format!("nutritionfacts_digest_{name}{{store=\"postgres\"}}"));
        value.map_or(0, |value| value.parse().unwrap())
    };
    eventually("it is seen", || (number("waiting_batches") > 0 && number("oldest_age_seconds") > 0).then_some(()));
    assert_eq!(digested(&server), 0);
    held.release();
    check_derived(&mut Rows::open(&setup.url));
    assert_eq!(Rows::open(&setup.url).pings("i0"), 2);
    assert!(!server.log.text().contains("cannot digest pings now"), "{}", server.log.text());
    eventually("that it is over is seen", || {
        (number("waiting_batches") == 0 && number("oldest_age_seconds") == 0).then_some(())
    });
    assert_eq!(digested(&server), 11);
    server.assert_well();
}

/// The running server digests what a killed one has left.
#[test]
fn batches_of_a_killed_server_are_digested_by_another() {
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
    check(&setup, &answered);
    steady.assert_well();
}

/// Rejects installations of this name.
fn poison(setup: &Setup) {
    let refuse = if setup.url.starts_with("postgres") {
        "ALTER TABLE installations ADD CONSTRAINT poison CHECK (instance_id NOT LIKE 'poison%')"
    } else {
        "CREATE TRIGGER poison BEFORE INSERT ON installations WHEN new.instance_id LIKE 'poison%'
            BEGIN SELECT RAISE(ABORT, 'refused'); END"
    };
    execute(setup, refuse);
}

fn send(server: &Server, instance: &str) {
    let body = json!({"instance_id": instance, "version": "0.19.5"}).to_string();
    assert_eq!(server.ask(&post(PINGBACK, body.as_bytes())).status, 200);
}

/// Many batches that cannot be digested do not block others.
fn many_failing_batches_do_not_block_others(setup: &Setup) {
    let server = setup.start();
    poison(setup);
    for number in 0..6 {
        send(&server, &format!("poison{number}"));
    }
    for number in 0..3 {
        ping(&server, number);
    }
    let mut rows = Rows::open(&setup.url);
    eventually("the others are digested", || (rows.count("instances") == 3).then_some(()));
    assert_eq!(rows.undigested(), 6);
}

/// A client whose pings cannot be digested, and that pings all the time, does not block the batches of others.
fn a_client_whose_batches_fail_does_not_block_others(setup: &Setup) {
    let server = setup.start();
    for number in 0..3 {
        ping(&server, number);
    }
    let server = server.kill().start();
    poison(setup);
    let mut rows = Rows::open(&setup.url);
    eventually("the others are digested", || {
        send(&server, "poison");
        (rows.count("instances") == 3).then_some(())
    });
}
