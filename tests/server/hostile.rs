//! Abusive clients that take memory, connections or time.

use std::{io::Write, net::TcpStream, thread, time::Duration};

use crate::support::{
    eventually,
    http::{Connection, PINGBACK, STATISTICS, post},
    rows::Rows,
    server::Setup,
};

const PING: &[u8] = br#"{"instance_id": "a", "version": "0.19.5"}"#;
const MIB: usize = 1 << 20;

/// Ten thousand incomplete headers would otherwise block all other clients until their deadline, repeatedly.
#[test]
fn at_the_limit_connections_with_incomplete_headers_are_closed() {
    let server = Setup::sqlite().set("http.max_connections=20").set("http.header_timeout=1h").start();
    let open = || server.metric("nutritionfacts_http_connections{listener=\"public\"}").unwrap();
    let half_sent = |number: usize| {
        let mut connection = server.connect();
        // One after the other.
        eventually("it is accepted", || (open() == (number + 1).min(20).to_string()).then_some(()));
        connection.send(b"POST /api/v1/pingback HTTP/1.1\r\nHost: ").unwrap();
        connection
    };
    let mut hostile: Vec<_> = (0..30).map(half_sent).collect();
    // All remaining ones have sent a part of their header: none is idle any more.
    eventually("the cap holds", || (open() == "20").then_some(()));
    for _ in 0..30 {
        let reply = server.ask(&post(PINGBACK, PING));
        assert_eq!((reply.status, reply.says_close()), (200, false));
    }
    assert!(hostile[0].is_closed() && hostile[9].is_closed(), "the oldest first");
    server.assert_well();
}

/// A connection that is to be closed must not stay open because its client does not read.
#[test]
fn at_the_limit_connections_that_never_read_are_closed() {
    let server = Setup::sqlite().set("http.max_connections=5").set("http.idle_timeout=1h").start();
    let deaf: Vec<_> = (0..5).map(|_| deafen(server.connect_raw())).collect();
    let open = || server.metric("nutritionfacts_http_connections{listener=\"public\"}").unwrap();
    let live: Vec<_> = (0..5)
        .map(|_| {
            let mut connection = server.connect();
            assert!(connection.is_open());
            connection
        })
        .collect();
    eventually("the five that never read are closed", || (open() == "5").then_some(()));
    drop((deaf, live));
}

/// Pipelines requests until nothing more can be sent, and reads nothing.
fn deafen(mut stream: TcpStream) -> TcpStream {
    stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let requests = b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1000);
    while stream.write_all(&requests).is_ok() {}
    stream
}

#[test]
fn a_client_that_never_reads_is_closed_and_uses_little_memory() {
    let server = Setup::sqlite().set("http.idle_timeout=1s").start();
    let before = server.memory().0;
    thread::scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|| {
                let mut stream = server.connect_raw();
                let requests = b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n".repeat(100);
                // Ends only when the server closes: its deadline applies to clients that do not read.
                while stream.write_all(&requests).is_ok() {}
            });
        }
    });
    let grown = server.memory().1.saturating_sub(before);
    assert!(grown < 64 * MIB as u64, "{grown} bytes more for ten such clients");
    server.assert_well();
}

#[test]
fn a_body_that_arrives_too_slowly_is_answered_408() {
    let setup = Setup::sqlite().set("http.body_timeout=500ms");
    let server = setup.start();
    let request = post(PINGBACK, &[PING, &vec![b' '; 10_000][..]].concat());
    let mut connection = server.connect();
    connection.send(&request[..400]).unwrap();
    for byte in &request[400..] {
        if connection.send(&[*byte]).is_err() {
            break;
        }
        thread::sleep(Duration::from_millis(20));
    }
    // The reply may be lost, because the client was still sending; but none acknowledges the ping.
    assert!(connection.read(true).map_or(true, |reply| reply.status == 408 && reply.says_close()));
    assert_eq!(Rows::open(&setup.url).count("pingbacks"), 0);
    server.assert_well();
}

/// Of bodies that never end, those of the network that holds the most are dropped, so that others get memory.
#[test]
fn bodies_of_one_network_do_not_block_others() {
    let setup = Setup::sqlite().set("http.body_timeout=1h").set("http.trusted_proxies=[127.0.0.0/8]");
    let server = setup.start();
    let request = |address: &str, body: &[u8]| {
        let request = post(PINGBACK, body);
        let (line, rest) = request.split_at(request.windows(2).position(|end| end == b"\r\n").unwrap());
        [line, format!("\r\nX-Forwarded-For: {address}").as_bytes(), rest].concat()
    };
    let large = [&b"{\"x\": \""[..], &vec![b'x'; 64 * 1024 - 9], b"\""].concat();
    let hostile = request("203.0.113.7", &[&large, &b"}"[..]].concat());
    // Of one network, more than the whole budget.
    let connections: Vec<_> = (0..300)
        .map(|_| {
            let mut connection = server.connect();
            connection.send(&hostile[..hostile.len() - 1]).unwrap();
            connection
        })
        .collect();
    for number in 0..100 {
        let ping = request(&format!("192.0.{number}.1"), &[&large[..20_000], b"\"}"].concat());
        let mut connection = server.connect();
        // In two parts, so that it is not read at once.
        connection.send(&ping[..10_000]).unwrap();
        assert_eq!(connection.ask(&ping[10_000..]).status, 200);
    }
    // A small body needs no budget, even from that network.
    assert_eq!(server.ask(&request("203.0.113.7", PING)).status, 200);
    let statuses: Vec<_> = connections.into_iter().map(|mut connection| connection.ask(b"}").status).collect();
    assert!(statuses.contains(&503) && statuses.iter().all(|status| [200, 503].contains(status)), "{statuses:?}");
    server.assert_well();
}

/// The limit also applies to HTTP/2: connections that ignore GOAWAY are closed.
#[test]
fn at_the_limit_connections_that_ignore_goaway_are_closed() {
    let server = Setup::sqlite().set("http.max_connections=20").set("http.idle_timeout=1h").start();
    let open =
        || server.metric("nutritionfacts_http_connections{listener=\"public\"}").unwrap().parse::<usize>().unwrap();
    let files = server.open_files();
    let mut kept = Vec::new();
    for _ in 0..200 {
        let mut stream = server.connect_raw();
        // The preface and empty SETTINGS; frames of the server are never answered.
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
        kept.push(stream);
    }
    eventually("the cap holds", || (open() == 20).then_some(()));
    assert!(server.open_files() <= files + 30, "{} instead of {files}", server.open_files());
    for _ in 0..30 {
        assert_eq!(server.ask(&post(PINGBACK, PING)).status, 200);
        assert!(open() <= 20);
    }
    server.assert_well();
}

/// A device in a loop gets the usual replies, and does not fill the store.
#[test]
fn an_installation_that_pings_in_a_loop_is_limited() {
    let setup = Setup::sqlite().set("ingest.max_hourly_pings=5");
    let server = setup.start();
    let mut connection = server.connect();
    // An hour may end meanwhile, but not twice.
    for _ in 0..20 {
        let reply = connection.ask(&post(PINGBACK, PING));
        assert_eq!((reply.status, reply.json()["messages"].as_array().map(Vec::len)), (200, Some(0)));
        assert!(reply.json()["id"].is_string());
    }
    for instance in ["", r#", "instance_id": "b""#] {
        let body = format!(r#"{{"version": "0.19.5"{instance}}}"#);
        for _ in 0..if instance.is_empty() { 20 } else { 5 } {
            assert_eq!(connection.ask(&post(PINGBACK, body.as_bytes())).status, 200);
        }
    }
    let rows = Rows::open(&setup.url).all("pingbacks");
    let count = |instance: &str| rows.iter().filter(|row| row["instance_id"] == instance).count();
    let kept = count("a");
    assert!((5..=10).contains(&kept), "{kept}");
    assert_eq!((count("b"), count("")), (5, 20));
    let limited = server.metric("nutritionfacts_pingbacks_total{outcome=\"limited\"}");
    assert_eq!(limited, Some((20 - kept).to_string()));
    server.assert_well();
}

/// All requests share the budget: bodies that do not fit are read, discarded and answered 503.
#[test]
fn large_bodies_over_the_budget_are_answered_503() {
    let server = Setup::sqlite().set("http.body_timeout=1h").start();
    let body = [b"{", &vec![b' '; 15 * MIB][..], b"}"].concat();
    let request = post(STATISTICS, &body);
    let last = request.len() - 1;
    let mut connections: Vec<Connection> = thread::scope(|scope| {
        let senders: Vec<_> = (0..12)
            .map(|_| {
                scope.spawn(|| {
                    let mut connection = server.connect();
                    connection.send(&request[..last]).unwrap();
                    connection
                })
            })
            .collect();
        senders.into_iter().map(|sender| sender.join().unwrap()).collect()
    });
    // Those that hold the budget end last, so that nobody gets the memory that they release.
    let mut statuses = vec![];
    for connection in &mut connections {
        let reply = connection.ask(&request[last..]);
        assert!(!reply.says_close());
        statuses.push(reply.status);
        assert!(connection.is_open());
    }
    let taken = statuses.iter().filter(|status| **status == 200).count();
    let refused = statuses.iter().filter(|status| **status == 503).count();
    assert!(taken + refused == 12 && (1..=3).contains(&taken), "{statuses:?}");
    let highest = server.memory().1;
    assert!(highest < 160 * MIB as u64, "{highest} bytes at most, for a budget of 64 MiB");
    // A client that disconnects releases its memory.
    assert_eq!(server.ask(&request).status, 200);
    server.assert_well();
}
