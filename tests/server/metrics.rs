//! Metrics on the admin listener, by the names that dashboards use.

use std::{
    collections::BTreeMap,
    io::Write,
    process::{Command, Stdio},
};

use nutritionfacts::telemetry::metrics::Metrics;
use serde_json::json;

use crate::{
    stores::on_both_stores,
    support::{
        eventually,
        http::{Connection, PINGBACK, STATISTICS, post},
        server::{Server, Setup},
    },
};

on_both_stores!(
    metrics_count_each_outcome,
    metrics_comply_with_the_rules_of_prometheus,
    labels_have_no_values_from_clients
);

/// Series with labels, and value.
fn series(server: &Server) -> BTreeMap<String, f64> {
    let reply = Connection::open(server.admin).ask(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(reply.status, 200);
    assert!(reply.header("content-type").is_some_and(|kind| kind.starts_with("text/plain")));
    let text = reply.text();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.rsplit_once(' ')).map(|(name, value)| (name.into(), value.parse().unwrap())).collect()
}

fn metrics_count_each_outcome(setup: &Setup) {
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

/// Requests of all kinds, including invalid ones.
fn mixed_traffic(server: &Server) {
    for path in [PINGBACK, STATISTICS] {
        for body in [&b"{}"[..], br#"{"version": "0.19.5"}"#, b"[]", b"hello", &vec![b' '; (1 << 20) + 1]] {
            server.ask(&post(path, body));
        }
    }
    let versions = ["planted", "0.planted", "0.99999.1", "0.16.0-planted", "0.19.5\"} 1", "\n# planted"];
    for version in versions {
        let ping = json!({"version": version, "instance_id": "planted", "mode": "planted", "planted": "planted"});
        server.ask(&post(PINGBACK, ping.to_string().as_bytes()));
    }
    for line in ["PLANTED / HTTP/1.1", "GET /planted HTTP/1.1", "GET /?planted HTTP/1.1", "DELETE /livez HTTP/1.1"] {
        let request = format!("{line}\r\nHost: planted\r\nUser-Agent: planted\r\nX-Request-Id: planted\r\n\r\n");
        server.ask(request.as_bytes());
        Connection::open(server.admin).ask(request.as_bytes());
    }
    server.ask(format!("GET /{} HTTP/1.1\r\nHost: planted\r\n\r\n", "planted".repeat(2000)).as_bytes());
}

fn metrics_comply_with_the_rules_of_prometheus(setup: &Setup) {
    // Without a cluster this fails, but the metric exists.
    let server = setup.clone().kubeconfig("/nowhere").start();
    mixed_traffic(&server);
    eventually("the connections are counted", || server.metric(r#"nutritionfacts_store_connections{state="idle"}"#));
    // Only PostgreSQL has months, only SQLite a volume.
    let of_the_other: &[&str] = if setup.url.starts_with("postgres") {
        &["nutritionfacts_store_volume_free_bytes", "nutritionfacts_store_volume_size_bytes"]
    } else {
        &["nutritionfacts_store_months_ahead"]
    };
    // Some series exist only after maintenance has run and pings were digested.
    for (name, kind, ..) in Metrics::ALL.iter().filter(|(name, ..)| !of_the_other.contains(name)) {
        let line = format!("# TYPE {name} {kind}\n");
        eventually(&format!("{name} is documented, and there"), || server.admin_text("/metrics").find(&line));
    }
    let text = server.admin_text("/metrics");
    assert!(of_the_other.iter().all(|name| !text.contains(name)), "{text}");
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut promtool = promtool.spawn().expect("promtool, of Debian's package `prometheus`, is installed");
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && said.is_empty(), "{}\n{text}", String::from_utf8_lossy(&said));
}

fn labels_have_no_values_from_clients(setup: &Setup) {
    let server = setup.start();
    mixed_traffic(&server);
    let text = server.admin_text("/metrics");
    assert!(!text.to_lowercase().contains("planted"), "{text}");
    let labels = |name: &str| {
        let values = text.split('\n').filter_map(|line| line.split_once(&format!("{name}=\"")).map(|(_, rest)| rest));
        values.map(|rest| rest.split('"').next().unwrap()).collect::<std::collections::BTreeSet<_>>()
    };
    for (name, known) in [
        ("method", &["DELETE", "GET", "POST", "other"][..]),
        ("release", &["0.19", "0.16", "other"]),
        ("listener", &["admin", "public"]),
        ("kind", &["error_report", "other", "scan"]),
        ("route", &["/", "/api/v1/pingback", "/api/v1/statistics", "/livez", "/metrics", "/readyz", "unmatched"]),
        ("outcome", &["stored", "set_aside", "expired", "limited", "invalid", "too_large", "unavailable"]),
    ] {
        let found = labels(name);
        assert!(!found.is_empty() && found.iter().all(|label| known.contains(label)), "{name}: {found:?}");
    }
    assert!(labels("status").iter().all(|status| status.parse::<u16>().is_ok()));
}
