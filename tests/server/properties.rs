//! Any JSON object is answered 200, and the stored row is that of the model.

use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestRunner},
};
use serde_json::{Map, Value};

use crate::{
    model,
    stores::on_both_stores,
    support::{
        http::{PINGBACK, STATISTICS, post},
        rows::Rows,
        server::Setup,
    },
};

const CASES: u32 = 300;

on_both_stores!(any_json_object_is_stored_as_a_ping, any_json_object_is_stored_as_a_report);

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[ -~]{0,40}",
        "0\\.[0-9]{1,2}\\.[0-9]{1,2}((a|b|rc|\\.dev)[0-9]{1,2})?",
        Just("2024-05-27T16:19:17.584-03:30".to_owned()),
        Just("3.9.2 (default) \n[GCC]".to_owned()),
        Just("Linux-5.10.103-v7+-armv7l-with-debian-10.13".to_owned()),
        "[\u{0}-\u{20}é\u{10000}-\u{10FFFF}]{0,600}",
    ]
    // Texts that are addresses follow another rule (docs/privacy.md); random texts are hardly ever addresses.
    .prop_filter("no address", |text| !text.contains("::"))
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (0..100_000_i64).prop_map(Value::from),
        (-1e15..1e15).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ]
}

fn any_value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(3, 20, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            vec(("[a-z_]{0,6}", inner), 0..5).prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

fn key() -> impl Strategy<Value = String> {
    // `project` contains the name of the case.
    let known = model::KNOWN.into_iter().filter(|key| *key != "project").collect::<Vec<_>>();
    // `_cut` and `_dropped` are set by the server.
    prop_oneof![6 => prop::sample::select(known).prop_map(str::to_owned), 1 => "[a-zA-Zé .]{0,8}"]
}

fn any_json_object_is_stored_as_a_ping(setup: &Setup) {
    let server = setup.start();
    let mut connection = server.connect();
    let mut rows = Rows::open(&setup.url);
    let mut number = 0;
    let objects = vec((key(), any_value()), 0..16).prop_map(|pairs| pairs.into_iter().collect::<Map<_, _>>());
    run(&objects, |mut object| {
        number += 1;
        let name = format!("case {number}");
        object.insert("project".into(), name.clone().into());
        let body = Value::Object(object.clone()).to_string();
        let reply = connection.ask(&post(PINGBACK, body.as_bytes()));
        assert_eq!((reply.status, reply.says_close()), (200, false), "{body}");
        let expected = model::pingback(&object);
        let row = rows.one("pingbacks", "project", &name);
        model::assert_columns(&expected, &row, &body);
        let silent = model::wants_silence(expected["kolibri_version"].as_str().unwrap());
        assert_eq!(reply.body.is_empty(), silent, "{body}");
        if !silent {
            assert_eq!(reply.json()["id"], row["id"], "{body}");
        }
    });
    server.assert_well();
}

fn any_json_object_is_stored_as_a_report(setup: &Setup) {
    let server = setup.start();
    let mut connection = server.connect();
    let mut rows = Rows::open(&setup.url);
    let mut number = 0;
    let keys: Vec<&str> =
        model::CHANNEL.iter().chain(&model::FACILITY).chain(&model::USAGE).map(|field| field.0).collect();
    let entry = vec((prop::sample::select(keys), any_value()), 0..12)
        .prop_map(|pairs| Value::Object(pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()))
        .boxed();
    let list = move || prop_oneof![4 => vec(prop_oneof![9 => entry.clone(), 1 => any_value()], 0..4).prop_map(Value::from), 1 => any_value()];
    run(&(list(), list(), any_value()), |(channels, facilities, other)| {
        number += 1;
        let name = format!("case {number}");
        let body = serde_json::json!({"pi": name, "c": channels, "f": facilities, "other": other}).to_string();
        let reply = connection.ask(&post(STATISTICS, body.as_bytes()));
        assert_eq!((reply.status, reply.json()), (200, serde_json::json!({"messages": []})), "{body}");
        let report = rows.one("statistics", "pi", &name);
        let id = report["id"].as_str().unwrap();
        for (table, sent, fields) in [
            ("channel_statistics", &channels, &model::CHANNEL[..]),
            ("facility_statistics", &facilities, &model::FACILITY[..]),
        ] {
            let objects: Vec<_> = sent.as_array().into_iter().flatten().filter_map(Value::as_object).collect();
            // Entries with plain columns exist; lists and objects are cleaned, and may become empty.
            let plain = |entry: &serde_json::Map<String, Value>| {
                let mut row = model::entry(fields, entry);
                row.retain(|_, value| !value.is_array() && !value.is_object());
                row
            };
            let least = objects.iter().filter(|entry| plain(entry) != plain(&serde_json::Map::new())).count();
            let kept = rows.with(table, "statistics_id", id).len();
            assert!((least..=objects.len()).contains(&kept), "{table}: {kept} of {least} to {}: {body}", objects.len());
        }
    });
    server.assert_well();
}

fn run<S: Strategy>(strategy: &S, mut case: impl FnMut(S::Value)) {
    let case = std::cell::RefCell::new(&mut case);
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let result = TestRunner::new(config).run(strategy, |value| {
        (case.borrow_mut())(value);
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}
