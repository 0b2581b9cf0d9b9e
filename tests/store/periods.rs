//! Days, weeks and months are counted because something in them has changed, and for no other reason.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use nutritionfacts::{
    domain::period::Grain,
    store::{StoreError, Write},
};

use crate::{
    contract::{on_all_stores, ready},
    rows::{Bench, Sighting, digest, now, ping_at, write},
};

on_all_stores!(
    counts_what_has_changed,
    counts_whenever_rows_come,
    counts_again_after_a_pause,
    an_earlier_first_ping_changes_other_periods,
    what_is_sealed_is_not_counted,
);

/// Counts all that is due; which periods.
async fn count(bench: &Bench) -> BTreeSet<String> {
    let mut counted = BTreeSet::new();
    for grain in Grain::ALL {
        while let Some(period) = bench.store.count_period(grain).await.unwrap() {
            counted.insert(format!("{} {}", grain.name(), period.begins));
        }
    }
    counted
}

/// As if it were long ago that anything was counted.
async fn later(bench: &Bench) {
    bench.execute("UPDATE periods SET tried_at = NULL").await;
}

async fn add(bench: &Bench, rows: &[Sighting]) {
    write(&bench.store, rows, Write::New).await.unwrap();
    digest(&bench.store).await;
}

fn at(instance: &str, moment: &str, version: &str) -> Sighting {
    let moment: DateTime<Utc> = format!("{moment}Z").parse().unwrap();
    ping_at(instance, moment).saying(|profile| profile.kolibri_version = version.into())
}

const ACTIVITY: &[&str] =
    &["grain", "begins", "release", "build", "os", "country", "instances", "new_instances", "pings"];

async fn activity(bench: &Bench, grain: &str) -> Vec<String> {
    let from = format!("(SELECT * FROM activity WHERE grain = '{grain}') AS activity");
    bench.table(&from, ACTIVITY, "begins, release").await
}

async fn counts_what_has_changed(bench: Bench) {
    ready(&bench).await;
    assert!(count(&bench).await.is_empty());
    let rows = [
        at("a", "2026-11-24T23:59:59.999999", "0.17.5"),
        at("a", "2026-11-25T00:00:00", "0.18.0rc1"),
        at("a", "2026-11-25T07:00:00", "0.17.5"),
        at("b", "2026-11-25T07:00:00", "0.17.1"),
        at("c", "2026-11-30T00:00:00", "x").saying(|profile| profile.mode = "demo".into()),
        at("", "2026-11-30T00:00:00", "0.17.1"),
    ];
    add(&bench, &rows).await;
    let counted: Vec<_> = count(&bench).await.into_iter().collect();
    assert_eq!(
        counted,
        [
            "day 2026-11-24",
            "day 2026-11-25",
            "day 2026-11-30",
            "month 2026-11-01",
            "week 2026-11-23",
            "week 2026-11-30"
        ]
    );
    assert_eq!(
        activity(&bench, "day").await,
        [
            "day|2026-11-24|0.17|release|linux|KE|1|1|1",
            "day|2026-11-25|0.17|release|linux|KE|2|1|3",
            // How often they pinged is counted when the day is over.
            "day|2026-11-30|other|unknown|linux|KE|1|1|null",
        ]
    );
    assert_eq!(
        activity(&bench, "month").await,
        ["month|2026-11-01|0.17|release|linux|KE|2|2|null", "month|2026-11-01|other|unknown|linux|KE|1|1|null"]
    );
    assert_eq!(bench.count("activity WHERE ordinary").await, 4);
    let cohorts = bench.table("cohorts", &["month", "cohort", "instances"], "instances").await;
    assert_eq!(cohorts, ["2026-11-01|2026-11-01|1", "2026-11-01|2026-11-01|2"]);
    later(&bench).await;
    assert!(count(&bench).await.is_empty(), "nothing has changed");
    // What was the last period is counted once more when there is a later one.
    add(&bench, &[at("a", "2026-12-01T00:00:00", "0.17.5")]).await;
    let counted: Vec<_> = count(&bench).await.into_iter().collect();
    assert_eq!(
        counted,
        ["day 2026-11-30", "day 2026-12-01", "month 2026-11-01", "month 2026-12-01", "week 2026-11-30"]
    );
    assert_eq!(
        activity(&bench, "month").await,
        [
            "month|2026-11-01|0.17|release|linux|KE|2|2|4",
            "month|2026-11-01|other|unknown|linux|KE|1|1|1",
            "month|2026-12-01|0.17|release|linux|KE|1|0|null",
        ]
    );
    later(&bench).await;
    assert!(count(&bench).await.is_empty(), "and that once");
}

/// Of years ago and of tomorrow, first and last: no clock of a process decides.
async fn counts_whenever_rows_come(bench: Bench) {
    ready(&bench).await;
    let moments = ["2067-01-01T12:00:00", "2026-11-25T12:00:00", "2017-12-01T00:00:00", "2026-11-25T12:00:01"];
    for (number, moment) in moments.iter().enumerate() {
        add(&bench, &[at(&format!("i{number}"), moment, "0.17.5")]).await;
        assert!(count(&bench).await.contains(&format!("day {}", &moment[..10])), "{moment}");
        later(&bench).await;
    }
    let days = bench.texts("SELECT CAST(begins AS text) FROM activity WHERE grain = 'day' ORDER BY begins").await;
    assert_eq!(days, ["2017-12-01", "2026-11-25", "2067-01-01"]);
    assert_eq!(bench.count("activity WHERE grain = 'day' AND instances = 2").await, 1);
}

async fn counts_again_after_a_pause(bench: Bench) {
    ready(&bench).await;
    add(&bench, &[at("a", "2026-11-25T07:00:00", "0.17.5")]).await;
    assert_eq!(count(&bench).await.len(), 3);
    add(&bench, &[at("b", "2026-11-25T07:00:00", "0.17.5")]).await;
    assert!(count(&bench).await.is_empty(), "it was counted just now");
    let ago = |seconds: u32| {
        if bench.store.kind() == "sqlite" {
            format!("UPDATE periods SET tried_at = unixepoch('now') - {seconds}")
        } else {
            format!("UPDATE periods SET tried_at = now() - interval '{seconds} seconds'")
        }
    };
    bench.execute(&ago(61)).await;
    assert_eq!(count(&bench).await.into_iter().collect::<Vec<_>>(), ["day 2026-11-25"]);
    bench.execute(&ago(301)).await;
    assert_eq!(count(&bench).await.len(), 2, "week and month");
    // A count that took long is not repeated soon, but for a clock that was put back.
    add(&bench, &[at("c", "2026-11-25T07:00:00", "0.17.5")]).await;
    let took = if bench.store.kind() == "sqlite" { "7200" } else { "interval '2 hours'" };
    bench.execute(&format!("UPDATE periods SET took = {took}")).await;
    bench.execute(&ago(3600)).await;
    assert!(count(&bench).await.is_empty());
    let future = if bench.store.kind() == "sqlite" { "unixepoch('now') + 3600" } else { "now() + interval '1 hour'" };
    bench.execute(&format!("UPDATE periods SET tried_at = {future}")).await;
    assert_eq!(count(&bench).await.len(), 3);
}

async fn an_earlier_first_ping_changes_other_periods(bench: Bench) {
    ready(&bench).await;
    add(&bench, &[at("a", "2026-11-25T07:00:00", "0.17.5"), at("a", "2027-01-05T07:00:00", "0.17.5")]).await;
    count(&bench).await;
    later(&bench).await;
    add(&bench, &[at("a", "2026-08-01T07:00:00", "0.17.5")]).await;
    let counted = count(&bench).await;
    for period in ["day 2026-08-01", "day 2026-11-25", "week 2026-11-23", "month 2026-11-01", "month 2027-01-01"] {
        assert!(counted.contains(period), "{period}: {counted:?}");
    }
    assert!(!counted.contains("day 2027-01-05"));
    let new =
        bench.table("(SELECT * FROM activity WHERE grain = 'day') AS a", &["begins", "new_instances"], "begins").await;
    assert_eq!(new, ["2026-08-01|1", "2026-11-25|0", "2027-01-05|0"]);
    let cohorts = bench.table("cohorts", &["month", "cohort"], "month").await;
    assert_eq!(cohorts, ["2026-08-01|2026-08-01", "2026-11-01|2026-08-01", "2027-01-01|2026-08-01"]);
}

/// A retention that begins to delete seals first; what is counted stays as it is.
async fn what_is_sealed_is_not_counted(bench: Bench) {
    ready(&bench).await;
    let before = at("a", "2026-10-31T23:00:00", "0.17.5");
    add(&bench, &[before, at("a", "2026-11-01T01:00:00", "0.17.5")]).await;
    count(&bench).await;
    let counted = activity(&bench, "month").await;
    bench.execute("UPDATE store_state SET sealed_before = '2026-11-01', generation = generation + 1").await;
    bench.execute("DELETE FROM pings WHERE id < '019a3c00-0000-0000-0000-000000000000'").await;
    later(&bench).await;
    // Whoever does not know of it writes nothing, and learns of it.
    let (late, kept) = (at("b", "2026-10-15T00:00:00", "0.17.5"), at("b", "2026-11-02T00:00:00", "0.17.5"));
    let epoch = bench.store.epoch();
    let rows = [&late, &kept];
    let (pings, profiles) = (rows.map(|row| &row.ping), rows.map(|row| &row.profile));
    let stale = bench.store.write_pings(&pings, &profiles, Write::New, epoch).await;
    assert!(matches!(stale, Err(StoreError::Stale)), "{stale:?}");
    assert_ne!(bench.store.epoch(), epoch);
    assert!(bench.store.is_sealed(late.ping.received_at) && !bench.store.is_sealed(kept.ping.received_at));
    write(&bench.store, &[&kept], Write::New).await.unwrap();
    digest(&bench.store).await;
    assert!(count(&bench).await.iter().all(|period| !period.contains("2026-10")));
    assert_eq!(activity(&bench, "month").await[0], counted[0]);
    assert!(!bench.store.is_sealed(now() + TimeDelta::days(1)));
}
