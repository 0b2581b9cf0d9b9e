//! Dashboards and alerts with real servers: each query returns data, and each alert fires when it should.
//!
//! It is a single test, because its parts would disturb each other.

#[path = "../support/mod.rs"]
mod support;

mod alerts;
mod dashboards;
mod place;
mod stand_in;
mod traffic;
mod troubles;

use std::time::Instant;

use alerts::Alerts;
use place::{EMBEDDED, POSTGRES, Place};

#[test]
fn dashboards_show_and_alerts_report_what_happens() {
    let place = Place::new();
    let mut alerts = Alerts::new();
    troubles::standing(&place, &mut alerts);
    troubles::fill_the_volume(&place);
    troubles::traffic(&place, &mut alerts);
    troubles::poison(&place, &mut alerts);
    troubles::unknown(&place, &mut alerts);
    troubles::changes(&place, &mut alerts);
    troubles::countries(&place, &mut alerts);
    troubles::leaderless(&place, &mut alerts);
    troubles::paused(&place, &mut alerts);
    troubles::stopped(&place, &mut alerts);

    // What happened last is visible one scrape later.
    nothing_in_the_end(|| dashboards::without_data(&place));
    nothing_in_the_end(|| alerts::faults(&place.prometheus, POSTGRES));

    alerts.see(&place.prometheus, "NutritionfactsVolumeNearlyFull", EMBEDDED);
    let prometheus = place.stop();
    alerts.see(&prometheus, "NutritionfactsAbsent", POSTGRES);
    assert!(alerts.unseen().is_empty(), "these alerts were never broken: {:?}", alerts.unseen());
    assert!(!prometheus.log().contains("level=error"), "{}", prometheus.log());
}

/// Waits until there are no errors; returns those that remain.
fn nothing_in_the_end(mut faults: impl FnMut() -> Vec<String>) {
    let begun = Instant::now();
    loop {
        let found = faults();
        if found.is_empty() {
            return;
        }
        assert!(begun.elapsed() < support::LIMIT / 4, "{}", found.join("\n"));
    }
}
