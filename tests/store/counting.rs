//! Each ping is counted in `instances` once, whatever is cut off and whoever else is at it.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};

use nutritionfacts::{
    domain::pingback::PingbackRow,
    store::{Store, Write},
};

use crate::{
    contract::{on_both_stores, ready},
    rows::{Bench, by_url, ping, until},
    support::rows::INSTANCE,
};

on_both_stores!(cut_off_anywhere, cut_off_anywhere_by_sql);

/// What the pings come to, as one query.
async fn expected(bench: &Bench) -> Vec<String> {
    let texts = INSTANCE[4..].join(" DESC, ");
    let sql = format!(
        "(SELECT *, min(received_at) OVER own AS first_seen, received_at AS last_seen, count(*) OVER own AS pings,
            row_number() OVER (PARTITION BY instance_id ORDER BY received_at DESC, {texts} DESC) AS place
        FROM pingbacks WHERE instance_id <> '' WINDOW own AS (PARTITION BY instance_id)) AS t WHERE place = 1"
    );
    bench.table(&sql, INSTANCE, "instance_id").await
}

/// Counts what is left, and compares.
async fn assert_counted_once(bench: &Bench, case: &str) {
    // A transaction that was cut off holds its batches until the server notices.
    until("all is counted", async || {
        bench.store.count_left(None).await.unwrap();
        bench.store.count_own().await.unwrap();
        bench.count("uncounted").await == 0
    })
    .await;
    let found = bench.table("instances", INSTANCE, "instance_id").await;
    assert!(found == expected(bench).await, "{case}");
}

/// Some hundred installations, more than one slice of SQLite, some twice.
async fn write(bench: &Bench, round: i64) {
    for batch in 0..3_i64 {
        let row = |number| {
            let instance = if number % 50 == 0 { String::new() } else { format!("i{}", (number * 7) % 450) };
            ping(&instance, round * 100 + (number * batch) % 90)
        };
        let rows: Vec<PingbackRow> = (0..250).map(row).collect();
        bench.store.write_pingbacks(&rows, Write::New).await.unwrap();
    }
}

/// Polls so often at most; whether it came to its end.
async fn polled(times: u32, future: impl Future) -> bool {
    let (mut future, mut left) = (pin!(future), times);
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(false);
        }
        left -= 1;
        future.as_mut().poll(context).map(|_| true)
    })
    .await
}

/// A stroke is dropped at one of its awaits after the other, as by a crash; then another process begins.
async fn cut_off_anywhere(mut bench: Bench) {
    ready(&bench).await;
    for times in 0.. {
        write(&bench, i64::from(times)).await;
        let ended = polled(times, bench.store.count_own()).await;
        bench.reopen().await;
        assert_counted_once(&bench, &format!("{times} polls")).await;
        if ended {
            assert!(times > 0, "it was never cut off");
            break;
        }
    }
}

async fn cut_off_anywhere_by_sql(mut bench: Bench) {
    ready(&bench).await;
    for times in 0.. {
        write(&bench, i64::from(times)).await;
        bench.reopen().await;
        let ended = polled(times, bench.store.count_left(None)).await;
        bench.reopen().await;
        assert_counted_once(&bench, &format!("{times} polls")).await;
        if ended {
            assert!(times > 0, "it was never cut off");
            break;
        }
    }
}

async fn stores(bench: &Bench, count: usize) -> Vec<Store> {
    let mut stores = vec![];
    for _ in 0..count {
        stores.push(Store::open(&by_url(&bench.url)).await.unwrap());
    }
    stores
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_is_counted_once_by_many() {
    let mut bench = Bench::postgres().await;
    ready(&bench).await;
    for round in 0..20 {
        write(&bench, round).await;
    }
    bench.reopen().await;
    let tasks: Vec<_> = stores(&bench, 4)
        .await
        .into_iter()
        .map(|store| tokio::spawn(async move { store.count_left(None).await }))
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_counted_once(&bench, "four at once").await;
}

/// Over the same installations: they wait for each other, and never in a circle.
#[tokio::test(flavor = "multi_thread")]
async fn strokes_of_many_servers_at_once() {
    let bench = Bench::postgres().await;
    ready(&bench).await;
    for round in 0..10 {
        let tasks: Vec<_> = stores(&bench, 4)
            .await
            .into_iter()
            .map(|store| {
                let one = Bench { store, url: bench.url.clone(), folder: None };
                tokio::spawn(async move {
                    write(&one, round).await;
                    one.store.count_own().await
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
    }
    assert_eq!(bench.count("uncounted").await, 0);
    assert_counted_once(&bench, "four at once").await;
}

/// As after a commit whose answer was lost: the batches are gone, all or some.
#[tokio::test]
async fn a_stroke_whose_batches_are_gone() {
    let bench = Bench::postgres().await;
    ready(&bench).await;
    let other = Store::open(&by_url(&bench.url)).await.unwrap();
    for more in [false, true] {
        write(&bench, 1).await;
        other.count_left(None).await.unwrap();
        if more {
            write(&bench, 2).await;
        }
        bench.store.count_own().await.unwrap();
        assert_eq!(bench.count("uncounted").await, 0);
        assert_counted_once(&bench, &format!("and more: {more}")).await;
    }
}

/// Only what is old is taken from others.
#[tokio::test]
async fn what_is_young_is_left_to_its_process() {
    let bench = Bench::postgres().await;
    ready(&bench).await;
    let row = ping("i", 60);
    bench.store.write_pingbacks(&[&row], Write::New).await.unwrap();
    bench.store.count_left(Some(ping("i", 59).received_at)).await.unwrap();
    assert_eq!(bench.count("instances").await, 0);
    bench.store.count_left(Some(ping("i", 61).received_at)).await.unwrap();
    assert_eq!(bench.count("instances").await, 1);
    assert_counted_once(&bench, "afterwards").await;
}

/// VACUUM may number rows anew.
#[tokio::test]
async fn a_vacuum_before_the_count() {
    let mut bench = Bench::sqlite().await;
    ready(&bench).await;
    write(&bench, 0).await;
    bench.execute("DELETE FROM pingbacks WHERE instance_id < 'i2'").await;
    bench.execute("VACUUM").await;
    bench.store.count_own().await.unwrap();
    assert_counted_once(&bench, "a stroke").await;
    write(&bench, 1).await;
    bench.execute("VACUUM").await;
    bench.reopen().await;
    assert_counted_once(&bench, "by SQL").await;
}
