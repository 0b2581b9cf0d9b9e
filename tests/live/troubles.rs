//! The cause of every alert, one after the other, on servers that are healthy before and after.

use std::{fs, thread, time::Instant};

use sqlx::{Executor, Row};

use crate::{
    alerts::Alerts,
    place::{EMBEDDED, POSTGRES, Place, YEAR, message, mmdb},
    support::{eventually, http::post, prometheus::now, server::Server},
    traffic::{self, ping},
};

/// As in `src/store/postgres/leadership.rs`.
const LEADER_LOCK: i64 = 0x6e75_7472_0000_0003;

/// Alerts that fire from the start.
pub fn standing(place: &Place, alerts: &mut Alerts) {
    let prometheus = &place.prometheus;
    eventually("all is scraped", || (prometheus.query("up == 1").len() == place.targets).then_some(()));
    // Nobody pings yet, and the API server of the cluster is down.
    alerts.see(prometheus, "NutritionfactsWatchDown", POSTGRES);
    alerts.see(prometheus, "NutritionfactsNoPings", POSTGRES);
    alerts.see(prometheus, "NutritionfactsNoPings", EMBEDDED);
    alerts.see(prometheus, "NutritionfactsVersionSkew", "another-build");
    alerts.see(prometheus, "NutritionfactsPartitionMissing", "months-missing");
    alerts.see(prometheus, "NutritionfactsDigestBehind", "digest-behind");
    alerts.see(prometheus, "NutritionfactsPeriodsNotCounted", "counts-failing");
    alerts.see(prometheus, "NutritionfactsClockDiffers", "clock-differs");
    alerts.see_none_but(prometheus, &["NutritionfactsWatchDown", "NutritionfactsNoPings"], POSTGRES);
    alerts.see_none_but(prometheus, &["NutritionfactsNoPings"], EMBEDDED);
}

/// Leaves half a megabyte of eight. The server checks twice a minute, so it is noticed later.
pub fn fill_the_volume(place: &Place) {
    let free = place.embedded.metric("nutritionfacts_store_volume_free_bytes{store=\"sqlite\"}").unwrap();
    let size = free.parse::<usize>().unwrap() - 512 * 1024;
    let folder = place.embedded.own(&place.embedded.data_folder());
    fs::write(folder.join("ballast"), vec![1; size]).unwrap();
}

/// Normal operation.
pub fn traffic(place: &Place, alerts: &mut Alerts) {
    let [a, b] = &place.replicas;
    for server in [a, b, &place.embedded] {
        assert_eq!(ping(server, 0, ""), 200);
    }
    // A rate needs two samples of a series.
    let series = "nutritionfacts_http_request_duration_seconds_count{route=\"/api/v1/pingback\"}";
    eventually("the series are there", || {
        (place.prometheus.query(&format!("{series} and on (instance) up")).len() >= 3).then_some(())
    });
    traffic::captures([a, b]);
    for server in [a, b, &place.embedded] {
        traffic::faults(server);
        assert_eq!(ping(server, 1, ""), 200);
    }
    for job in [POSTGRES, EMBEDDED] {
        alerts.see_the_end(&place.prometheus, "NutritionfactsNoPings", job);
    }
}

/// A row that the database rejects.
pub fn poison(place: &Place, alerts: &mut Alerts) {
    place.execute("ALTER TABLE profiles ADD CONSTRAINT taste CHECK (mode <> 'poison')");
    assert_eq!(ping(&place.replicas[0], 2, "poison"), 200);
    alerts.see(&place.prometheus, "NutritionfactsRowsSetAside", POSTGRES);
}

/// A newer Kolibri with an unknown kind of report.
pub fn unknown(place: &Place, alerts: &mut Alerts) {
    let send = || assert_eq!(place.replicas[0].ask(&post("/api/v9/surveys/", b"{}")).status, 404);
    send();
    // An increase needs two samples of a series.
    let series = format!("nutritionfacts_unknown_reports_total{{kind=\"other\", job=\"{POSTGRES}\"}}");
    eventually("the series is there", || (!place.prometheus.query(&series).is_empty()).then_some(()));
    (0..300).for_each(|_| send());
    alerts.see(&place.prometheus, "NutritionfactsUnknownReports", POSTGRES);
}

/// A change that only one server gets, an invalid one, and an invalid message.
pub fn changes(place: &Place, alerts: &mut Alerts) {
    const GOOD: &str = "ingest: {mode_rules: [{networks: [192.0.2.0/24], mode: dev}]}\n";
    let [a, b] = &place.files;
    fs::write(a, GOOD).unwrap();
    alerts.see(&place.prometheus, "NutritionfactsConfigurationDivergent", POSTGRES);
    fs::write(b, "ingest: {mode_ruels: []}\n").unwrap();
    alerts.see(&place.prometheus, "NutritionfactsConfigurationRejected", POSTGRES);
    fs::write(b, GOOD).unwrap();
    alerts.see_the_end(&place.prometheus, "NutritionfactsConfigurationDivergent", POSTGRES);
    alerts.see_the_end(&place.prometheus, "NutritionfactsConfigurationRejected", POSTGRES);

    let bad = place.messages.join("bad.yaml");
    fs::write(&bad, message("spaces are wrong")).unwrap();
    alerts.see(&place.prometheus, "NutritionfactsMessagesRejected", POSTGRES);
    fs::remove_file(&bad).unwrap();
    alerts.see_the_end(&place.prometheus, "NutritionfactsMessagesRejected", POSTGRES);
}

/// A database of countries that is broken, and one that is old.
pub fn countries(place: &Place, alerts: &mut Alerts) {
    fs::write(&place.countries, "no database").unwrap();
    alerts.see(&place.prometheus, "NutritionfactsGeoipDatabaseRejected", POSTGRES);
    fs::write(&place.countries, mmdb(now() - YEAR - 60)).unwrap();
    alerts.see_the_end(&place.prometheus, "NutritionfactsGeoipDatabaseRejected", POSTGRES);
    alerts.see(&place.prometheus, "NutritionfactsGeoipDatabaseOld", POSTGRES);
    fs::write(&place.countries, mmdb(now())).unwrap();
    alerts.see_the_end(&place.prometheus, "NutritionfactsGeoipDatabaseOld", POSTGRES);
}

/// Another session that does not respond holds the leader's lock.
pub fn leaderless(place: &Place, alerts: &mut Alerts) {
    let mut thief = place.runtime.block_on(place.cluster.connect("live"));
    let end = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted
            AND (classid::bigint << 32) | objid::bigint = {LEADER_LOCK}"
    );
    let take = format!("SELECT pg_try_advisory_lock({LEADER_LOCK})");
    eventually("the lock is free", || {
        place.execute(&end);
        let row = place.runtime.block_on(thief.fetch_one(sqlx::AssertSqlSafe(take.as_str()))).unwrap();
        row.get::<bool, _>(0).then_some(())
    });
    alerts.see(&place.prometheus, "NutritionfactsLeaderMissing", POSTGRES);
    drop(thief);
    alerts.see_the_end(&place.prometheus, "NutritionfactsLeaderMissing", POSTGRES);
}

/// PostgreSQL accepts connections, and does not respond for a while.
pub fn paused(place: &Place, alerts: &mut Alerts) {
    const SLOW: std::time::Duration = std::time::Duration::from_millis(1500);
    let begun = Instant::now();
    place.cluster.pause();
    many_pings(place, || {
        alerts.see(&place.prometheus, "NutritionfactsQueueFilling", POSTGRES);
        eventually("those that wait are slow", || (begun.elapsed() > SLOW).then_some(()));
        place.cluster.resume();
    });
    alerts.see(&place.prometheus, "NutritionfactsCommitsSlow", POSTGRES);
    alerts.see(&place.prometheus, "NutritionfactsLatencyBudgetBurning", POSTGRES);
    alerts.see_the_end(&place.prometheus, "NutritionfactsQueueFilling", POSTGRES);
}

/// PostgreSQL goes down, and comes back.
pub fn stopped(place: &Place, alerts: &mut Alerts) {
    place.cluster.kill();
    alerts.see(&place.prometheus, "NutritionfactsStoreDown", POSTGRES);
    many_pings(place, || ());
    alerts.see(&place.prometheus, "NutritionfactsErrorBudgetBurning", POSTGRES);
    alerts.see(&place.prometheus, "NutritionfactsErrorBudgetBurningSlowly", POSTGRES);
    place.cluster.restart();
    for server in &place.replicas {
        server.wait_until_ready();
        assert_eq!(ping(server, 3, ""), 200);
    }
    alerts.see_the_end(&place.prometheus, "NutritionfactsStoreDown", POSTGRES);
}

/// Sends many pings at once to each replica, and does something while they wait.
fn many_pings(place: &Place, meanwhile: impl FnOnce()) {
    thread::scope(|scope| {
        for number in 0..80 {
            let server: &Server = &place.replicas[number % 2];
            scope.spawn(move || ping(server, 1000 + number, ""));
        }
        meanwhile();
    });
}
