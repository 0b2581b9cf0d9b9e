//! What counts as a JSON object: encodings, compressions, invalid and truncated texts.

use std::io::Write;

use flate2::{Compression, write};

use crate::{
    model,
    stores::{self, on_both_stores},
    support::{
        http::{PINGBACK, STATISTICS, post},
        rows::Rows,
        server::Setup,
    },
};

const PING: &str =
    r#"{"instance_id": "0123456789abcdef0123456789abcdef", "version": "0.10.3", "mode": "bodies", "uptime": 3}"#;
const SORRY: &str = "Sorry, please send a valid JSON object.";

pub fn zlib(bytes: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = write::ZlibEncoder::new(vec![], Compression::new(level));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = write::GzEncoder::new(vec![], Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = write::DeflateEncoder::new(vec![], Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn utf16(text: &str, unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(unit).collect()
}

fn nested(depth: usize) -> Vec<u8> {
    let lists = depth - 1; // the object is the first
    format!(r#"{{"a": {}{}}}"#, "[".repeat(lists), "]".repeat(lists)).into_bytes()
}

fn accepted() -> Vec<(&'static str, Vec<u8>)> {
    let plain = PING.as_bytes();
    let with_bom = [b"\xef\xbb\xbf", plain].concat();
    vec![
        ("plain", plain.to_vec()),
        ("an empty object", b"{}".to_vec()),
        ("white space around", format!(" \t\r\n{PING} \r\n\t").into_bytes()),
        ("byte order mark", with_bom.clone()),
        ("zlib, stored", zlib(plain, 0)),
        ("zlib, fastest", zlib(plain, 1)),
        ("zlib, default", zlib(plain, 6)),
        ("zlib, best", zlib(plain, 9)),
        ("zlib of byte order mark", zlib(&with_bom, 6)),
        ("zlib of white space", zlib(format!("\n {PING}\n").as_bytes(), 6)),
        ("zlib, bytes after the stream", [zlib(plain, 6), b"trailing {".to_vec()].concat()),
        ("gzip", gzip(plain)),
        ("gzip, bytes after the stream", [gzip(plain), vec![0; 100]].concat()),
        ("depth 64", nested(64)),
        ("depth 64 in zlib", zlib(&nested(64), 6)),
        ("not ASCII", "{\"project\": \"école 学校 \u{1F3EB}\"}".as_bytes().to_vec()),
        ("escapes in keys", br#"{"\u0076ersion": "0.10.3"}"#.to_vec()),
        ("the empty key", br#"{"": 1}"#.to_vec()),
        ("numbers as Python writes them", br#"{"a": NaN, "b": [Infinity, -Infinity], "uptime": NaN}"#.to_vec()),
        ("numbers of any size", format!(r#"{{"a": {}, "b": 1e200000, "c": -1e-400}}"#, "9".repeat(5000)).into_bytes()),
        ("equal keys", br#"{"uptime": 1, "uptime": 2, "a": 1, "a": {"a": 1, "a": 2}}"#.to_vec()),
    ]
}

fn refused() -> Vec<(&'static str, Vec<u8>)> {
    let plain = PING.as_bytes();
    let mut wrong_sum = zlib(plain, 6);
    *wrong_sum.last_mut().unwrap() ^= 1;
    let mut with_dictionary = zlib(plain, 6);
    with_dictionary[1] = 0xbb; // FDICT set, the check bits right
    vec![
        ("nothing", vec![]),
        ("white space", b" \r\n".to_vec()),
        ("text", b"hello".to_vec()),
        ("list", b"[1]".to_vec()),
        ("list of an object", b"[{}]".to_vec()),
        ("null", b"null".to_vec()),
        ("number", b"1".to_vec()),
        ("string", br#""{}""#.to_vec()),
        ("text after the object", b"{} x".to_vec()),
        ("two objects", b"{}{}".to_vec()),
        ("NUL after the object", b"{}\0".to_vec()),
        ("two byte order marks", b"\xef\xbb\xbf\xef\xbb\xbf{}".to_vec()),
        ("half a byte order mark", b"\xef\xbb{}".to_vec()),
        ("trailing comma", br#"{"a": 1,}"#.to_vec()),
        ("no comma", br#"{"a": 1 "b": 2}"#.to_vec()),
        ("single quotes", b"{'a': 1}".to_vec()),
        ("no quotes", b"{a: 1}".to_vec()),
        ("a comment", b"{/* */}".to_vec()),
        ("Python's words", br#"{"a": None, "b": True}"#.to_vec()),
        ("leading zero", br#"{"a": 01}"#.to_vec()),
        ("a lone minus", br#"{"a": -}"#.to_vec()),
        ("no digits after the point", br#"{"a": 1.}"#.to_vec()),
        ("half an escape", br#"{"a": "\u12"}"#.to_vec()),
        ("an unknown escape", br#"{"a": "\x41"}"#.to_vec()),
        ("a raw control character", b"{\"a\": \"\x01\"}".to_vec()),
        ("a raw line feed in a string", b"{\"a\": \"\n\"}".to_vec()),
        ("depth 65", nested(65)),
        ("depth 65 in zlib", zlib(&nested(65), 6)),
        ("depth 30,000", nested(30_000)),
        ("lists without end", [br#"{"a": "#.to_vec(), vec![b'['; 60_000]].concat()),
        ("latin-1", b"{\"a\": \"\xe9\"}".to_vec()),
        ("a surrogate in UTF-8", b"{\"a\": \"\xed\xa0\x80\"}".to_vec()),
        ("overlong UTF-8", b"{\"a\": \"\xc0\xaf\"}".to_vec()),
        ("UTF-16, little end first", utf16(PING, u16::to_le_bytes)),
        ("UTF-16, big end first", utf16(PING, u16::to_be_bytes)),
        ("UTF-16 with its mark", utf16(&format!("\u{feff}{PING}"), u16::to_le_bytes)),
        ("raw deflate", deflate(plain)),
        ("zlib in zlib", zlib(&zlib(plain, 6), 6)),
        ("gzip in zlib", zlib(&gzip(plain), 6)),
        ("zlib in gzip", gzip(&zlib(plain, 6))),
        ("zlib of nothing", zlib(b"", 6)),
        ("zlib of a list", zlib(b"[]", 6)),
        ("zlib with a wrong sum", wrong_sum),
        ("zlib with a dictionary", with_dictionary),
        ("the first byte of zlib", vec![0x78]),
        ("the first bytes of zlib and noise", [vec![0x78, 0x9c], (0..200).collect()].concat()),
        ("the first bytes of gzip and noise", [vec![0x1f, 0x8b, 8], (0..200).collect()].concat()),
    ]
}

on_both_stores!(only_json_objects_are_accepted, the_last_duplicate_key_wins_and_unknown_keys_are_limited);

fn only_json_objects_are_accepted(setup: &Setup) {
    let server = setup.start();
    let mut connection = server.connect();
    for (name, body) in accepted() {
        for path in [PINGBACK, STATISTICS] {
            let reply = connection.ask(&post(path, &body));
            assert_eq!((reply.status, reply.says_close()), (200, false), "{name}: {}", reply.text());
        }
    }
    for (name, body) in refused() {
        for path in [PINGBACK, STATISTICS] {
            let reply = connection.ask(&post(path, &body));
            assert_eq!((reply.status, reply.text().as_str(), reply.says_close()), (400, SORRY, false), "{name}");
            assert_eq!(reply.header("content-type"), Some("text/plain; charset=utf-8"), "{name}");
        }
    }
    let mut rows = Rows::open(&setup.url);
    assert_eq!(rows.count("pingbacks"), accepted().len());
    assert_eq!(rows.count("statistics"), accepted().len());
    // The row is the same for each encoding.
    let plain = model::pingback(&serde_json::from_str(PING).unwrap());
    let alike = rows.with("pingbacks", "mode", "bodies");
    assert_eq!(alike.len(), 12);
    for row in &alike {
        model::assert_columns(&plain, row, "a wrapped ping");
    }
    server.assert_well();
}

fn the_last_duplicate_key_wins_and_unknown_keys_are_limited(setup: &Setup) {
    let server = setup.start();
    let keys: Vec<String> = (0..1000).map(|number| format!(r#""k{number:04}": "v""#)).collect();
    let body = format!(r#"{{"uptime": 1, "mode": "a", {}, "uptime": 2, "mode": null}}"#, keys.join(", "));
    assert_eq!(server.ask(&post(PINGBACK, body.as_bytes())).status, 200);
    let large = format!(r#"{{"language": "large", "a": "{}", "b": 1}}"#, "x".repeat(20_000));
    assert_eq!(server.ask(&post(PINGBACK, large.as_bytes())).status, 200);

    let mut rows = Rows::open(&setup.url);
    let row = rows.one("pingbacks", "uptime", "2");
    assert_eq!(row["mode"], "");
    let extra = row["extra"].as_object().unwrap();
    let kept: Vec<&String> = extra.keys().filter(|key| key.starts_with('k')).collect();
    assert_eq!((kept.len(), kept[0].as_str(), kept[63].as_str()), (64, "k0000", "k0063"), "the first come");
    assert!(extra["_dropped"].as_array().unwrap().contains(&"k0064".into()));
    assert!(row["extra"].to_string().len() <= 32 * 1024);

    let row = rows.one("pingbacks", "language", "large");
    assert_eq!(row["extra"], serde_json::json!({"b": 1, "_dropped": ["a"]}));
    server.assert_well();
}

#[test]
fn truncated_and_damaged_bodies_are_answered_400() {
    let server = stores::shared();
    let mut connection = server.connect();
    let packed = zlib(PING.as_bytes(), 6);
    for body in [PING.as_bytes(), &packed, &gzip(PING.as_bytes())] {
        for end in 0..body.len() {
            let reply = connection.ask(&post(PINGBACK, &body[..end]));
            assert_eq!((reply.status, reply.text().as_str()), (400, SORRY), "{end} of {} bytes", body.len());
        }
    }
    for at in 0..packed.len() {
        for bit in 0..8 {
            let mut damaged = packed.clone();
            damaged[at] ^= 1 << bit;
            let reply = connection.ask(&post(PINGBACK, &damaged));
            assert!([200, 400].contains(&reply.status), "byte {at}, bit {bit}: {}", reply.status);
        }
    }
    server.assert_well();
}

#[test]
fn encodings_are_detected_from_bytes_not_headers() {
    let server = stores::shared();
    let packed = zlib(PING.as_bytes(), 6);
    for header in [
        "Content-Type: text/xml",
        "Content-Type: multipart/form-data; boundary=x",
        "Content-Encoding: gzip",
        "Content-Encoding: br",
        "Accept: text/html",
        "Accept-Encoding: identity;q=0",
        "Content-Type: \u{e9}",
    ] {
        for body in [PING.as_bytes(), &packed] {
            let request = post(PINGBACK, body);
            let text = format!("\r\n{header}\r\nConnection: keep-alive\r\n");
            let at = request.windows(26).position(|part| part == b"\r\nConnection: keep-alive\r\n").unwrap();
            let request = [&request[..at], text.as_bytes(), &request[at + 26..]].concat();
            let reply = server.ask(&request);
            assert_eq!((reply.status, reply.says_close()), (200, false), "{header}");
        }
    }
    server.assert_well();
}
