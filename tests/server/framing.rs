//! Variations of HTTP: methods, paths, framing, and input that is not HTTP.

use crate::{
    model, stores,
    support::{
        http::{Connection, PINGBACK, STATISTICS, post},
        rows::Rows,
        server::Setup,
    },
};

const BODY: &str = r#"{"version": "0.19.5"}"#;

fn request(line: &str, headers: &[&str], body: &str) -> Vec<u8> {
    let head = [&[line], headers].concat().join("\r\n");
    format!("{head}\r\n\r\n{body}").into_bytes()
}

/// A POST with `Content-Length`.
fn framed(line: &str, headers: &[&str]) -> Vec<u8> {
    let length = format!("Content-Length: {}", BODY.len());
    request(line, &[headers, &[&length]].concat(), BODY)
}

#[test]
fn other_methods_are_answered_405() {
    let server = stores::shared();
    for path in [PINGBACK, STATISTICS] {
        for method in ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "FOO", "post"] {
            let mut connection = server.connect();
            connection.send(&framed(&format!("{method} {path} HTTP/1.1"), &["Host: a"])).unwrap();
            let reply = connection.read(method != "HEAD").unwrap();
            assert_eq!(reply.status, 405, "{method} {path}");
            assert!(reply.header("allow").is_some_and(|allow| allow.contains("POST")), "{method} {path}: {reply:?}");
            assert!(!reply.text().contains('<') && !reply.says_close(), "{method} {path}: {reply:?}");
            assert!(connection.is_open(), "{method} {path}");
        }
    }
    for path in ["/livez", "/readyz", "/health_check", "/"] {
        let reply = server.ask(&framed(&format!("POST {path} HTTP/1.1"), &["Host: a"]));
        assert_eq!((reply.status, reply.says_close()), (405, false), "{path}");
        assert!(reply.header("allow").is_some_and(|allow| allow.contains("GET")), "{path}");
    }
    server.assert_well();
}

#[test]
fn known_paths_are_served_and_others_are_answered_404() {
    let server = stores::shared();
    for (path, expected) in [
        ("/api/v1/pingback", 200),
        ("/api/v1/pingback/", 200),
        ("/api/v1/pingback?", 200),
        ("/api/v1/pingback?callback=cb&x=%ff", 200),
        ("http://telemetry.learningequality.org/api/v1/pingback", 200),
        ("/api/v1/statistics/", 200),
        ("//api/v1/pingback", 404),
        ("/api//v1/pingback", 404),
        ("/api/v1/pingback//", 404),
        ("/api/v1/pingback/x", 404),
        ("/API/v1/pingback", 404),
        ("/api/v2/pingback", 404),
        ("/api/v1/../v1/pingback", 404),
        ("/api/v1/pingback%00", 404),
        ("/api/v1/pingback%2f", 404),
        ("/api/v1", 404),
        ("/favicon.ico", 404),
        ("/metrics", 404),
        ("/config", 404),
    ] {
        let mut connection = server.connect();
        let reply = connection.ask(&framed(&format!("POST {path} HTTP/1.1"), &["Host: a"]));
        assert_eq!((reply.status, reply.says_close()), (expected, false), "{path}");
        assert!(!reply.text().contains('<'), "{path}: {reply:?}");
        assert!(connection.is_open(), "{path}");
    }
    server.assert_well();
}

#[test]
fn get_paths_are_answered() {
    let server = stores::shared();
    let root = server.get("/");
    assert_eq!(root.status, 200);
    assert!(root.text().contains("nutritionfacts") && root.text().contains(env!("CARGO_PKG_VERSION")), "{root:?}");
    assert_eq!((server.get("/health_check").status, server.get("/health_check").text().as_str()), (200, "OK"));
    assert_eq!((server.get("/livez").status, server.get("/readyz").status), (200, 200));
    assert!(server.get("/readyz?verbose").json().is_object());
    let mut admin = Connection::open(server.admin);
    for path in ["/livez", "/readyz", "/startupz", "/metrics"] {
        let reply = admin.ask(&request(&format!("GET {path} HTTP/1.1"), &["Host: a"], ""));
        assert_eq!(reply.status, 200, "{path}");
    }
    for path in ["/livez", "/health_check"] {
        let mut connection = server.connect();
        connection.send(&request(&format!("HEAD {path} HTTP/1.1"), &["Host: a"], "")).unwrap();
        assert_eq!(connection.read(false).unwrap().status, 200, "{path}");
        assert!(connection.is_open());
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let setup = Setup::sqlite();
    let server = setup.start();
    let versions: Vec<String> = (0..100).map(|number| format!("0.{number}.0")).collect();
    let all: Vec<u8> = versions
        .iter()
        .flat_map(|version| post(PINGBACK, format!(r#"{{"version": "{version}"}}"#).as_bytes()))
        .collect();
    let mut connection = server.connect();
    connection.send(&all).unwrap();
    for version in &versions {
        let reply = connection.reply();
        assert_eq!((reply.status, reply.says_close()), (200, false));
        assert_eq!(reply.body.is_empty(), model::wants_silence(version), "in the order of the requests: {version}");
    }
    assert!(connection.is_open());
    assert_eq!(Rows::open(&setup.url).count("pingbacks"), 100);
}

#[test]
fn chunked_bodies_are_read() {
    let server = stores::shared();
    let line = "POST /api/v1/pingback HTTP/1.1";
    let head = ["Host: a", "Transfer-Encoding: chunked"];
    for body in [
        format!("{:x}\r\n{BODY}\r\n0\r\n\r\n", BODY.len()),
        "1\r\n{\r\n14\r\n\"version\": \"0.19.5\"}\r\n0\r\n\r\n".into(),
        format!("{:X};name=value\r\n{BODY}\r\n0\r\nTrailer: x\r\n\r\n", BODY.len()),
        format!("000{:x}\r\n{BODY}\r\n000\r\n\r\n", BODY.len()),
    ] {
        let mut connection = server.connect();
        let reply = connection.ask(&request(line, &head, &body));
        assert_eq!((reply.status, reply.says_close()), (200, false), "{body}");
        assert!(reply.json()["id"].is_string(), "{body}");
        assert!(connection.is_open(), "{body}");
    }
    for body in ["0\r\n\r\n", "1\r\n{\r\n0\r\n\r\n"] {
        let reply = server.ask(&request(line, &head, body));
        assert_eq!((reply.status, reply.says_close()), (400, false), "{body}");
    }
    for body in ["x\r\n", "-1\r\n{}\r\n0\r\n\r\n", "fffffffffffffffff\r\n{}", "2\r\n{}X\r\n0\r\n\r\n"] {
        let mut connection = server.connect();
        connection.send(&request(line, &head, body)).unwrap();
        connection.finish_sending();
        // Either the error text or just the end; in no case a success.
        assert!(connection.read(true).map_or(true, |reply| reply.status == 400), "{body}");
    }
    let cut_off = request(line, &head, "14\r\n{\"version\"");
    let mut connection = server.connect();
    connection.send(&cut_off).unwrap();
    connection.finish_sending();
    assert!(connection.read(true).map_or(true, |reply| reply.status == 400));
    server.assert_well();
}

#[test]
fn expect_100_continue_is_answered() {
    let server = stores::shared();
    let length = format!("Content-Length: {}", BODY.len());
    let head = request("POST /api/v1/pingback HTTP/1.1", &["Host: a", "Expect: 100-continue", &length], "");
    let mut connection = server.connect();
    connection.send(&head).unwrap();
    assert_eq!(connection.read(false).unwrap().status, 100);
    let reply = connection.ask(BODY.as_bytes());
    assert_eq!((reply.status, reply.says_close()), (200, false));
    assert!(connection.is_open());
}

#[test]
fn http_1_0_and_connection_close_are_supported() {
    let server = stores::shared();
    for (line, headers) in [
        ("POST /api/v1/pingback HTTP/1.0", vec![]),
        ("POST /api/v1/pingback HTTP/1.0", vec!["Host: a"]),
        ("POST /api/v1/pingback HTTP/1.1", vec!["Host: a", "Connection: close"]),
    ] {
        let mut connection = server.connect();
        let reply = connection.ask(&framed(line, &headers));
        assert_eq!(reply.status, 200, "{line}");
        assert!(reply.json()["id"].is_string() && connection.is_closed(), "{line}");
    }
    let mut connection = server.connect();
    let reply = connection.ask(&framed("POST /api/v1/pingback HTTP/1.0", &["Connection: keep-alive"]));
    assert_eq!(reply.status, 200);
    // No Host: RFC 9112 requires 400; accepting it is harmless; it must not be an error of the server.
    let reply = server.ask(&framed("POST /api/v1/pingback HTTP/1.1", &[]));
    assert!([200, 400].contains(&reply.status), "{reply:?}");
}

#[test]
fn a_wrong_content_length_does_no_harm() {
    let setup = Setup::sqlite();
    let server = setup.start();
    let line = "POST /api/v1/pingback HTTP/1.1";
    // Too short: the object is truncated, and its rest is not a request.
    let mut connection = server.connect();
    connection.send(&request(line, &["Host: a", "Content-Length: 10"], BODY)).unwrap();
    let reply = connection.reply();
    assert_eq!((reply.status, reply.says_close()), (400, false));
    let reply = connection.reply();
    assert_eq!((reply.status, reply.says_close()), (400, true));
    assert!(connection.is_closed());
    // Too long: the client disconnects.
    let mut connection = server.connect();
    connection.send(&request(line, &["Host: a", "Content-Length: 1000"], BODY)).unwrap();
    connection.finish_sending();
    assert!(connection.read(true).map_or(true, |reply| reply.status == 400));
    // None at all: by the rules of HTTP there is no body.
    let reply = server.ask(&request(line, &["Host: a"], ""));
    assert_eq!((reply.status, reply.says_close()), (400, false));
    for length in [
        "-1",
        "+21",
        "0x15",
        "21, 22",
        "twenty-one",
        "99999999999999999999999999",
        "21\r\nContent-Length: 22",
        "18446744073709551616",
    ] {
        let mut connection = server.connect();
        let reply = connection.ask(&request(line, &["Host: a", &format!("Content-Length: {length}")], BODY));
        assert_eq!((reply.status, reply.says_close()), (400, true), "{length}");
        assert!(connection.is_closed(), "{length}");
    }
    assert_eq!(Rows::open(&setup.url).count("pingbacks"), 0);
    server.assert_well();
}

#[test]
fn input_that_is_not_http_is_rejected() {
    let server = stores::shared();
    for bytes in [
        &b"hello\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /api/v1/pingback HTTP/1.1\r\nHost\r\n\r\n",
        b"POST /api/v1/pingback HTTP/1.1\r\nHo st: a\r\n\r\n",
        b"POST /api/v1/pingback HTTP/1.1\r\nX: a\0b\r\n\r\n",
        b"POST /api/v1/pingback HTTP/1.1\r\n: a\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a greeting of TLS \r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
        b"{\"version\": \"0.19.5\"}\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\x01\r\n\r\n",
    ] {
        let mut connection = server.connect();
        connection.send(bytes).unwrap();
        let reply = connection.reply();
        assert_eq!((reply.status, reply.says_close()), (400, true), "{}", String::from_utf8_lossy(bytes));
        assert!(connection.is_closed());
    }
    server.assert_well();
}

#[test]
fn oversized_headers_and_addresses_are_rejected() {
    let server = stores::shared();
    let line = "POST /api/v1/pingback HTTP/1.1";
    let long = format!("X-Long: {}", "x".repeat(64 << 10));
    let many: Vec<String> = (0..101).map(|number| format!("X-{number}: 1")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let address = format!("POST /api/v1/pingback?{} HTTP/1.1", "x".repeat(10_000));
    for (expected, bytes) in [
        (431, framed(line, &["Host: a", &long])),
        (431, framed(line, &[&["Host: a"], &many[..]].concat())),
        (414, framed(&address, &["Host: a"])),
    ] {
        let mut connection = server.connect();
        // The server may have closed before reading everything.
        let _ = connection.send(&bytes);
        let reply = connection.read(true).unwrap();
        assert_eq!((reply.status, reply.says_close()), (expected, true));
        assert!(connection.is_closed());
    }
    // Headers added by real proxies are far below the limits.
    let reply = server.ask(&framed(line, &["Host: a", &format!("X-Long: {}", "x".repeat(20 << 10))]));
    assert_eq!(reply.status, 200);
    let reply = server.ask(&framed(line, &[&["Host: a"], &many[..90]].concat()));
    assert_eq!(reply.status, 200);
    server.assert_well();
}
