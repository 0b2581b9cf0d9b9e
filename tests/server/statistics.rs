//! Statistics: reports of any form, and very large ones.

use serde_json::{Value, json};

use crate::{
    stores::on_both_stores,
    support::{
        http::{PINGBACK, STATISTICS, post},
        rows::Rows,
        server::Setup,
    },
};

on_both_stores!(
    statistics_refer_to_their_pingback,
    reports_of_any_form_are_accepted,
    a_report_of_ten_thousand_channels_is_stored,
    unknown_keys_are_stored_and_counted
);

const PING: &[u8] = br#"{"instance_id": "a", "version": "0.19.5"}"#;

fn statistics_refer_to_their_pingback(setup: &Setup) {
    let server = setup.start();
    let id = server.ask(&post(PINGBACK, PING)).json()["id"].as_str().unwrap().to_owned();
    let body = json!({"pi": id, "c": [{"ci": "0123456789"}], "f": []}).to_string();
    // Twice, as a client whose first reply was lost; on two connections, as clients do.
    for _ in 0..2 {
        let reply = server.ask(&post(STATISTICS, body.as_bytes()));
        assert_eq!((reply.status, reply.json()), (200, json!({"messages": []})));
    }
    let mut rows = Rows::open(&setup.url);
    let reports = rows.with("statistics", "pi", &id);
    assert_eq!(reports.len(), 2);
    assert!(reports.iter().all(|row| row["pingback_id"] == id.as_str()));
    assert_eq!(rows.with("channel_statistics", "channel_id", "0123456789").len(), 2);

    // The id is still valid after a restart.
    let server = server.kill().start();
    assert_eq!(server.ask(&post(STATISTICS, body.as_bytes())).status, 200);
    let reports = Rows::open(&setup.url).with("statistics", "pingback_id", &id);
    assert_eq!(reports.len(), 3);
}

fn reports_of_any_form_are_accepted(setup: &Setup) {
    let server = setup.start();
    let mut connection = server.connect();
    let unknown = "01890a5d-ac96-774b-bcce-b302099a8057";
    let cases = [
        ("{}", "", 0, 0),
        (r#"{"pi": null}"#, "", 0, 0),
        (r#"{"pi": 9223372036854775807}"#, "9223372036854775807", 0, 0),
        (r#"{"pi": [1]}"#, "", 0, 0),
        (r#"{"pi": {"a": 1}}"#, "", 0, 0),
        (r#"{"pi": "not an id"}"#, "not an id", 0, 0),
        (r#"{"pi": "01890a5d-ac96-774b-bcce-b302099a8057"}"#, unknown, 0, 0),
        (r#"{"pi": 1, "c": null, "f": null}"#, "1", 0, 0),
        (r#"{"pi": 2, "c": {}, "f": "f"}"#, "2", 0, 0),
        (r#"{"pi": 3, "c": [null, 1, "c", [], {"v": 1}], "f": [true, {"lc": 1}]}"#, "3", 1, 1),
        (r#"{"pi": 4, "c": [{}, {"v": 2}, {"v": 0}], "f": [{}], "x": [[]]}"#, "4", 1, 0),
        (r#"{"pi": 5, "c": [{}], "c": []}"#, "5", 0, 0),
    ];
    for (number, (body, pi, channels, facilities)) in cases.into_iter().enumerate() {
        let mut rows = Rows::open(&setup.url);
        let before = rows.ids("statistics");
        let reply = connection.ask(&post(STATISTICS, body.as_bytes()));
        assert_eq!((reply.status, reply.json()), (200, json!({"messages": []})), "{body}");
        let new: Vec<String> = rows.ids("statistics").difference(&before).cloned().collect();
        assert_eq!((before.len(), new.len()), (number, 1), "{body}");
        let report = rows.one("statistics", "id", &new[0]);
        assert_eq!((&report["pi"], &report["pingback_id"]), (&json!(pi), &Value::Null), "{body}");
        let positions = |rows: &mut Rows, table| -> Vec<i64> {
            rows.with(table, "statistics_id", &new[0]).iter().map(|row| row["position"].as_i64().unwrap()).collect()
        };
        assert_eq!(positions(&mut rows, "channel_statistics").len(), channels, "{body}");
        assert_eq!(positions(&mut rows, "facility_statistics").len(), facilities, "{body}");
        if pi == "3" {
            assert_eq!(positions(&mut rows, "channel_statistics"), [4], "the index in the list as sent");
        }
    }
    server.assert_well();
}

fn a_report_of_ten_thousand_channels_is_stored(setup: &Setup) {
    let server = setup.start();
    let ids: Vec<String> = (0..50).map(|number| format!("{number:010x}")).collect();
    let channel = |number: i32| json!({"ci": format!("{number:010x}"), "v": number, "u": "2026-01-01", "pi": ids, "s": 1.5, "sk": {"video": number}});
    let body = json!({"pi": "large", "c": (0..10_000).map(channel).collect::<Vec<_>>(), "f": []}).to_string();
    assert!(body.len() > 6 << 20, "{}", body.len());
    let reply = server.ask(&post(STATISTICS, body.as_bytes()));
    assert_eq!((reply.status, reply.json()), (200, json!({"messages": []})));
    let mut rows = Rows::open(&setup.url);
    let report = rows.one("statistics", "pi", "large");
    let mut stored = rows.with("channel_statistics", "statistics_id", report["id"].as_str().unwrap());
    stored.sort_by_key(|row| row["position"].as_i64());
    assert_eq!(stored.len(), 10_000);
    for (number, row) in stored.iter().enumerate() {
        assert_eq!((&row["position"], &row["version"]), (&json!(number), &json!(number)));
        assert_eq!((&row["popular_ids"], &row["sessions_by_kind"]), (&json!(ids), &json!({"video": number})));
    }
    server.assert_well();
}

/// Unknown fields of a newer client are stored and counted before a version of the server knows them.
fn unknown_keys_are_stored_and_counted(setup: &Setup) {
    let server = setup.start();
    let report = json!({
        "pi": "p", "lv": [1, {"a": "10.0.0.1"}],
        "c": [{"ci": "a", "new": 1}, {"ci": "b"}, {"only": true}],
        "f": [{"fi": "c", "dsl": {"gc": {"MALE": 5}, "age": {"10": 3}}}],
    });
    assert_eq!(server.ask(&post(STATISTICS, report.to_string().as_bytes())).status, 200);
    let ping = json!({"instance_id": "a", "version": "0.19.5", "new": 1});
    assert_eq!(server.ask(&post(PINGBACK, ping.to_string().as_bytes())).status, 200);

    let mut rows = Rows::open(&setup.url);
    assert_eq!(rows.one("statistics", "pi", "p")["extra"], json!({"lv": [1, {"a": "[removed]"}]}));
    let mut channels = rows.all("channel_statistics");
    channels.sort_by_key(|row| row["position"].as_i64());
    let extras: Vec<_> = channels.iter().map(|row| row["extra"].clone()).collect();
    assert_eq!(extras, [json!({"new": 1}), json!({}), json!({"only": true})]);
    let facility = &rows.all("facility_statistics")[0];
    assert_eq!(facility["extra"], json!({"dsl.age": {"10": 3}}));
    assert_eq!(facility["learner_demographics"], json!({"gc": {"MALE": 5}}));

    for (place, keys) in [("pingback", "1"), ("statistics", "1"), ("channel", "2"), ("facility", "1")] {
        let series = format!(r#"nutritionfacts_unknown_keys_total{{place="{place}"}}"#);
        assert_eq!(server.metric(&series).as_deref(), Some(keys), "{place}");
    }
}
