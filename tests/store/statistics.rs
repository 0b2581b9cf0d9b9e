//! What both stores promise about statistics.

use nutritionfacts::store::Write;
use uuid::Uuid;

use crate::{
    contract::{is_rejected, on_all_stores, ready},
    rows::{Bench, ping, report, write, write_reports},
};

on_all_stores!(links_statistics_to_their_ping, replays_statistics, takes_ten_thousand_channels, writes_every_statistic,);

async fn links_statistics_to_their_ping(bench: Bench) {
    ready(&bench).await;
    let row = ping("i", 0);
    write(&bench.store, &[&row], Write::New).await.unwrap();
    let id = row.ping.id.to_string();
    let stranger = Uuid::from_u128(7).to_string();
    let upper = id.to_uppercase();
    let reports: Vec<_> = [&id, &id, &upper, &stranger, "", "no id"].into_iter().map(|pi| report(pi, 1)).collect();
    write_reports(&bench.store, &reports, Write::New).await.unwrap();
    let links = bench.table("statistics", &["pi", "pingback_id"], "pi").await;
    let mut expected = vec![
        format!("{id}|{id}"),
        format!("{id}|{id}"),
        format!("{upper}|{id}"),
        format!("{stranger}|null"),
        "|null".into(),
        "no id|null".into(),
    ];
    expected.sort();
    let mut links = links;
    links.sort();
    assert_eq!(links, expected);
    assert_eq!(bench.count("channel_statistics").await, 6);
}

async fn replays_statistics(bench: Bench) {
    ready(&bench).await;
    let reports = [report("", 3), report("", 0)];
    write_reports(&bench.store, &reports[..1], Write::New).await.unwrap();
    assert!(is_rejected(&write_reports(&bench.store, &reports, Write::New).await));
    assert_eq!(bench.count("statistics").await, 1);
    write_reports(&bench.store, &[&reports[0], &reports[1], &reports[1]], Write::Replay).await.unwrap();
    assert_eq!(bench.count("statistics").await, 2);
    assert_eq!(bench.count("channel_statistics").await, 3);
    assert_eq!(bench.count("facility_statistics").await, 2);
}

async fn takes_ten_thousand_channels(bench: Bench) {
    ready(&bench).await;
    write_reports(&bench.store, &[report("", 10_000)], Write::New).await.unwrap();
    assert_eq!(bench.count("channel_statistics").await, 10_000);
}

async fn writes_every_statistic(bench: Bench) {
    ready(&bench).await;
    write_reports(&bench.store, &[report("", 1)], Write::New).await.unwrap();
    let usage = [
        "summaries_started",
        "summaries_completed",
        "user_sessions",
        "anonymous_sessions",
        "user_minutes",
        "anonymous_minutes",
        "users",
        "visitors",
        "anonymous_sessions_without_visitor",
    ];
    let channel = ["position", "channel_id", "version", "updated", "popular_ids", "popular_counts"];
    let usage_values = "1|2|4|5|6|9223372036854775807|8|9|10";
    let columns = [&channel[..], &usage].concat();
    let expected = format!("0|0123456789|11|2026-02-28|[\"a\"]|[12]|{usage_values}");
    assert_eq!(bench.table("channel_statistics", &columns, "position").await, [expected]);
    assert_eq!(bench.count("channel_statistics WHERE storage_mib = 0.30000000000000004").await, 1);
    let facility = [
        "position",
        "facility_id",
        "settings",
        "learners",
        "learner_logins",
        "coaches",
        "coach_logins",
        "first_used",
        "last_used",
        "lessons",
        "exams",
        "exam_logs",
        "attempt_logs",
        "exam_attempt_logs",
        "classes",
        "\"groups\"",
        "user_subset",
    ];
    let columns = [&facility[..], &usage].concat();
    let expected = format!("0|f|{{}}|13|0|0|0|null|2026-11-01|0|0|0|0|0|0|14|u|{usage_values}");
    assert_eq!(bench.table("facility_statistics", &columns, "position").await, [expected]);
    for (column, expected) in [("sessions_by_kind", "video"), ("learner_demographics", "count")] {
        let text = bench.texts(&format!("SELECT CAST({column} AS text) FROM channel_statistics")).await;
        assert!(text[0].contains(expected));
    }
    assert!(bench.texts("SELECT CAST(devices AS text) FROM facility_statistics").await[0].contains("Android"));
}
