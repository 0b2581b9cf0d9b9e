//! Traces, as received by a real collector.

use std::{fs, net::TcpListener};

use serde_json::json;

use crate::{
    collector::{Collector, attributes, hex},
    stores::on_both_stores,
    support::{
        eventually,
        http::{PINGBACK, STATISTICS, post},
        server::{Server, Setup},
    },
};

on_both_stores!(one_ping_creates_one_trace);

const PARENT: &str = "b7ad6b7169203331";

fn trace(number: u128) -> String {
    format!("{number:032x}")
}

/// Sends a report with an additional header line; returns its status.
fn send(server: &Server, path: &str, body: &[u8], line: &str) -> u16 {
    let request = String::from_utf8(post(path, body)).unwrap();
    server.ask(request.replacen("\r\n", &format!("\r\n{line}\r\n"), 1).as_bytes()).status
}

fn ping(server: &Server, trace: &str) {
    let line = format!("traceparent: 00-{trace}-{PARENT}-01");
    assert_eq!(send(server, PINGBACK, br#"{"instance_id": "a", "version": "0.19.5"}"#, &line), 200);
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn one_ping_creates_one_trace(setup: &Setup) {
    let collector = Collector::start();
    let server = setup.clone().set(&collector.setting()).set("http.trusted_proxies=[127.0.0.0/8]").start();
    let body = json!({"instance_id": "planted", "node_id": "planted", "version": "0.19.5", "planted": "planted"});
    for (number, path, body) in [(1, PINGBACK, body.to_string().as_bytes()), (2, STATISTICS, b"{}")] {
        let line = format!(
            "traceparent: 00-{}-{PARENT}-01\r\ntracestate: planted=planted\r\nbaggage: planted=planted\r\n\
             x-request-id: planted\r\nX-Forwarded-For: 203.0.113.99\r\nX-Planted: planted",
            trace(number)
        );
        assert_eq!(send(&server, &format!("{path}?planted=planted"), body, &line), 200);
        let [request, queue, commit] = collector.trace(&trace(number));
        let name = format!("POST {path}");
        assert_eq!([&request.name, &queue.name, &commit.name], [&name, "queue wait", "commit"]);
        assert_eq!(hex(&request.parent_span_id), PARENT);
        assert_eq!([&queue.parent_span_id, &commit.parent_span_id], [&request.span_id; 2]);
        assert!(queue.end_time_unix_nano <= commit.start_time_unix_nano);
        assert!(commit.end_time_unix_nano <= request.end_time_unix_nano);
        let expected = [
            ("http.request.method", "POST"),
            ("http.response.status_code", "200"),
            ("http.route", path),
            ("url.scheme", "http"),
        ];
        assert_eq!(attributes(&request), pairs(&expected));
        assert_eq!(attributes(&queue), []);
        let system = if setup.url.starts_with("postgres") { "postgresql" } else { "sqlite" };
        let expected =
            [("db.system.name", system), ("nutritionfacts.batch.rows", "1"), ("nutritionfacts.outcome", "stored")];
        assert_eq!(attributes(&commit), pairs(&expected));
    }
    // Arbitrary text from clients as method, path and host.
    server.ask(b"PLANTED /planted HTTP/1.1\r\nHost: planted\r\ntraceparent: planted\r\n\r\n");
    eventually("the stranger's trace arrives", || collector.text().contains("_OTHER").then_some(()));
    let text = collector.text();
    for hidden in ["planted", "PLANTED", "203.0.113", "127.0.0.1", "livez", "readyz"] {
        assert!(!text.contains(hidden), "{hidden} in {text}");
    }
    let resource = collector.resource();
    for expected in pairs(&[("service.name", "nutritionfacts"), ("service.version", env!("CARGO_PKG_VERSION"))]) {
        assert!(resource.contains(&expected), "{resource:?}");
    }
    server.assert_well();
}

#[test]
fn the_sample_ratio_is_live_and_zero_sends_nothing() {
    let collector = Collector::start();
    let setup = Setup::sqlite();
    let file = setup.folder().join("config.yaml");
    let write = |ratio: &str| fs::write(&file, format!("telemetry: {{tracing: {{sample_ratio: {ratio}}}}}\n")).unwrap();
    write("0");
    let server = setup.set(&collector.setting()).config(&file).start();
    let reloaded = |times: &str| {
        let series = r#"nutritionfacts_config_reloads_total{result="applied",source="file"}"#;
        eventually("the ratio is applied", || (server.metric(series)? == times).then_some(()));
    };
    ping(&server, &trace(1));
    write("1");
    reloaded("1");
    ping(&server, &trace(2));
    write("0.0");
    reloaded("2");
    ping(&server, &trace(3));
    write("0.5");
    reloaded("3");
    ping(&server, &trace(4));
    // Spans arrive in the order of their ends: what has not arrived before the last one never will.
    collector.trace(&trace(4));
    assert_eq!([1, 2, 3].map(|number| collector.spans(&trace(number)).len()), [0, 3, 0]);
    server.assert_well();
}

#[test]
fn the_last_spans_are_sent_at_shutdown() {
    let collector = Collector::start();
    let server = Setup::sqlite().set(&collector.setting()).start();
    ping(&server, &trace(1));
    assert_eq!(server.stop().code(), Some(0));
    assert_eq!(collector.spans(&trace(1)).len(), 3, "the process has ended, so all has been sent");
}

#[test]
fn an_unreachable_collector_does_not_delay_pings() {
    // One refuses connections, the other accepts them and never responds.
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for address in [gone, mute.local_addr().unwrap()] {
        let setup = Setup::sqlite().set(&format!("telemetry.tracing.endpoint=http://{address}"));
        let server = setup.set("shutdown.grace=5s").start();
        for number in 1..200 {
            ping(&server, &trace(number));
        }
        let problem = "cannot deliver traces";
        eventually("the problem is logged", || server.log.text().contains(problem).then_some(()));
        ping(&server, &trace(200));
        server.assert_well();
        let log = server.log.clone();
        assert_eq!(server.stop().code(), Some(0));
        assert_eq!(log.text().matches(problem).count(), 1, "{}", log.text());
    }
}

#[test]
fn a_collector_that_comes_back_gets_the_traces() {
    let collector = Collector::start();
    let address = collector.address;
    let server = Setup::sqlite().set(&collector.setting()).start();
    ping(&server, &trace(1));
    collector.trace(&trace(1));
    drop(collector);
    let mut number = 1;
    eventually("the loss is logged", || {
        number += 1;
        ping(&server, &trace(number));
        server.log.text().contains("cannot deliver traces").then_some(())
    });
    let collector = Collector::start_at(address);
    eventually("a trace arrives", || {
        number += 1;
        ping(&server, &trace(number));
        (!collector.spans(&trace(number - 1)).is_empty()).then_some(())
    });
    eventually("the return is logged", || server.log.text().contains("traces are delivered again").then_some(()));
    server.assert_well();
}

#[test]
fn log_lines_name_the_request_and_its_trace() {
    let collector = Collector::start();
    let server = Setup::sqlite().set(&collector.setting()).set("telemetry.log.filter=nutritionfacts=debug").start();
    let line = format!("x-request-id: 5f3a-00C\r\ntraceparent: 00-{}-{PARENT}-01", trace(7));
    let request = String::from_utf8(post(PINGBACK, b"[]")).unwrap();
    let reply = server.ask(request.replacen("\r\n", &format!("\r\n{line}\r\n"), 1).as_bytes());
    assert_eq!((reply.status, reply.header("x-request-id")), (400, Some("5f3a-00C")));
    // Before the server has started, probes are refused too.
    let refused = |message: &str| {
        let events = server.log.events().into_iter();
        events.filter(|event| event["message"] == message && event["route"] == PINGBACK).collect::<Vec<_>>()
    };
    for message in ["report refused", "refused"] {
        let event = eventually("the line is written", || refused(message).into_iter().next());
        assert_eq!((&event["request"], &event["trace"]), (&json!("5f3a-00C"), &json!(trace(7))), "{event}");
    }
    // The span was named before the reply, but still has the status of the reply.
    let spans = eventually("the span arrives", || Some(collector.spans(&trace(7))).filter(|spans| !spans.is_empty()));
    assert_eq!(spans.len(), 1);
    assert!(attributes(&spans[0]).contains(&("http.response.status_code".into(), "400".into())), "{spans:?}");
    // Untrusted text is not logged, and headers are returned only on request.
    let reply = server.ask(request.replacen("\r\n", "\r\nx-request-id: a stranger's\r\n", 1).as_bytes());
    assert_eq!(reply.header("x-request-id"), None);
    assert_eq!(server.ask(request.as_bytes()).header("x-request-id"), None);
    let made = eventually("both are logged", || {
        let lines = refused("refused");
        (lines.len() == 3).then(|| lines[1..].to_vec())
    });
    assert!(made.iter().all(|event| event["request"].as_str().is_some_and(|id| id.len() == 16)), "{made:?}");
    assert_ne!(made[0]["request"], made[1]["request"]);
    assert!(!server.log.text().contains("stranger"));
}

#[test]
fn equal_refusals_are_logged_once() {
    let server = Setup::sqlite().start();
    let mut connection = server.connect();
    for _ in 0..500 {
        assert_eq!(connection.ask(&post(PINGBACK, b"[]")).status, 400);
        assert_eq!(connection.ask(&post(STATISTICS, b"hello")).status, 400);
    }
    let log = server.log.clone();
    assert_eq!(server.stop().code(), Some(0));
    let lines = log.events().into_iter().filter(|event| event["message"] == "report refused");
    assert_eq!(lines.count(), 1, "{}", log.text());
}
