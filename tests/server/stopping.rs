//! Shutdown: no request is lost, and no client can delay it forever.

use std::{io::Write, thread, time::Duration};

use sqlx::{Connection as _, Executor};
use tokio::runtime::Builder;

use crate::{
    load::{Load, check},
    stores::{database_in, on_both_stores},
    support::{
        eventually,
        http::{Connection, PINGBACK, post},
        postgres::Cluster,
        rows::Rows,
        server::{Server, Setup},
    },
};

const PING: &[u8] = br#"{"instance_id": "a", "version": "0.19.5"}"#;

on_both_stores!(sigterm_and_sigint_under_load_lose_no_ping);

fn sigterm_and_sigint_under_load_lose_no_ping(setup: &Setup) {
    let mut answered = vec![];
    for signal in ["TERM", "INT", "TERM"] {
        let server = setup.start();
        let load = Load::default();
        let round = format!("{signal}-{}", answered.len());
        answered.extend(load.during(server.public, &round, || {
            load.wait_for_answers(1000);
            server.signal(signal);
            assert_eq!(server.wait().code(), Some(0), "SIG{signal}");
        }));
    }
    check(setup, &answered);
}

/// A request without its last byte.
fn half_sent(server: &Server) -> Connection {
    let request = post(PINGBACK, PING);
    let mut connection = server.connect();
    connection.send(&request[..request.len() - 1]).unwrap();
    connection
}

fn wait_for_connections(server: &Server, count: &str) {
    let open = || server.metric("nutritionfacts_http_connections{listener=\"public\"}");
    eventually("they are accepted", || open().filter(|open| open == count));
}

fn wait_for_the_stop(server: &Server) {
    eventually("the stop begins", || server.log.text().contains("\"stopping\"").then_some(()));
}

/// Sends a second signal; signals within a second of the first belong to it.
fn insist(server: &Server) {
    eventually("it is a second one", || {
        server.signal("INT");
        server.log.text().contains("a second signal").then_some(())
    });
}

/// The exit code and the whole output.
fn end(server: Server) -> (Option<i32>, String) {
    let log = server.log.clone();
    let code = server.wait().code();
    // The last lines may still be in the pipe.
    let text = eventually("the reason is logged", || {
        Some(log.text()).filter(|text| code == Some(0) || text.contains("\"ERROR\""))
    });
    (code, text)
}

#[test]
fn a_second_signal_stops_the_server_immediately() {
    let server = Setup::sqlite().start();
    let _under_way = half_sent(&server);
    server.signal("TERM");
    wait_for_the_stop(&server);
    insist(&server);
    let (code, text) = end(server);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("stopped with requests in progress: a second signal"), "{text}");
}

/// `timeout` signals the process, then its group.
#[test]
fn two_signals_within_a_second_count_as_one() {
    let server = Setup::sqlite().start();
    let mut under_way = half_sent(&server);
    server.signal("TERM");
    server.signal("INT");
    wait_for_the_stop(&server);
    server.signal("TERM");
    under_way.send(b"}").unwrap();
    assert_eq!(under_way.reply().status, 200);
    let (code, text) = end(server);
    assert_eq!(code, Some(0), "{text}");
}

#[test]
fn the_end_of_the_grace_period_stops_the_server_immediately() {
    let cluster = Cluster::start();
    let server = database_in(&cluster).set("shutdown.grace=300ms").start();
    cluster.pause();
    let mut connection = server.connect();
    connection.send(&post(PINGBACK, PING)).unwrap();
    wait_for_connections(&server, "1");
    server.signal("INT");
    let (code, text) = end(server);
    cluster.resume();
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("shutdown.grace is over"), "{text}");
}

/// A slow client may normally take long, but not when the server shuts down.
#[test]
fn a_slow_client_does_not_cause_a_hard_stop() {
    let setup = Setup::sqlite().set("http.header_timeout=1h").set("http.body_timeout=1h").set("shutdown.grace=5s");
    let server = setup.start();
    let mut body = half_sent(&server);
    let mut unwanted = server.connect();
    unwanted.send(b"POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n{").unwrap();
    let mut header = server.connect();
    header.send(&post(PINGBACK, PING)[..30]).unwrap();
    wait_for_connections(&server, "3");
    server.signal("INT");
    let reply = body.reply();
    assert_eq!((reply.status, reply.says_close()), (408, true));
    let reply = unwanted.reply();
    assert_eq!((reply.status, reply.says_close()), (404, true));
    assert!(body.is_closed() && unwanted.is_closed() && header.is_closed());
    assert_eq!(end(server).0, Some(0));
    assert_eq!(Rows::open(&setup.url).count("pingbacks"), 0);
}

/// A second signal does not wait for a PostgreSQL that hangs.
#[test]
fn a_hard_stop_does_not_wait_for_postgres() {
    let cluster = Cluster::start();
    let server = database_in(&cluster).set("store.statement_timeout=10m").set("store.acquire_timeout=10m").start();
    cluster.pause();
    let mut connection = server.connect();
    connection.send(&post(PINGBACK, PING)).unwrap();
    server.signal("TERM");
    wait_for_the_stop(&server);
    server.signal("TERM");
    assert_eq!(end(server).0, Some(1));
    cluster.resume();
}

#[test]
fn during_the_delay_all_requests_are_served_except_readiness() {
    let setup = Setup::sqlite().set("shutdown.delay=1h");
    let server = setup.start();
    let mut before = server.connect();
    server.signal("TERM");
    let checks = eventually("readiness ends", || {
        let reply = server.get("/readyz");
        (reply.status == 503).then(|| reply.json()["checks"].clone())
    });
    assert_eq!((&checks["shutdown"], &checks["store"]), (&"draining".into(), &"ok".into()));
    for connection in [&mut before, &mut server.connect()] {
        for _ in 0..2 {
            let reply = connection.ask(&post(PINGBACK, PING));
            assert_eq!((reply.status, reply.says_close()), (200, false));
        }
    }
    assert_eq!((server.get("/livez").status, server.get("/health_check").status), (200, 200));
    // A second signal skips the delay.
    insist(&server);
    assert_eq!(end(server).0, Some(1));
    assert_eq!(Rows::open(&setup.url).count("pingbacks"), 4);
    // SIGINT has no delay, because a terminal has no load balancers.
    let server = setup.start();
    server.signal("INT");
    assert_eq!(end(server).0, Some(0));
}

/// Pings that wait for their commit are answered after the shutdown has begun.
#[test]
fn queued_pings_are_committed_and_answered() {
    let cluster = Cluster::start();
    let setup = database_in(&cluster).set("ingest.max_batch=3");
    let server = setup.start();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let mut other = runtime.block_on(cluster.connect(setup.url.rsplit('/').next().unwrap()));
    runtime.block_on(other.execute("BEGIN; LOCK TABLE pings")).unwrap();
    let mut senders: Vec<_> = (0..20).map(|_| server.connect()).collect();
    for sender in &mut senders {
        sender.send(&post(PINGBACK, PING)).unwrap();
    }
    eventually("one batch is in progress, the others wait", || {
        server.metric("nutritionfacts_ingest_queue_rows").filter(|rows| rows == "17" || rows == "18" || rows == "19")
    });
    server.signal("TERM");
    wait_for_the_stop(&server);
    runtime.block_on(other.close()).unwrap();
    for sender in &mut senders {
        let reply = sender.reply();
        assert_eq!((reply.status, reply.says_close()), (200, false));
        assert!(sender.is_closed());
    }
    assert_eq!(server.wait().code(), Some(0));
    // They are also digested before the server exits.
    let mut rows = Rows::open(&setup.url);
    assert_eq!(rows.undigested(), 0);
    assert_eq!(rows.one("instances", "instance_id", "a")["pings"], 20);
}

/// A client that does not read its replies does not cause a hard stop.
#[test]
fn a_client_that_never_reads_does_not_cause_a_hard_stop() {
    let server = Setup::sqlite().start();
    let mut deaf = server.connect_raw();
    deaf.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let requests = b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1000);
    // Until nothing more can be sent: all buffers in both directions are full.
    while deaf.write_all(&requests).is_ok() {}
    server.signal("TERM");
    let stop = thread::spawn(move || end(server));
    assert_eq!(stop.join().unwrap().0, Some(0));
    drop(deaf);
}
