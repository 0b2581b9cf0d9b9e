//! A store held to about 2,000 pings/s, offered three times as many: `cargo bench --bench overload` prints a table.
//!
//! A trigger holds PostgreSQL back. The load runs on the same cores: figures to compare, not to test against.

#[path = "../tests/support/mod.rs"]
mod support;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use support::{
    http::{PINGBACK, post},
    postgres::Cluster,
    rows::Rows,
    server::{Server, Setup},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime::Runtime,
    task::JoinSet,
    time::{Instant, interval, timeout},
};

/// One row takes half a millisecond, one after the other.
const SLOW: &str = "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN IF random() < 0.1 THEN PERFORM pg_sleep(0.0049); END IF; RETURN NEW; END $$;
    CREATE TRIGGER slow BEFORE INSERT ON pings FOR EACH ROW EXECUTE FUNCTION slow()";
const SECONDS: u64 = 15;
const OFFERED: u64 = 6_000;

/// Status (0: no answer) and time to it.
type Answers = Arc<Mutex<Vec<(u16, Duration)>>>;

fn main() {
    rlimit::increase_nofile_limit(u64::MAX).unwrap();
    let runtime = Runtime::new().unwrap();
    let cluster = Cluster::start();
    let setup = Setup::postgres(&runtime.block_on(cluster.create_database("overload")));
    let server = setup.start();
    runtime.block_on(cluster.execute("overload", SLOW));

    println!("| offered | kept/s | 503/s | unanswered | 200: p50 | p99 | 503: p50 | p99 | resident, highest |");
    println!("|---|---|---|---|---|---|---|---|---|");
    let rows = || Rows::open(&setup.url).count("pingbacks");
    let begun = Instant::now();
    let answers = runtime.block_on(closed(server.public, 256));
    report("as much as it takes (256 senders)", &server, &answers, begun.elapsed());
    let before = rows();
    let begun = Instant::now();
    let answers = runtime.block_on(offered(server.public, OFFERED, SECONDS));
    report(&format!("{} of {OFFERED}/s", answers.len()), &server, &answers, begun.elapsed());
    let kept = answers.iter().filter(|(status, _)| *status == 200).count();
    let begun = Instant::now();
    let answers = runtime.block_on(offered(server.public, 200, 5));
    report("200/s at once afterwards", &server, &answers, begun.elapsed());
    println!("\n{kept} answered 200, {} rows beside those of the last line", rows() - before - 1_000);
}

/// As fast as the answers come.
async fn closed(address: SocketAddr, senders: usize) -> Vec<(u16, Duration)> {
    let end = Instant::now() + Duration::from_secs(SECONDS);
    let mut tasks = JoinSet::new();
    for _ in 0..senders {
        tasks.spawn(async move {
            let mut answers = vec![];
            let mut connection = None;
            while Instant::now() < end {
                answers.push(ask(address, &mut connection).await);
            }
            answers
        });
    }
    tasks.join_all().await.concat()
}

/// So many each second, whatever the answers are.
async fn offered(address: SocketAddr, each_second: u64, seconds: u64) -> Vec<(u16, Duration)> {
    let answers = Answers::default();
    let idle: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
    let mut tasks = JoinSet::new();
    let mut clock = interval(Duration::from_millis(5));
    for _ in 0..seconds * 200 {
        clock.tick().await;
        for _ in 0..each_second / 200 {
            let (answers, idle) = (answers.clone(), idle.clone());
            tasks.spawn(async move {
                let mut connection = idle.lock().unwrap().pop();
                let answer = ask(address, &mut connection).await;
                answers.lock().unwrap().push(answer);
                idle.lock().unwrap().extend(connection);
            });
        }
        while tasks.try_join_next().is_some() {}
    }
    tasks.join_all().await;
    let answers = answers.lock().unwrap();
    answers.clone()
}

async fn ask(address: SocketAddr, connection: &mut Option<TcpStream>) -> (u16, Duration) {
    let begun = Instant::now();
    let body = format!(r#"{{"instance_id": "i{}", "version": "0.19.5"}}"#, fastrand::u32(0..100_000));
    let request = post(PINGBACK, body.as_bytes());
    let exchange = async {
        let mut stream = match connection.take() {
            Some(stream) => stream,
            None => TcpStream::connect(address).await?,
        };
        stream.write_all(&request).await?;
        let mut reply = [0; 1024];
        let read = stream.read(&mut reply).await?;
        *connection = Some(stream);
        let status = reply[..read].get(9..12).and_then(|code| std::str::from_utf8(code).ok()?.parse().ok());
        std::io::Result::Ok(status.unwrap_or(0))
    };
    let status = timeout(Duration::from_mins(1), exchange).await.unwrap_or(Ok(0)).unwrap_or(0);
    (status, begun.elapsed())
}

fn report(what: &str, server: &Server, answers: &[(u16, Duration)], elapsed: Duration) {
    let of = |wanted: u16| {
        let mut found: Vec<Duration> =
            answers.iter().filter(|(status, _)| *status == wanted).map(|(_, time)| *time).collect();
        found.sort();
        found
    };
    let (kept, refused, unanswered) = (of(200), of(503), of(0).len());
    // The answers to what was offered last come later.
    let rate = |found: &[Duration]| found.len() as u128 * 1000 / elapsed.as_millis();
    let at = |found: &[Duration], hundredth: usize| {
        found.get(found.len() * hundredth / 100).map_or("–".into(), |time| format!("{time:.1?}"))
    };
    let (_, highest) = server.memory();
    println!(
        "| {what} | {} | {} | {unanswered} | {} | {} | {} | {} | {} MB |",
        rate(&kept),
        rate(&refused),
        at(&kept, 50),
        at(&kept, 99),
        at(&refused, 50),
        at(&refused, 99),
        highest / 1_000_000
    );
}
