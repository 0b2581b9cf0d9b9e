//! Each row is digested once, and what follows is what a plain reading of all rows says, whatever the order, whatever is cut off and
//! whoever else is at it.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
    time::Duration,
};

use nutritionfacts::{
    domain::statistics::FacilityRow,
    store::{Store, Whose, Write},
};
use uuid::Uuid;

use crate::{
    contract::{on_all_stores, ready},
    rows::{Bench, Sighting, by_url, digest, now, ping, ping_at, report, report_at, until, write, write_reports},
    support::rows::INSTANCE,
};

on_all_stores!(
    in_any_order,
    others_that_are_not_digested_yet,
    a_batch_that_is_not_wholly_there,
    one_batch_that_cannot_be_digested,
    facilities_and_channels,
    reports_with_many_entries,
);
mod with_one_key {
    use super::cut_off_anywhere;
    use crate::contract::on_both_stores;

    on_both_stores!(cut_off_anywhere);
}

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// What a plain reading of the rows says, but for rows of these ids; what the derived tables say.
async fn compare(bench: &Bench, but: &[Uuid], case: &str) {
    let is_sqlite = bench.store.kind() == "sqlite";
    let but: Vec<_> = but.iter().map(|id| format!("'{id}'")).collect();
    let but = if but.is_empty() { "true".into() } else { format!("id NOT IN ({})", but.join(", ")) };
    let own = format!(
        "SELECT *, lag(kolibri_version) OVER own AS from_version, lag(received_at) OVER own AS from_at,
            min(received_at) OVER (PARTITION BY instance_id) AS first_seen, received_at AS last_seen,
            count(*) OVER (PARTITION BY instance_id) AS pings, lead(id) OVER own IS NULL AS is_last
        FROM pingbacks WHERE instance_id <> '' AND {but}
        WINDOW own AS (PARTITION BY instance_id ORDER BY received_at, id)"
    );
    let expected = bench.table(&format!("({own}) AS own WHERE is_last"), INSTANCE, "instance_id").await;
    assert_eq!(bench.table("instances", INSTANCE, "instance_id").await, expected, "{case}: instances");

    let columns = ["instance_id", "id", "from_version", "kolibri_version"];
    let expected = bench.table(&format!("({own}) AS own WHERE from_version <> kolibri_version"), &columns, "id").await;
    let columns = ["instance_id", "id", "from_version", "to_version"];
    assert_eq!(bench.table("version_changes", &columns, "id").await, expected, "{case}: version changes");

    let hours = if is_sqlite {
        "(unixepoch(received_at) - unixepoch(from_at)) / 3600"
    } else {
        "floor(extract(epoch FROM received_at - from_at) / 3600)"
    };
    let day = if is_sqlite { "substr(received_at, 1, 10)" } else { "(received_at AT TIME ZONE 'UTC')::date" };
    let gaps = format!(
        "(SELECT day, hours, count(*) AS gaps FROM (
            SELECT {day} AS day, CASE WHEN {hours} >= 2160 THEN 2160 WHEN {hours} >= 720 THEN 720 WHEN {hours} >= 168 THEN 168
                WHEN {hours} >= 36 THEN 36 WHEN {hours} >= 12 THEN 12 WHEN {hours} >= 1 THEN 1 ELSE 0 END AS hours
            FROM ({own}) AS own WHERE from_at IS NOT NULL
        ) AS gaps GROUP BY 1, 2) AS gaps"
    );
    let expected = bench.table(&gaps, &["day", "hours", "gaps"], "day, hours").await;
    let found = bench.table("ping_gaps", &["day", "at_least_hours", "gaps"], "day, at_least_hours").await;
    assert_eq!(found, expected, "{case}: gaps");
}

/// Of a few installations: within seconds and of one moment, over days, and over months.
fn some_pings(count: usize) -> Vec<Sighting> {
    (0..count)
        .map(|_| {
            let seconds = match fastrand::u8(..4) {
                0 => fastrand::i64(0..10),
                1 => fastrand::i64(0..20) * DAY,
                _ => fastrand::i64(0..300) * DAY + fastrand::i64(0..DAY),
            };
            let instance = ["", "a", "b", "c"][fastrand::usize(..4)];
            let country = ["KE", "TZ", ""][fastrand::usize(..3)];
            let row = ping(instance, seconds).with(|ping| ping.country = country.into());
            row.saying(|profile| profile.kolibri_version = format!("0.{}.0", fastrand::u8(15..18)))
        })
        .collect()
}

async fn in_any_order(mut bench: Bench) {
    ready(&bench).await;
    for round in 0..8 {
        let seed = fastrand::u64(..);
        fastrand::seed(seed);
        let mut rows = some_pings(40);
        fastrand::shuffle(&mut rows);
        let mut rest = &rows[..];
        while !rest.is_empty() {
            let (batch, after) = rest.split_at(fastrand::usize(1..=rest.len().min(6)));
            let way = if fastrand::bool() { Write::New } else { Write::Replay };
            write(&bench.store, batch, way).await.unwrap();
            match fastrand::u8(..4) {
                0 => digest(&bench.store).await,
                1 => while bench.store.digest(Whose::Own).await.unwrap().batches > 0 {},
                2 => bench.reopen().await,
                _ => {}
            }
            rest = after;
        }
        write(&bench.store, &rows, Write::Replay).await.unwrap();
        digest(&bench.store).await;
        compare(&bench, &[], &format!("round {round}, seed {seed}")).await;
    }
}

/// A row of the outbox that names one more row, which is not there.
async fn hide(bench: &Bench, batches: &str) {
    let hide = if bench.store.kind() == "sqlite" {
        format!("UPDATE outbox SET ids = CAST(ids || x'01900000000070008000000000000000' AS BLOB) WHERE {batches}")
    } else {
        format!("UPDATE outbox SET ids = ids || '01900000-0000-7000-8000-000000000000'::uuid WHERE {batches}")
    };
    bench.execute(&hide).await;
}

async fn show(bench: &Bench) {
    let show = if bench.store.kind() == "sqlite" {
        "UPDATE outbox SET ids = substr(ids, 1, length(ids) - 16)"
    } else {
        "UPDATE outbox SET ids = ids[1:array_length(ids, 1) - 1]"
    };
    bench.execute(show).await;
}

/// A late ping between others of which some are not digested: only those that are digested are its neighbours.
async fn others_that_are_not_digested_yet(mut bench: Bench) {
    ready(&bench).await;
    let at =
        |seconds: i64, version: &str| ping("i", seconds).saying(|profile| profile.kolibri_version = version.into());
    let digested = [at(0, "0.15.0"), at(100 * DAY, "0.16.0")];
    let undigested = [at(40 * DAY, "0.17.0"), at(60 * DAY, "0.17.0"), at(70 * DAY, "0.15.0")];
    write(&bench.store, &digested, Write::New).await.unwrap();
    digest(&bench.store).await;
    write(&bench.store, &undigested, Write::New).await.unwrap();
    hide(&bench, "true").await;
    // Another process, that remembers nothing.
    bench.reopen().await;
    write(&bench.store, &[at(50 * DAY, "0.15.0"), at(50 * DAY, "0.16.0")], Write::New).await.unwrap();
    digest(&bench.store).await;
    compare(&bench, &undigested.each_ref().map(|row| row.ping.id), "without the undigested").await;
    show(&bench).await;
    bench.reopen().await;
    digest(&bench.store).await;
    compare(&bench, &[], "with all").await;
}

async fn a_batch_that_is_not_wholly_there(mut bench: Bench) {
    ready(&bench).await;
    write(&bench.store, &[ping("early", 0)], Write::New).await.unwrap();
    hide(&bench, "true").await;
    let mut early = report("", 2);
    early.facilities[0].usage.anonymous_minutes = 7;
    write_reports(&bench.store, &[&early], Write::New).await.unwrap();
    hide(&bench, "kind = 'statistics'").await;
    bench.reopen().await;
    write(&bench.store, &[ping("late", 1)], Write::New).await.unwrap();
    // Its own first, then all.
    let own = bench.store.digest(Whose::Own).await.unwrap();
    let all = bench.store.digest(Whose::OTHERS).await.unwrap();
    assert_eq!((own.batches, all.batches, all.waiting), (1, 0, 2));
    assert_eq!(bench.texts("SELECT instance_id FROM instances").await, ["late"]);
    let (batches, age) = bench.store.outbox().await.unwrap();
    assert!(batches == 2 && age < Duration::from_mins(1), "{age:?}");
    show(&bench).await;
    // It is not asked about all the time; another process asks at once.
    assert_eq!(bench.store.digest(Whose::OTHERS).await.unwrap().batches, 0);
    bench.reopen().await;
    digest(&bench.store).await;
    assert_eq!(
        (bench.count("instances").await, bench.count("facilities").await, bench.count("outbox").await),
        (2, 1, 0)
    );
    compare(&bench, &[], "at last").await;
}

async fn one_batch_that_cannot_be_digested(mut bench: Bench) {
    ready(&bench).await;
    let is_sqlite = bench.store.kind() == "sqlite";
    bench
        .execute(if is_sqlite {
            "CREATE TRIGGER poison BEFORE INSERT ON installations WHEN new.instance_id = 'bad' BEGIN SELECT RAISE(ABORT, 'secret'); END"
        } else {
            "ALTER TABLE installations ADD CONSTRAINT poison CHECK (instance_id <> 'bad')"
        })
        .await;
    for instance in ["first", "bad", "last"] {
        write(&bench.store, &[ping(instance, 0)], Write::New).await.unwrap();
    }
    let mut refused = 0;
    for whose in [Whose::Own, Whose::OTHERS].into_iter().chain([Whose::OTHERS; 6]) {
        refused += usize::from(bench.store.digest(whose).await.unwrap().refused.is_some());
    }
    assert_eq!(refused, 1, "alone, once it was not digested with the others; then it waits");
    assert_eq!(bench.texts("SELECT instance_id FROM instances ORDER BY 1").await, ["first", "last"]);
    bench
        .execute(if is_sqlite { "DROP TRIGGER poison" } else { "ALTER TABLE installations DROP CONSTRAINT poison" })
        .await;
    bench.reopen().await;
    digest(&bench.store).await;
    compare(&bench, &[], "afterwards").await;
}

/// However many entries the reports have, and whatever else is between them.
async fn reports_with_many_entries(bench: Bench) {
    ready(&bench).await;
    let sender = ping("i", 0);
    write(&bench.store, &[&sender], Write::New).await.unwrap();
    let reports: Vec<_> = [(2_500, 0), (1_000, 0), (3, 0), (1_200, 1)]
        .into_iter()
        .map(|(entries, minute)| {
            let received_at = now() + chrono::TimeDelta::hours(minute);
            let mut report = report_at(&sender.ping.id.to_string(), entries, received_at);
            for (position, channel) in (0..).zip(&mut report.channels) {
                channel.channel_id = format!("{entries} {position}");
                channel.usage.anonymous_minutes = 0;
            }
            let mut facility = report.facilities[0].clone();
            facility.usage.anonymous_minutes = 0;
            report.facilities = (0..entries)
                .map(|position| {
                    let facility_id = if position % 7 == 0 { String::new() } else { format!("{entries} {position}") };
                    FacilityRow { position, facility_id, ..facility.clone() }
                })
                .collect();
            report
        })
        .collect();
    write_reports(&bench.store, &reports, Write::New).await.unwrap();
    digest(&bench.store).await;
    assert_eq!(bench.count("channels").await, 2_500 + 1_000 + 3 + 1_200);
    assert_eq!(bench.count("facilities").await, bench.count("facility_statistics WHERE facility_id <> ''").await);
}

/// The largest report of a facility, the latest of a channel, whatever comes first.
async fn facilities_and_channels(bench: Bench) {
    ready(&bench).await;
    let sender = ping("i", 0).saying(|profile| profile.mode = "demo".into());
    write(&bench.store, &[&sender], Write::New).await.unwrap();
    let of = |learners: i64, minute: i64, storage: f64| {
        let mut report = report(&sender.ping.id.to_string(), 1);
        report.received_at = now() + chrono::TimeDelta::minutes(minute);
        report.id = nutritionfacts::domain::new_id(report.received_at, fastrand::u128(..));
        report.facilities[0].learners = learners;
        report.facilities[0].settings = format!(r#"{{"preset": "p{minute}"}}"#);
        report.channels[0].storage_mib = storage;
        // What no device can have had is left out.
        report.channels[0].usage.anonymous_minutes = 7;
        report.facilities[0].usage.anonymous_minutes = minute;
        report
    };
    let mut reports = [of(10, 0, 1.0), of(30, 1, 2.0), of(30, 2, 3.0), of(20, 3, 4.5), of(2_000_000, 4, f64::MAX)];
    fastrand::shuffle(&mut reports);
    for report in &reports {
        write_reports(&bench.store, &[report], Write::New).await.unwrap();
        digest(&bench.store).await;
    }
    let columns =
        ["facility_id", "learners", "preset", "country", "anonymous_minutes", "first_reported", "last_reported"];
    assert_eq!(
        bench.table("facilities", &columns, "facility_id").await,
        ["f|30|p2|KE|3|2026-11-24T12:00:00.000001Z|2026-11-24T12:03:00.000001Z"]
    );
    let columns = ["channel_id", "instance_id", "storage_mib", "anonymous_minutes"];
    assert_eq!(bench.table("channels", &columns, "channel_id").await, ["0123456789|i|4.5|7"]);
    assert_eq!(bench.count("facilities WHERE ordinary").await, 0);
    let kinds = bench.texts("SELECT CAST(sessions_by_kind AS text) FROM facilities").await;
    assert_eq!(kinds[0].replace(' ', ""), r#"{"video":3}"#);
}

/// Some hundred installations, some twice, some late.
async fn fill(bench: &Bench, round: i64) {
    for batch in 0..3_i64 {
        let row = |number: i64| {
            let instance = if number % 50 == 0 { String::new() } else { format!("i{}", (number * 7) % 120) };
            ping_at(&instance, now() + Duration::from_secs((round * 100 + (number * batch) % 90).unsigned_abs()))
        };
        let rows: Vec<_> = (0..100).map(row).collect();
        write(&bench.store, &rows, Write::New).await.unwrap();
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

/// A step is dropped at one of its awaits after the other, as by a crash; then another process begins.
async fn cut_off_anywhere(mut bench: Bench) {
    ready(&bench).await;
    for times in 0.. {
        fill(&bench, i64::from(times)).await;
        let ended = polled(times, bench.store.digest(Whose::OTHERS)).await;
        bench.reopen().await;
        // A transaction that was cut off holds its lock until the server notices.
        until("all is digested", async || {
            digest(&bench.store).await;
            bench.count("outbox").await == 0
        })
        .await;
        compare(&bench, &[], &format!("{times} polls")).await;
        if ended {
            assert!(times > 0, "it was never cut off");
            break;
        }
    }
}

/// Several servers write the same installations and digest what all have written.
#[tokio::test(flavor = "multi_thread")]
async fn many_servers_at_once() {
    let bench = Bench::postgres().await;
    ready(&bench).await;
    for round in 0..6 {
        let mut tasks = vec![];
        for _ in 0..4 {
            let store = Store::open(&by_url(&bench.url)).await.unwrap();
            let one = Bench { store, url: bench.url.clone(), folder: None };
            tasks.push(tokio::spawn(async move {
                fill(&one, round).await;
                one.store.digest(Whose::OTHERS).await
            }));
        }
        for task in tasks {
            task.await.unwrap().unwrap();
        }
    }
    digest(&bench.store).await;
    compare(&bench, &[], "four at once").await;
}

/// Rows of the outbox can be told from others by their time: one that nobody digests raises an alert.
#[tokio::test]
async fn the_age_of_the_outbox_is_that_of_the_database() {
    let bench = Bench::postgres().await;
    ready(&bench).await;
    assert_eq!(bench.store.outbox().await.unwrap(), (0, Duration::ZERO));
    write(&bench.store, &[ping("i", 0)], Write::New).await.unwrap();
    bench.execute("UPDATE outbox SET written_at = now() - interval '11 minutes'").await;
    let (batches, age) = bench.store.outbox().await.unwrap();
    assert!(batches == 1 && age >= Duration::from_mins(11), "{age:?}");
}
