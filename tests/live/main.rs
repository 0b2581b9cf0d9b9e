//! Dashboards and alerts on real servers: what each asks Prometheus has an answer, and each alert comes when it should.
//!
//! It is one story, as its parts would be in each other's way.

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
fn dashboards_show_what_happens_and_alerts_tell_of_it() {
    let place = Place::new();
    let mut alerts = Alerts::new();
    troubles::standing(&place, &mut alerts);
    troubles::fill_the_volume(&place);
    troubles::traffic(&place, &mut alerts);
    troubles::poison(&place, &mut alerts);
    troubles::unknown(&place, &mut alerts);
    troubles::changes(&place, &mut alerts);
    troubles::leaderless(&place, &mut alerts);
    troubles::paused(&place, &mut alerts);
    troubles::stopped(&place, &mut alerts);

    // What happened last is seen a look later.
    nothing_in_the_end(|| dashboards::without_data(&place));
    nothing_in_the_end(|| alerts::faults(&place.prometheus, POSTGRES));

    alerts.see(&place.prometheus, "NutritionfactsVolumeNearlyFull", EMBEDDED);
    let prometheus = place.stop();
    alerts.see(&prometheus, "NutritionfactsAbsent", POSTGRES);
    assert!(alerts.unseen().is_empty(), "these alerts were never broken: {:?}", alerts.unseen());
    assert!(!prometheus.log().contains("level=error"), "{}", prometheus.log());
}

/// Waits until there are no faults, or says those that stay.
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
