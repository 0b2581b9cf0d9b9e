//! Slow and idle clients.

use std::{thread, time::Duration};

use crate::support::{
    http::{PINGBACK, post},
    rows::Rows,
    server::Setup,
};

const LINE: &[u8] = b"POST /api/v1/pingback HTTP/1.1\r\n";

#[test]
fn a_slow_body_is_answered_408() {
    let setup = Setup::sqlite().set("http.body_timeout=300ms");
    let server = setup.start();
    let request = post(PINGBACK, br#"{"version": "0.19.5"}"#);
    let mut connection = server.connect();
    connection.send(&request[..request.len() - 1]).unwrap();
    let reply = connection.reply();
    assert_eq!((reply.status, reply.says_close()), (408, true));
    assert!(connection.is_closed());
    assert_eq!(Rows::open(&setup.url).count("pingbacks"), 0);
    server.assert_well();
}

#[test]
fn a_slow_header_closes_the_connection() {
    let server = Setup::sqlite().set("http.header_timeout=300ms").start();
    let mut connection = server.connect();
    connection.send(LINE).unwrap();
    assert!(connection.is_closed(), "without a reply");
    // Sending a byte now and then does not extend the deadline.
    let mut connection = server.connect();
    connection.send(LINE).unwrap();
    while connection.send(b"x").is_ok() {
        thread::sleep(Duration::from_millis(50));
    }
    server.assert_well();
}

#[test]
fn an_idle_connection_is_closed() {
    let server = Setup::sqlite().set("http.idle_timeout=300ms").start();
    let mut silent = server.connect();
    let mut used = server.connect();
    assert_eq!(used.ask(&post(PINGBACK, b"{}")).status, 200);
    assert!(silent.is_closed() && used.is_closed(), "without a reply");
    server.assert_well();
}

#[test]
fn at_the_limit_the_longest_idle_connection_is_closed() {
    let server = Setup::sqlite().set("http.max_connections=5").start();
    // A connection with a request in progress is not closed, however old it is.
    let request = post(PINGBACK, br#"{"version": "0.19.5"}"#);
    let mut under_way = server.connect();
    under_way.send(&request[..request.len() - 1]).unwrap();
    let mut idle: Vec<_> = (0..8)
        .map(|_| {
            let mut connection = server.connect();
            assert_eq!(connection.ask(&post(PINGBACK, b"{}")).status, 200);
            connection
        })
        .collect();
    assert!(idle[0].is_closed());
    assert!(idle[7].is_open());
    let reply = under_way.ask(&request[request.len() - 1..]);
    assert_eq!((reply.status, reply.says_close()), (200, false));
}

#[test]
fn sigterm_answers_requests_in_progress_and_exits_with_0() {
    let setup = Setup::sqlite();
    let server = setup.start();
    let request = post(PINGBACK, br#"{"version": "0.19.5"}"#);
    let mut connection = server.connect();
    connection.send(&request[..request.len() - 1]).unwrap();
    let mut idle = server.connect();
    assert_eq!(idle.ask(&request).status, 200);
    let sender = thread::spawn(move || {
        assert!(idle.is_closed(), "an idle connection ends when the server drains");
        let reply = connection.ask(&request[request.len() - 1..]);
        assert_eq!((reply.status, reply.says_close()), (200, false), "clients from 0.18 on throw `close` away");
        assert!(connection.is_closed());
    });
    assert_eq!(server.stop().code(), Some(0));
    sender.join().unwrap();
    assert_eq!(Rows::open(&setup.url).count("pingbacks"), 2);
}
