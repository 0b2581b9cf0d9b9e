//! A server whose clock is far ahead or behind: its pings carry its time, it logs the difference, and it keeps working.

use std::collections::BTreeMap;

use serde_json::json;

use crate::{
    load::check_derived,
    stores::{self, on_both_stores},
    support::{
        eventually,
        http::{PINGBACK, post},
        rows::Rows,
        server::{Server, Setup},
    },
};

on_both_stores!(pings_are_counted_by_a_clock_ahead_or_behind);

/// Days by which a clock is off.
const OFF: [i32; 2] = [40, -40];

fn ping(server: &Server, names: &str) {
    for number in 0..7 {
        let body = json!({"instance_id": format!("{names}{number}"), "version": "0.19.5"}).to_string();
        assert_eq!(server.ask(&post(PINGBACK, body.as_bytes())).status, 200);
    }
}

/// The counted days, with their installations.
fn counted(rows: &mut Rows) -> BTreeMap<String, i64> {
    let mut days = BTreeMap::new();
    for row in rows.all("activity").into_iter().filter(|row| row["grain"] == "day") {
        *days.entry(row["begins"].to_string()).or_default() += row["instances"].as_i64().unwrap();
    }
    days
}

fn sum(rows: &mut Rows) -> i64 {
    counted(rows).values().sum()
}

/// Each clock in turn on the same store; then installations of all of them ping at the right time.
fn pings_are_counted_by_a_clock_ahead_or_behind(setup: &Setup) {
    for days in OFF {
        let server = setup.clone().clock(days).start();
        ping(&server, &format!("off {days} "));
        assert!(server.stop().success());
    }
    let server = setup.start();
    ping(&server, "right ");
    for days in OFF {
        ping(&server, &format!("off {days} "));
    }
    let mut rows = Rows::open(&setup.url);
    check_derived(&mut rows);
    eventually("all days are counted", || (sum(&mut rows) >= 35).then_some(()));
    // One day for each clock, and one more if the test ran past midnight.
    let days = counted(&mut rows);
    assert!(days.len() >= 3 && days.values().sum::<i64>() == 35, "{days:?}");
    // Once more: a day before one that was counted.
    ping(&server, "late ");
    eventually("it is counted again", || (sum(&mut rows) == 42).then_some(()));
    server.assert_well();
}

/// The embedded store has no other clock for a comparison.
#[test]
fn a_clock_difference_is_logged() {
    let setup = stores::postgres();
    for days in OFF {
        let server = setup.clone().clock(days).start();
        let seconds = || server.metric("nutritionfacts_store_clock_ahead_seconds{store=\"postgres\"}").unwrap();
        eventually("it is measured", || (seconds() != "0").then_some(()));
        let off = f64::from(days * 24 * 60 * 60) - seconds().parse::<f64>().unwrap();
        assert!(off.abs() < 60.0, "{}", seconds());
        let told = if days > 0 { "clock is ahead of the database's" } else { "clock is behind the database's" };
        eventually("it is logged", || server.log.text().contains(told).then_some(()));
    }
}
