//! Each field of a pingback and of a statistics entry, with each kind of invalid value: always 200, and the column contains
//! what docs/protocol.md, 14 says.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::{
    model::{self, Field, Kind},
    stores::on_both_stores,
    support::{
        http::{PINGBACK, STATISTICS, post},
        rows::{Row, Rows},
        server::Setup,
    },
};

/// A value as JSON text, and the expected text and number columns.
struct Wrong {
    json: String,
    text: String,
    number: i64,
}

fn wrong_values() -> Vec<Wrong> {
    let case = |json: &str, text: &str, number| Wrong { json: json.into(), text: text.into(), number };
    let long = "x".repeat(600);
    let emoji = "\u{1F600}".repeat(600);
    let digits = "9".repeat(5000);
    vec![
        case("null", "", 0),
        case("true", "true", 0),
        case("false", "false", 0),
        case("0", "0", 0),
        case("-1", "-1", 0),
        case("1.5", "1.5", 1),
        case("1e5", "1e5", 100_000),
        case("1e400", "1e400", 0),
        case("-1e400", "-1e400", 0),
        case("9223372036854775807", "9223372036854775807", i64::MAX),
        case("9223372036854775808", "9223372036854775808", i64::MAX),
        case("-9223372036854775809", "-9223372036854775809", 0),
        case(&digits, &digits, i64::MAX),
        case("NaN", "", 0),
        case("Infinity", "", 0),
        case("-Infinity", "", 0),
        case(r#""""#, "", 0),
        case(r#"" ""#, " ", 0),
        case(r#""12""#, "12", 12),
        case(r#""x""#, "x", 0),
        case(r#""a\u0000b""#, "a\u{FFFD}b", 0),
        case(r#""\ud800""#, "\u{FFFD}", 0),
        case(r#""\udc00\ud800x""#, "\u{FFFD}\u{FFFD}x", 0),
        case(r#""\ud83d\ude00""#, "\u{1F600}", 0),
        case(r#""\u0001\u001f\u007f\u2028""#, "\u{1}\u{1f}\u{7f}\u{2028}", 0),
        case(&format!(r#""{long}""#), &long, 0),
        case(&format!(r#""{emoji}""#), &emoji, 0),
        case(r#""2024-13-45""#, "2024-13-45", 0),
        case(r#""0000-01-01T00:00:00Z""#, "0000-01-01T00:00:00Z", 0),
        case(r#""+12000-01-01T00:00:00Z""#, "+12000-01-01T00:00:00Z", 0),
        case(r#""'; DROP TABLE pings; --""#, "'; DROP TABLE pings; --", 0),
        case("[]", "", 0),
        case(r#"[1, "a", null, [[]]]"#, "", 0),
        case("{}", "", 0),
        case(r#"{"a": {"b": [1]}}"#, "", 0),
        case(&format!("{}{}", "[".repeat(60), "]".repeat(60)), "", 0),
    ]
}

const BASE: [(&str, &str); 14] = [
    ("instance_id", r#""0123456789abcdef0123456789abcdef""#),
    ("version", r#""0.17.5""#),
    ("mode", r#""""#),
    ("platform", r#""Linux-6.1.0""#),
    ("sysversion", r#""3.11.7 (main)""#),
    ("database_id", r#""fedcba9876543210fedcba9876543210""#),
    ("system_id", r#""11112222333344445555""#),
    ("node_id", r#""aaaabbbbccccddddeeee""#),
    ("language", r#""sw-tz""#),
    ("timezone", r#""Africa/Nairobi""#),
    ("uptime", "5"),
    ("timestamp", r#""2024-05-27T16:19:17.584-03:30""#),
    ("installer", r#""whl""#),
    ("project", r#""""#),
];

on_both_stores!(
    any_value_in_a_field_of_a_pingback_is_accepted,
    any_value_in_a_field_of_a_channel_is_accepted,
    any_value_in_a_field_of_a_facility_is_accepted
);

fn object(pairs: &[(&str, &str)]) -> String {
    let members: Vec<String> = pairs.iter().map(|(key, json)| format!("\"{key}\": {json}")).collect();
    format!("{{{}}}", members.join(", "))
}

fn any_value_in_a_field_of_a_pingback_is_accepted(setup: &Setup) {
    let server = setup.start();
    let base: Map<String, Value> = serde_json::from_str(&object(&BASE)).unwrap();
    let mut expected: BTreeMap<String, Row> = BTreeMap::new();
    let mut connection = server.connect();
    for key in BASE.iter().map(|(key, _)| *key).chain(["macaddress"]) {
        for (number, wrong) in wrong_values().iter().enumerate() {
            let case = format!("\"{key} {number}\"");
            let others = BASE.iter().copied().filter(|(other, _)| *other != key);
            let mut pairs: Vec<_> = others.chain([(key, wrong.json.as_str()), ("case", &case)]).collect();
            if key == "macaddress" {
                pairs.retain(|(other, _)| *other != "node_id");
            }
            let reply = connection.ask(&post(PINGBACK, object(&pairs).as_bytes()));
            assert_eq!((reply.status, reply.says_close()), (200, false), "{key}: {}", wrong.json);
            let silent = key == "version" && model::wants_silence(&wrong.text);
            assert_eq!(reply.body.is_empty(), silent, "{key}: {}", wrong.json);
            expected.insert(case.trim_matches('"').to_owned(), row_of(key, wrong, &base));
        }
    }
    let stored = Rows::open(&setup.url).all("pingbacks");
    assert_eq!(stored.len(), expected.len());
    for mut row in stored {
        let case = row["extra"]["case"].as_str().unwrap().to_owned();
        // The case marker is not part of the model.
        row["extra"].as_object_mut().unwrap().remove("case");
        model::assert_columns(&expected[&case], &row, &case);
    }
    server.assert_well();
}

/// The expected row, with hints where the text is not JSON or the model's parser cannot read it.
fn row_of(key: &str, wrong: &Wrong, base: &Map<String, Value>) -> Row {
    let mut body = base.clone();
    if key == "macaddress" {
        body.remove("node_id");
    }
    let value = if key == "uptime" { json!(wrong.number) } else { json!(wrong.text) };
    body.insert(key.into(), value);
    model::pingback(&body)
}

fn any_value_in_a_field_of_a_channel_is_accepted(setup: &Setup) {
    fields_of_entries(setup, "c", "channel_statistics", &model::CHANNEL);
}

fn any_value_in_a_field_of_a_facility_is_accepted(setup: &Setup) {
    fields_of_entries(setup, "f", "facility_statistics", &model::FACILITY);
}

fn fields_of_entries(setup: &Setup, list: &str, table: &str, fields: &[Field]) {
    let server = setup.start();
    let mut connection = server.connect();
    let cases: Vec<(String, Field, Wrong)> = fields
        .iter()
        .chain(&model::USAGE)
        .flat_map(|field| {
            let values = wrong_values().into_iter().enumerate();
            values.map(|(number, wrong)| (format!("{} {number}", field.0), *field, wrong))
        })
        .collect();
    for (case, (key, ..), wrong) in &cases {
        // Beside a valid entry, because empty entries are left out.
        let right = beside(key).0;
        let body = format!(r#"{{"pi": "{case}", "{list}": [{{"{key}": {}, "{right}": 1}}]}}"#, wrong.json);
        let reply = connection.ask(&post(STATISTICS, body.as_bytes()));
        assert_eq!((reply.status, reply.says_close()), (200, false), "{body}");
        assert_eq!(reply.json(), json!({"messages": []}), "{body}");
    }
    let mut rows = Rows::open(&setup.url);
    let reports: BTreeMap<String, String> =
        rows.all("statistics").iter().map(|row| (text_of(row, "pi"), text_of(row, "id"))).collect();
    let entries: BTreeMap<String, Row> =
        rows.all(table).into_iter().map(|row| (text_of(&row, "statistics_id"), row)).collect();
    assert_eq!((reports.len(), entries.len()), (cases.len(), cases.len()));
    let empty = model::entry(fields, &Map::new());
    for (case, (key, column, kind), wrong) in &cases {
        let row = &entries[&reports[case]];
        let mut expected = empty.clone();
        expected.insert(beside(key).1.into(), 1.into());
        match kind {
            Kind::Text => {
                expected.insert((*column).into(), wrong.text.chars().take(500).collect::<String>().into());
            }
            Kind::Number => {
                expected.insert((*column).into(), wrong.number.into());
            }
            // Their formats are listed below; any other value must be treated as missing.
            _ => {
                expected.remove(*column);
            }
        }
        model::assert_columns(&expected, row, case);
        let value = &row[*column];
        match kind {
            Kind::Float => assert!(value.as_f64().is_some_and(|mib| mib >= 0.0 && mib.is_finite()), "{case}: {value}"),
            Kind::Date => assert!(value.is_null(), "{case}: {value}"),
            Kind::List => assert!(value.is_array(), "{case}: {value}"),
            Kind::Object => assert!(value.is_object(), "{case}: {value}"),
            Kind::Text | Kind::Number => {}
        }
    }
    server.assert_well();
}

/// Another key, and its column.
fn beside(key: &str) -> (&'static str, &'static str) {
    if key == "uwl" { ("vwl", "visitors") } else { ("uwl", "users") }
}

fn text_of(row: &Row, column: &str) -> String {
    row[column].as_str().unwrap().to_owned()
}
