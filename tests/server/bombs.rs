//! Decompression bombs: they are refused, and memory stays below the limit.

use std::io::Write;

use flate2::{Compress, Compression, FlushCompress, write::GzEncoder};

use crate::{
    bodies::zlib,
    support::{
        http::{PINGBACK, STATISTICS, post},
        server::{Server, Setup},
    },
};

const MIB: u64 = 1 << 20;
const PINGBACK_CAP: usize = 64 << 10;

/// A zlib stream of a GiB of this byte after the given beginning; without its end, which is never read.
fn zlib_of_a_gib(beginning: &[u8], byte: u8) -> Vec<u8> {
    let mut compressor = Compress::new(Compression::best(), true);
    let mut compressed = Vec::with_capacity(64 * 1024);
    compressor.compress_vec(beginning, &mut compressed, FlushCompress::Full).unwrap();
    // After a full flush a chunk does not depend on earlier data, so one chunk can be repeated.
    let head = compressed.len();
    compressor.compress_vec(&vec![byte; 1 << 20], &mut compressed, FlushCompress::Full).unwrap();
    assert!(compressed.len() < compressed.capacity());
    let chunk = compressed.split_off(head);
    [compressed, chunk.repeat(1024)].concat()
}

fn warm_server() -> Server {
    let server = Setup::sqlite().start();
    for path in [PINGBACK, STATISTICS] {
        for _ in 0..20 {
            assert_eq!(server.ask(&post(path, br#"{"version": "0.19.5"}"#)).status, 200);
        }
    }
    server
}

fn refused_within(path: &str, body: &[u8], cap: u64) {
    let server = warm_server();
    let (before, _) = server.memory();
    let mut connection = server.connect();
    let reply = connection.ask(&post(path, body));
    let (_, highest) = server.memory();
    assert_eq!((reply.status, reply.says_close()), (413, false), "{}", reply.text());
    assert!(connection.is_open());
    let grown = highest.saturating_sub(before);
    assert!(grown <= cap + 4 * MIB, "{path}: {} KiB more, at the highest", grown / 1024);
    server.assert_well();
}

#[test]
fn a_gib_of_zeros_as_a_pingback_is_refused() {
    let bomb = zlib_of_a_gib(b"", 0);
    // A bomb larger than the limit is refused for its compressed size, so this one is shorter.
    refused_within(PINGBACK, &bomb[..bomb.len().min(PINGBACK_CAP)], MIB);
}

#[test]
fn a_gib_in_a_string_of_a_pingback_is_refused() {
    let bomb = zlib_of_a_gib(br#"{"version": ""#, b'x');
    refused_within(PINGBACK, &bomb[..bomb.len().min(PINGBACK_CAP)], MIB);
}

#[test]
fn a_gib_in_a_string_of_statistics_is_refused() {
    refused_within(STATISTICS, &zlib_of_a_gib(br#"{"pi": ""#, b'x'), 16 * MIB);
}

#[test]
fn a_gzip_bomb_as_statistics_is_refused() {
    let mut encoder = GzEncoder::new(vec![], Compression::fast());
    encoder.write_all(br#"{"pi": ""#).unwrap();
    encoder.write_all(&vec![b'x'; 17 << 20]).unwrap();
    refused_within(STATISTICS, &encoder.finish().unwrap(), 16 * MIB);
}

#[test]
fn limits_of_bodies_are_exact() {
    let server = warm_server();
    let mut connection = server.connect();
    let sized = |size: usize| {
        let frame = r#"{"a": ""}"#.len();
        format!(r#"{{"a": "{}"}}"#, "x".repeat(size - frame)).into_bytes()
    };
    for (path, cap) in [(PINGBACK, PINGBACK_CAP), (STATISTICS, 16 << 20)] {
        for (size, expected) in [(cap, 200), (cap + 1, 413)] {
            for body in [sized(size), zlib(&sized(size), 1)] {
                let reply = connection.ask(&post(path, &body));
                assert_eq!((reply.status, reply.says_close()), (expected, false), "{path}: {size} as {}", body.len());
            }
        }
    }
    // Discarded up to four times the limit: the connection stays open.
    let reply = connection.ask(&post(PINGBACK, &sized(3 * PINGBACK_CAP)));
    assert_eq!((reply.status, reply.says_close()), (413, false));
    assert!(connection.is_open());
    server.assert_well();
}

#[test]
fn a_body_far_over_the_limit_closes_the_connection() {
    let server = warm_server();
    let mut connection = server.connect();
    connection.send(b"POST /api/v1/pingback HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000000\r\n\r\n{").unwrap();
    // The server may reply at once or after four times the limit.
    let _ = connection.send(&vec![b' '; 5 * PINGBACK_CAP]);
    let reply = connection.reply();
    assert_eq!((reply.status, reply.says_close()), (413, true));
    assert!(connection.is_closed());
    server.assert_well();
}

/// Many bombs at once do not add up: they share one budget for bodies.
#[test]
fn many_bombs_at_once_stay_within_the_budget() {
    let server = warm_server();
    let bomb = zlib_of_a_gib(br#"{"pi": ""#, b'x');
    let request = post(STATISTICS, &bomb);
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let senders: Vec<_> = (0..20).map(|_| scope.spawn(|| server.ask(&request).status)).collect();
        senders.into_iter().map(|sender| sender.join().unwrap()).collect()
    });
    assert!(statuses.iter().all(|status| [413, 503].contains(status)), "{statuses:?}");
    let (_, highest) = server.memory();
    assert!(highest < 160 * MIB, "{} MiB", highest / MIB);
    server.assert_well();
}
