use super::*;
use crate::domain::privacy::Key;

fn within(body: &str, sent: usize, most: usize) -> Option<(StatisticsReport, UnknownKeys)> {
    let arrival = (Uuid::nil(), Timestamp::UNIX_EPOCH);
    let privacy = Privacy::Pseudonymous(Key::new(&"k".repeat(32)).unwrap());
    Envelope::read(body).unwrap().into_report(arrival, &privacy, sent, most)
}

fn report(body: &str) -> StatisticsReport {
    within(body, body.len(), usize::MAX).unwrap().0
}

#[test]
fn a_real_report() {
    let body = r#"{"pi": "0190163d-8694-739b-aea5-966c26f8ad91", "c": [{"ci": "46c7a46ece", "v": 12, "u": "2024-02-29", "s": 15.05,
        "pi": ["13fc7746e9"], "pc": [3], "sk": {"video": 36, "": 1}, "dsl": {"bys": {"a": 2010.0, "sd": null}, "gc": {"FEMALE": 5}}, "uwl": 27}],
        "f": [{"fi": "wTeh2IXxuS", "s": {"preset": "formal", "registered": false}, "lc": 24, "dis": {"Android,9/Chrome Mobile,86": 20}, "sat": 9}]}"#;
    let report = report(body);
    assert_eq!(report.pingback, Uuid::try_parse(&report.pi).ok());
    let channel = &report.channels[0];
    assert_eq!((channel.channel_id.as_str(), channel.version, channel.usage.users), ("46c7a46ece", 12, 27));
    assert_eq!((channel.popular_ids.as_str(), channel.popular_counts.as_str()), (r#"["13fc7746e9"]"#, "[3]"));
    assert_eq!(channel.usage.sessions_by_kind, r#"{"":1,"video":36}"#);
    assert_eq!(channel.usage.learner_demographics, r#"{"bys":{"a":2010.0,"sd":null},"gc":{"FEMALE":5}}"#);
    let facility = &report.facilities[0];
    assert_eq!(facility.settings, r#"{"preset":"formal","registered":false}"#);
    assert_eq!((facility.devices.as_str(), facility.learners), (r#"{"Android,9/Chrome Mobile,86":20}"#, 24));
    assert_eq!(facility.usage.anonymous_minutes, 9);
}

#[test]
fn malformed_entries_are_kept_as_far_as_they_make_sense() {
    let report = report(
        r#"{"pi": 42, "c": [1, {"v": "x", "pi": 5, "pc": [1, "a", {}], "sk": [1], "dsl": {"bys": 1, "gc": {"a": "b", "c": [1]}}}, null, {}], "f": {"fi": "x"}}"#,
    );
    assert_eq!((report.pi.as_str(), report.pingback, report.facilities.len()), ("42", None, 0));
    assert_eq!(report.channels.iter().map(|row| row.position).collect::<Vec<_>>(), [1]);
    let row = &report.channels[0];
    assert_eq!((row.version, row.popular_ids.as_str(), row.popular_counts.as_str()), (0, "[]", "[1,0,0]"));
    assert_eq!(row.usage.learner_demographics, r#"{"bys":{},"gc":{"a":null,"c":null}}"#);
    assert_eq!((row.usage.sessions_by_kind.as_str(), row.storage_mib.to_bits()), ("{}", 0));
}

#[test]
fn entries_that_say_nothing_and_those_that_cost_nothing_are_left_out() {
    let body = format!("{{\"c\": [{}{{}}], \"f\": [{{\"lc\": 0}}]}}", "{},".repeat(60_000));
    assert_eq!((report(&body).channels.len(), report(&body).facilities.len()), (0, 0));
    let body = format!("{{\"c\": [{}{{}}]}}", "{\"v\":1},".repeat(60_000));
    let sent = |sent| within(&body, sent, usize::MAX).unwrap().0.channels.len();
    assert_eq!((sent(body.len()), sent(182), sent(0)), (50_000, 38, 16));
}

#[test]
fn entries_and_bytes_have_a_measure() {
    let body = r#"{"c": [{"pc": [9e18, 9e18, 9e18]}]}"#;
    let made = report(body);
    assert!(made.bytes() > made.channels[0].popular_counts.len());
    let within = |most| within(body, body.len(), most).map(|made| made.0);
    assert_eq!(within(made.bytes()), Some(made.clone()));
    assert_eq!(within(made.bytes() - 1), None);
}

#[test]
fn unknown_keys_are_kept_where_they_were() {
    let body = r#"{"new": [1, "10.0.0.1"], "_cut": 2, "c": [{"ci": "a", "x": {"y": 1}}, {"z": 0}],
        "f": [{"fi": "b", "dsl": {"bys": {"a": 1.5, "md": 2}, "gc": {"MALE": 5}, "n": 7}, "dsnl": {"n": {"k": "v"}}}]}"#;
    let (report, keys) = within(body, body.len(), usize::MAX).unwrap();
    assert_eq!(report.extra, r#"{"_dropped":["_cut"],"new":[1,"[removed]"]}"#);
    let extras: Vec<_> = report.channels.iter().map(|row| &*row.extra).collect();
    assert_eq!(extras, [r#"{"x":{"y":1}}"#, r#"{"z":0}"#]);
    let facility = &report.facilities[0];
    assert_eq!(facility.extra, r#"{"dsl.bys.md":2,"dsl.n":7,"dsnl.n":{"k":"v"}}"#);
    assert_eq!(facility.usage.learner_demographics, r#"{"bys":{"a":1.5},"gc":{"MALE":5}}"#);
    assert_eq!(facility.usage.non_learner_demographics, "{}");
    assert_eq!(keys, UnknownKeys { report: 2, channels: 2, facilities: 3 });
}

#[test]
fn what_was_cut_is_told() {
    let long = "x".repeat(501);
    let report = report(&format!(r#"{{"pi":"{long}","c":[{{"ci":"{long}"}},{{"ci":"{long}"}}],"f":[{{"fi":"a"}}]}}"#));
    assert_eq!(report.extra, r#"{"_cut":["pi","c.ci"]}"#);
    assert_eq!((report.pi.len(), report.channels[1].channel_id.len()), (500, 500));
}

/// What packs a thousandfold takes no room in the store either.
#[test]
fn unknown_keys_of_entries_share_a_cap_that_grows_with_the_bytes_sent() {
    let entry = format!(r#"{{"ci":"a","new":"{}"}}"#, "x".repeat(1000));
    let body = format!(r#"{{"c":[{}]}}"#, vec![entry; 100].join(","));
    let kept = |sent| {
        let report = within(&body, sent, usize::MAX).unwrap().0;
        let full = report.channels.iter().filter(|row| row.extra != "{}").count();
        (report.channels.len(), full, report.extra.into_owned())
    };
    assert_eq!(kept(body.len()), (100, 100, "{}".into()));
    assert_eq!(kept(900), (100, 17, r#"{"_dropped":["c.new"]}"#.into()));
}
