//! What idle, slow and hostile clients cost a live one: `cargo bench --bench hostile` prints two tables.
//!
//! Measures on loopback, with the load on the same cores: figures to compare, not to test against.

#[path = "../tests/support/mod.rs"]
mod support;

use std::{
    io::Write,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use flate2::{Compression, write::ZlibEncoder};
use support::{
    http::{PINGBACK, STATISTICS, post},
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
        let beginning = b"POST /api/v1/pingback HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n{";
        runtime.spawn(drip(server.public, beginning, alive.clone()));
    }
    report(&server, &format!("and {DRIPPING_BODIES} that drip bodies"), None);
    println!("\n{} slow connections were closed by the server meanwhile and opened again\n", alive.load(Relaxed));
    drop(runtime);

    println!("| one network beside the live client | ping p50 | p99 | max | resident | |");
    println!("|---|---|---|---|---|---|");
    for (what, attack) in [
        ("300 bodies that lack their last byte, again and again", unfinished_bodies as fn(SocketAddr, &Runtime)),
        ("8 senders of 182 bytes that unpack to 50,000 entries", packed_entries),
        ("1 sender of reports of 10,000 channels", large_reports),
        ("2,000 connections of HTTP/2 that ignore a good-bye; the cap is 1,000", deaf_connections),
    ] {
        let setup = Setup::sqlite().set("http.max_connections=1000");
        let server = setup.start();
        let runtime = Runtime::new().unwrap();
        measure(&server);
        attack(server.public, &runtime);
        report(&server, what, None);
        runtime.shutdown_timeout(Duration::from_secs(1));
    }
}

/// A body of the largest size without its end, held until the server has had enough; then the same again.
fn unfinished_bodies(address: SocketAddr, runtime: &Runtime) {
    let body = [&b"{\"x\": \""[..], &vec![b'x'; 64 * 1024 - 9], b"\"}"].concat();
    let request = Arc::new(post(PINGBACK, &body));
    for _ in 0..300 {
        let request = request.clone();
        runtime.spawn(async move {
            loop {
                let Ok(mut stream) = TcpStream::connect(address).await else { continue };
                if stream.write_all(&request[..request.len() - 1]).await.is_ok() {
                    let _ = stream.read(&mut [0; 512]).await;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
    }
}

/// As fast as they are answered.
fn repeat(address: SocketAddr, runtime: &Runtime, senders: usize, request: Vec<u8>) {
    let request = Arc::new(request);
    for _ in 0..senders {
        let request = request.clone();
        runtime.spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            while stream.write_all(&request).await.is_ok()
                && stream.read(&mut [0; 512]).await.is_ok_and(|read| read > 0)
            {}
        });
    }
}

fn packed_entries(address: SocketAddr, runtime: &Runtime) {
    let body = format!("{{\"c\":[{}{{}}]}}", "{},".repeat(50_000));
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::best());
    packed.write_all(body.as_bytes()).unwrap();
    repeat(address, runtime, 8, post(STATISTICS, &packed.finish().unwrap()));
}

fn large_reports(address: SocketAddr, runtime: &Runtime) {
    let channel = |number: usize| {
        format!("{{\"ci\": \"{number:010}\", \"v\": {number}, \"sk\": {{\"video\": {number}}}, \"uwl\": 9}}")
    };
    let channels: Vec<_> = (0..10_000).map(channel).collect();
    repeat(address, runtime, 1, post(STATISTICS, format!("{{\"c\":[{}]}}", channels.join(",")).as_bytes()));
}

/// The preface and empty SETTINGS; what the server says is never answered.
fn deaf_connections(address: SocketAddr, runtime: &Runtime) {
    let open = async {
        let mut kept = Vec::new();
        for _ in 0..2_000 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            if stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.is_ok() {
                kept.push(stream);
            }
        }
        kept
    };
    let kept = runtime.block_on(open);
    runtime.spawn(async move {
        std::future::pending::<()>().await;
        drop(kept);
    });
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
