//! The numbers on the admin listener, by the names that dashboards rely on.

use std::collections::BTreeMap;

use crate::{
    stores::on_both_stores,
    support::{
        http::{Connection, PINGBACK, STATISTICS, post},
        server::{Server, Setup},
    },
};

on_both_stores!(count_what_happened);

/// Series with its labels, value.
fn series(server: &Server) -> BTreeMap<String, f64> {
    let reply = Connection::open(server.admin).ask(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(reply.status, 200);
    assert!(reply.header("content-type").is_some_and(|kind| kind.starts_with("text/plain")));
    let text = reply.text();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.rsplit_once(' ')).map(|(name, value)| (name.into(), value.parse().unwrap())).collect()
}

fn count_what_happened(setup: &Setup) {
    let server = setup.start();
    let before = series(&server);
    let large = vec![b' '; (1 << 20) + 1];
    for (path, body) in [
        (PINGBACK, &br#"{"version": "0.19.5"}"#[..]),
        (PINGBACK, br#"{"version": "0.7.2"}"#),
        (PINGBACK, br#"{"version": "a sender's \"label\"\n"}"#),
        (PINGBACK, b"[]"),
        (PINGBACK, &large),
        (STATISTICS, b"{}"),
        (STATISTICS, b"hello"),
    ] {
        server.ask(&post(path, body));
    }
    server.ask(b"BREW /coffee HTTP/1.1\r\nHost: a\r\n\r\n");
    let after = series(&server);
    let more =
        |name: &str| after.get(name).copied().unwrap_or_default() - before.get(name).copied().unwrap_or_default();
    let store = if setup.url.starts_with("postgres") { "postgres" } else { "sqlite" };
    for (name, expected) in [
        (r#"nutritionfacts_pingbacks_total{outcome="stored"}"#.to_owned(), 3.0),
        (r#"nutritionfacts_pingbacks_total{outcome="invalid"}"#.to_owned(), 1.0),
        (r#"nutritionfacts_pingbacks_total{outcome="too_large"}"#.to_owned(), 1.0),
        (r#"nutritionfacts_statistics_total{outcome="stored"}"#.to_owned(), 1.0),
        (r#"nutritionfacts_statistics_total{outcome="invalid"}"#.to_owned(), 1.0),
        (r#"nutritionfacts_pingbacks_by_release_total{release="0.19"}"#.to_owned(), 1.0),
        (r#"nutritionfacts_pingbacks_by_release_total{release="0.7"}"#.to_owned(), 1.0),
        (r#"nutritionfacts_pingbacks_by_release_total{release="other"}"#.to_owned(), 1.0),
        (format!(r#"nutritionfacts_store_commit_duration_seconds_count{{store="{store}"}}"#), 4.0),
    ] {
        assert!((more(&name) - expected).abs() < 1e-9, "{name}: {} more\n{after:#?}", more(&name));
    }
    let unmatched = after.iter().filter(|(name, _)| name.contains(r#"method="other""#) && name.contains("unmatched"));
    assert!(unmatched.map(|(_, value)| value).sum::<f64>() >= 1.0, "{after:#?}");
    assert!((after[&format!(r#"nutritionfacts_store_up{{store="{store}"}}"#)] - 1.0).abs() < 1e-9);
    assert!((after["nutritionfacts_ingest_queue_capacity_rows"] - 10_000.0).abs() < 1e-9);
    for name in ["nutritionfacts_ingest_queue_rows", "nutritionfacts_ingest_batch_rows_count", "process_open_fds"] {
        assert!(after.contains_key(name), "{name}");
    }
    assert!(!after.keys().any(|name| name.contains("sender's") || name.contains("BREW") || name.contains("coffee")));
}
