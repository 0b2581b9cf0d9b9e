//! What thousands of idle, slow and dripping clients cost a live one: `cargo bench --bench hostile` prints a table.
//!
//! Measures on loopback, with the load on the same cores: figures to compare, not to test against.

#[path = "../tests/support/mod.rs"]
mod support;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use support::{
    http::{PINGBACK, post},
    server::{Server, Setup},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime::Runtime,
};

const IDLE: usize = 10_000;
const SLOW_HEADERS: usize = 500;
const DRIPPING_BODIES: usize = 500;
const PINGS: usize = 1_000;
const PING: &[u8] = br#"{"instance_id": "a", "version": "0.19.5"}"#;

fn main() {
    rlimit::increase_nofile_limit(u64::MAX).unwrap();
    let server = Setup::sqlite().set("http.max_connections=20000").set("http.idle_timeout=1h").start();
    let runtime = Runtime::new().unwrap();
    // Warm: what a busy hour leaves behind belongs to nobody's connection.
    runtime.block_on(open(server.public, 500));
    measure(&server);

    println!("| clients beside the live one | ping p50 | p99 | max | resident | per idle connection |");
    println!("|---|---|---|---|---|---|");
    let before = report(&server, "none", None);
    let idle = runtime.block_on(open(server.public, IDLE));
    assert_eq!(server.metric("nutritionfacts_http_connections{listener=\"public\"}"), Some(idle.len().to_string()));
    report(&server, &format!("{IDLE} idle"), Some(before));
    let alive = Arc::new(AtomicUsize::new(0));
    for _ in 0..SLOW_HEADERS {
        runtime.spawn(drip(server.public, b"POST /api/v1/pingback HTTP/1.1\r\nX: ", alive.clone()));
    }
    report(&server, &format!("and {SLOW_HEADERS} that drip headers"), None);
    for _ in 0..DRIPPING_BODIES {
        let beginning = b"POST /api/v1/pingback HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n{";
        runtime.spawn(drip(server.public, beginning, alive.clone()));
    }
    report(&server, &format!("and {DRIPPING_BODIES} that drip bodies"), None);
    println!("\n{} slow connections were closed by the server meanwhile and opened again", alive.load(Relaxed));
}

/// Opens connections that make one request each and then rest.
async fn open(address: SocketAddr, count: usize) -> Vec<TcpStream> {
    let mut open = Vec::with_capacity(count);
    for _ in 0..count {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        assert!(stream.read(&mut [0; 512]).await.unwrap() > 0);
        open.push(stream);
    }
    open
}

/// A byte each second; when the server has had enough, the same again. Ends with the process.
async fn drip(address: SocketAddr, beginning: &'static [u8], closed: Arc<AtomicUsize>) {
    loop {
        let Ok(mut stream) = TcpStream::connect(address).await else { continue };
        if stream.write_all(beginning).await.is_ok() {
            while stream.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        closed.fetch_add(1, Relaxed);
    }
}

/// Latencies of a live client's pings, sorted.
fn measure(server: &Server) -> Vec<Duration> {
    let request = post(PINGBACK, PING);
    let mut connection = server.connect();
    let mut latencies: Vec<Duration> = (0..PINGS)
        .map(|_| {
            // Spread over time, so that the slow ones are met in all their phases.
            std::thread::sleep(Duration::from_millis(15));
            let begun = Instant::now();
            assert_eq!(connection.ask(&request).status, 200);
            begun.elapsed()
        })
        .collect();
    latencies.sort();
    latencies
}

#[expect(clippy::cast_precision_loss, reason = "a table for people")]
fn report(server: &Server, what: &str, before: Option<u64>) -> u64 {
    let latencies = measure(server);
    let memory = server.memory().0;
    let each = before.map(|before| format!("{:.1} KB", memory.saturating_sub(before) as f64 / IDLE as f64 / 1000.0));
    println!(
        "| {what} | {:.1?} | {:.1?} | {:.1?} | {:.1} MB | {} |",
        latencies[PINGS / 2],
        latencies[PINGS * 99 / 100],
        latencies[PINGS - 1],
        memory as f64 / 1e6,
        each.unwrap_or_default()
    );
    memory
}
