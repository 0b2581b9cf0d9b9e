//! The rollups, however they come about.

use chrono::TimeDelta;

use crate::fleet::{Fleet, now, soon};

const TABLES: [&str; 7] = [
    "rollup_activity",
    "rollup_retention",
    "rollup_installations",
    "rollup_versions",
    "rollup_gaps",
    "rollup_facilities",
    "rollup_channels",
];

/// What a table holds, whatever its order.
async fn contents(fleet: &mut Fleet, table: &str) -> String {
    let sql = format!(
        "SELECT count(*) || ' ' || coalesce(md5(string_agg(t::text, '|' ORDER BY t::text COLLATE \"C\")), '') FROM {table} AS t"
    );
    fleet.text(&sql).await
}

#[tokio::test]
async fn many_rounds_come_to_the_same_as_one() {
    let mut fleet = Fleet::of(100, 12).await;
    fleet.run("CREATE TABLE later AS SELECT * FROM pingbacks; CREATE TABLE reports AS SELECT * FROM statistics; DELETE FROM pingbacks; DELETE FROM statistics").await;
    // As they came in, month by month.
    for months in (0..=26).rev() {
        let until = format!("now() - interval '{} days'", 30 * months);
        for (from, to) in [("later", "pingbacks"), ("reports", "statistics")] {
            fleet.run(&format!("WITH moved AS (DELETE FROM {from} WHERE received_at < {until} RETURNING *) INSERT INTO {to} SELECT * FROM moved")).await;
        }
        assert!(fleet.store.roll_up(now() - TimeDelta::days(30 * months)).await.unwrap());
    }
    assert!(fleet.store.roll_up(soon()).await.unwrap());
    let mut rounds = Vec::new();
    for table in TABLES {
        rounds.push(contents(&mut fleet, table).await);
    }

    fleet.run("UPDATE rollup_cursors SET id = '00000000-0000-0000-0000-000000000000'; TRUNCATE rollup_periods").await;
    for table in TABLES {
        fleet.run(&format!("TRUNCATE {table}")).await;
    }
    assert!(fleet.store.roll_up(soon()).await.unwrap());
    for (table, rounds) in TABLES.into_iter().zip(rounds) {
        assert_eq!(contents(&mut fleet, table).await, rounds, "{table}");
        assert!(!rounds.starts_with("0 "), "{table} is empty");
    }
}

#[tokio::test]
async fn one_process_at_a_time() {
    let mut fleet = Fleet::of(20, 5).await;
    fleet.run("BEGIN; SELECT pg_advisory_xact_lock(x'6e75747200000004'::bigint)").await;
    assert!(!fleet.store.roll_up(soon()).await.unwrap());
    fleet.run("COMMIT").await;
    assert!(fleet.store.roll_up(soon()).await.unwrap());
    assert_ne!(contents(&mut fleet, "rollup_activity").await, "0 ");
}

#[tokio::test]
async fn a_period_that_lasts_is_counted_again_after_an_hour() {
    let mut fleet = Fleet::of(20, 5).await;
    let begin = now();
    assert!(fleet.store.roll_up(begin).await.unwrap());
    let counted = "SELECT max(counted_at) FROM rollup_periods";
    let first = fleet.text(counted).await;
    assert!(fleet.store.roll_up(begin + TimeDelta::minutes(50)).await.unwrap());
    assert_eq!(fleet.text(counted).await, first);
    assert!(fleet.store.roll_up(begin + TimeDelta::minutes(70)).await.unwrap());
    assert_ne!(fleet.text(counted).await, first);
    // A period that has been over for a day is not looked at again.
    let settled = "SELECT count(*) FROM rollup_periods WHERE grain = 'day' AND begins < now() - interval '3 days' AND counted_at > ";
    assert_eq!(fleet.text(&format!("{settled} '{begin}'")).await, "0");
}

/// An empty database has nothing to count, and says so without an error.
#[tokio::test]
async fn nothing_is_nothing() {
    let mut fleet = Fleet::empty().await;
    assert!(fleet.store.roll_up(soon()).await.unwrap());
    assert_eq!(contents(&mut fleet, "rollup_periods").await, "0 ");
}

/// Values that no client sends, but anybody can.
#[tokio::test]
async fn strange_values_stop_nothing() {
    let mut fleet = Fleet::of(30, 10).await;
    fleet
        .run(
            "UPDATE pingbacks SET kolibri_version = repeat('9', 100), os = '', python_version = 'x' WHERE instance_id = (SELECT min(instance_id) FROM pingbacks);
            UPDATE facility_statistics SET learners = 9223372036854775807, user_sessions = 9223372036854775807, anonymous_sessions = 9223372036854775807, settings = '[1]', sessions_by_kind = '[]',
                learner_demographics = '{\"gc\": [1], \"bys\": {\"a\": \"x\", \"sd\": null, \"ts\": 1e300}}';
            UPDATE facility_statistics SET learner_demographics = '{\"gc\": {\"FEMALE\": 1e999, \"MALE\": \"many\"}, \"bys\": {\"a\": 1e300, \"sd\": 0, \"ts\": -5}}' WHERE position(('1'::text) in facility_id) > 0;
            UPDATE channel_statistics SET user_sessions = 9223372036854775807, anonymous_sessions = 9223372036854775807, storage_mib = 'Infinity'",
        )
        .await;
    assert!(fleet.store.roll_up(soon()).await.unwrap());
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
