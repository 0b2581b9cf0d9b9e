//! Situations that take too long for a test: a real server's metrics in which some are replaced.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener},
    thread,
};

use crate::support::{
    http::Connection,
    prometheus::{Job, now},
};

/// A server's metrics, and their replacements.
type Change = fn(&str) -> String;

/// Replacements by job: a second build would have to be compiled, partitions are missing after months of failures, a digest
/// is behind and counts fail after some minutes of failures, and all clocks are those of this machine.
pub const CHANGES: [(&str, Change); 5] = [
    ("another-build", |line| line.replacen("version=\"", "version=\"9.", 1)),
    ("months-missing", |line| valued(line, "nutritionfacts_store_months_ahead", "1")),
    ("digest-behind", |line| valued(line, "nutritionfacts_digest_oldest_age_seconds", "1200")),
    ("counts-failing", |line| {
        // One more each second.
        let series = "nutritionfacts_periods_counted_total{grain=\"day\",result=\"failed\"}";
        valued(line, series, &now().to_string())
    }),
    ("clock-differs", |line| valued(line, "nutritionfacts_store_clock_ahead_seconds", "-300")),
];

fn valued(line: &str, series: &str, value: &str) -> String {
    match line.rsplit_once(' ') {
        Some((name, _)) if line.starts_with(series) => format!("{name} {value}"),
        _ => line.to_owned(),
    }
}

/// It is down when the server is.
pub fn job((name, change): (&str, Change), server: SocketAddr) -> Job {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            let mut request = BufReader::new(client.try_clone().unwrap()).lines();
            while request.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            let Ok(mut server) = Connection::try_open(server) else { continue };
            if server.send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").is_err() {
                continue;
            }
            let Ok(reply) = server.read(true) else { continue };
            let lines: Vec<_> = reply.text().lines().map(change).collect();
            let body = lines.join("\n") + "\n";
            // Prometheus may have given up.
            let _ = write!(
                client,
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    Job { name: name.to_owned(), targets: vec![address], labels: serde_json::json!({}) }
}
