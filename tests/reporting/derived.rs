//! The data derived from a fleet's pings and reports, in whatever order they are digested.

use nutritionfacts::{domain::period::Grain, store::Whose};

use crate::fleet::Fleet;

/// The derived tables, without columns that depend on the order.
const TABLES: [&str; 7] = [
    "(SELECT to_jsonb(installations) - 'previous_seen' AS row FROM installations)",
    "version_changes",
    "ping_gaps",
    "facilities",
    "channels",
    "activity",
    "cohorts",
];

/// The content of a table, whatever its order.
async fn contents(fleet: &mut Fleet, table: &str) -> String {
    let sql = format!(
        "SELECT count(*) || ' ' || coalesce(md5(string_agg(t::text, '|' ORDER BY t::text COLLATE \"C\")), '') FROM {table} AS t"
    );
    fleet.text(&sql).await
}

#[tokio::test]
async fn batches_in_any_order_have_the_same_result() {
    let mut fleet = Fleet::of(60, 12).await;
    // A batch for each row, in random order.
    let batches = |batch: &str| {
        format!(
            "TRUNCATE outbox; INSERT INTO outbox (batch, kind, least_id, greatest_id, ids) SELECT {batch}, kind, id, id, ARRAY[id]
                FROM (SELECT id, 'pings' AS kind FROM pings UNION ALL SELECT id, 'statistics' FROM statistics) AS rows"
        )
    };
    fleet.run(&batches("md5(id::text)::uuid")).await;
    while fleet.store.digest(Whose::OTHERS).await.unwrap().batches > 0 {
        fleet.store.count_period(Grain::Month).await.unwrap();
    }
    fleet.run("UPDATE periods SET tried_at = NULL").await;
    fleet.derive().await;
    let mut parts = Vec::new();
    for table in TABLES {
        parts.push(contents(&mut fleet, table).await);
    }
    fleet
        .run("TRUNCATE installations, version_changes, ping_gaps, facilities, channels, activity, cohorts, periods")
        .await;
    fleet.run(&batches("id")).await;
    fleet.derive().await;
    for (table, parts) in TABLES.into_iter().zip(parts) {
        assert_eq!(contents(&mut fleet, table).await, parts, "{table}");
        assert!(!parts.starts_with("0 "), "{table} is empty");
    }
}

#[tokio::test]
async fn only_one_process_counts_at_a_time() {
    let mut fleet = Fleet::of(20, 5).await;
    fleet.run("BEGIN; SELECT pg_advisory_xact_lock(x'6e75747200000004'::bigint)").await;
    assert!(fleet.store.digest(Whose::OTHERS).await.unwrap().busy);
    fleet.run("COMMIT").await;
    assert!(!fleet.store.digest(Whose::OTHERS).await.unwrap().busy);
    fleet.run("BEGIN; SELECT pg_advisory_xact_lock(x'6e75747200000005'::bigint)").await;
    assert!(fleet.store.count_period(Grain::Day).await.unwrap().is_none());
    assert!(fleet.store.count_period(Grain::Week).await.unwrap().is_some(), "a day does not hold up a week");
    fleet.run("COMMIT").await;
    assert!(fleet.store.count_period(Grain::Day).await.unwrap().is_some());
}

/// A period that cannot be counted does not block others, and is not retried all the time.
#[tokio::test]
async fn a_period_that_fails_is_retried_later() {
    let mut fleet = Fleet::of(20, 5).await;
    while fleet.store.digest(Whose::OTHERS).await.unwrap().batches > 0 {}
    let day = fleet.text("SELECT max(begins) FROM periods WHERE grain = 'day'").await;
    fleet.run(&format!("ALTER TABLE activity ADD CONSTRAINT poison CHECK (begins <> '{day}' OR grain <> 'day')")).await;
    assert!(fleet.store.count_period(Grain::Day).await.is_err());
    let mut counted = 0;
    while fleet.store.count_period(Grain::Day).await.unwrap().is_some() {
        counted += 1;
    }
    let all: i32 = fleet.text("SELECT count(*) FROM periods WHERE grain = 'day'").await.parse().unwrap();
    assert_eq!(counted, all - 1);
    fleet
        .run("ALTER TABLE activity DROP CONSTRAINT poison; UPDATE periods SET tried_at = now() - interval '1 hour'")
        .await;
    assert!(fleet.store.count_period(Grain::Day).await.unwrap().is_some());
}

/// An empty database has nothing to count, which is not an error.
#[tokio::test]
async fn an_empty_database_has_empty_statistics() {
    let mut fleet = Fleet::empty().await;
    fleet.derive().await;
    assert_eq!(contents(&mut fleet, "periods").await, "0 ");
}

/// Values that no client sends, but anybody can.
#[tokio::test]
async fn implausible_values_do_not_stop_the_digest() {
    let mut fleet = Fleet::of(30, 10).await;
    fleet
        .run(
            "UPDATE profiles SET kolibri_version = repeat('9', 100), os = '', python_version = 'x' WHERE instance_id = (SELECT min(instance_id) FROM profiles);
            UPDATE profiles SET kolibri_version = '٣.1.2' WHERE instance_id = (SELECT max(instance_id) FROM profiles);
            UPDATE facility_statistics SET learners = 9223372036854775807, user_sessions = 9223372036854775807, anonymous_sessions = 9223372036854775807, settings = '[1]', sessions_by_kind = '[]',
                learner_demographics = '{\"gc\": [1], \"bys\": {\"a\": \"x\", \"sd\": null, \"ts\": 1e300}}'
                WHERE position(('2'::text) in facility_id) > 0;
            UPDATE facility_statistics SET settings = '[1]', sessions_by_kind = '[]',
                learner_demographics = '{\"gc\": {\"FEMALE\": 1e999, \"MALE\": \"many\"}, \"bys\": {\"a\": 1e300, \"sd\": 0, \"ts\": -5}}' WHERE position(('1'::text) in facility_id) > 0;
            UPDATE channel_statistics SET user_sessions = 9223372036854775807, anonymous_sessions = 9223372036854775807, storage_mib = 'Infinity'
                WHERE position(('1'::text) in channel_id) > 0",
        )
        .await;
    fleet.derive().await;
    assert_eq!(fleet.text("SELECT count(*) FROM outbox").await, "0");
    for view in [
        "activity",
        "installations",
        "version_changes",
        "ping_gaps",
        "retention",
        "adoption",
        "clones",
        "facilities",
        "channels",
        "genders",
        "ages",
    ] {
        fleet.text(&format!("SELECT count(*) FROM (SELECT * FROM reporting.{view} OFFSET 0) AS t")).await;
    }
}
