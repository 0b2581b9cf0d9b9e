//! Which identifiers of devices are stored, from the first row on (docs/privacy.md).

use serde_json::{Value, json};

use crate::{
    model::pseudonym,
    stores::on_both_stores,
    support::{
        http::{PINGBACK, post},
        rows::{Row, Rows},
        server::{Server, Setup},
    },
};

on_both_stores!(
    pseudonymous_stores_hashes_and_networks,
    raw_stores_identifiers_and_addresses,
    none_stores_no_identifiers
);

const MAC: &str = "00:1B:44:11:3A:B7";

/// Sends a ping as through a proxy; returns its row.
fn row_of(setup: &Setup, server: &Server, project: &str, forwarding: &str) -> Row {
    let body = json!({
        "instance_id": "the instance", "database_id": "the database", "project": project, "macaddress": MAC,
        "system_id": "the system", "mac": MAC, "nested": [{"address": "203.0.113.7", "text": "harmless"}], "v6": "2001:db8::1",
    });
    let request = post(PINGBACK, body.to_string().as_bytes());
    let text = String::from_utf8(request).unwrap().replacen("\r\n", &format!("\r\n{forwarding}\r\n"), 1);
    assert_eq!(server.ask(text.as_bytes()).status, 200);
    Rows::open(&setup.url).one("pingbacks", "project", project)
}

fn columns(row: &Row) -> [&Value; 5] {
    ["node_id", "system_id", "ip", "instance_id", "database_id"].map(|column| &row[column])
}

fn pseudonymous_stores_hashes_and_networks(setup: &Setup) {
    let setup = setup.clone().set(r#"http.trusted_proxies=["127.0.0.0/8", "10.0.0.0/8"]"#);
    let server = setup.start();
    let row = row_of(&setup, &server, "one", "X-Forwarded-For: 198.51.100.1, 203.0.113.7, 10.1.2.3");
    let node = json!(pseudonym("node_id", MAC));
    let system = json!(pseudonym("system_id", "the system"));
    let network = json!("203.0.113.0/24");
    assert_eq!(columns(&row), [&node, &system, &network, &json!("the instance"), &json!("the database")]);
    let extra =
        json!({"mac": "[removed]", "nested": [{"address": "[removed]", "text": "harmless"}], "v6": "[removed]"});
    assert_eq!(row["extra"], extra);

    // The client controls entries before that of the last proxy; they are not trusted.
    for (number, (forwarding, expected)) in [
        ("X-Forwarded-For: 2001:db8:1:2:3::4", "2001:db8:1::/48"),
        ("X-Forwarded-For: ::ffff:203.0.113.9", "203.0.113.0/24"),
        ("Forwarded: for=192.0.2.60;proto=http, for=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::/48"),
        ("X-Forwarded-For: not an address", "127.0.0.0/24"),
        ("X-Forwarded-For: 203.0.113.1\r\nX-Forwarded-For: 198.51.100.2", "198.51.100.0/24"),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(row_of(&setup, &server, &number.to_string(), forwarding)["ip"], expected, "{forwarding}");
    }
    for hidden in [MAC, "203.0.113.7", "the system"] {
        assert!(!server.log.text().contains(hidden));
    }
    drop(server);

    let distrustful = Setup::sqlite();
    let server = distrustful.start();
    assert_eq!(row_of(&distrustful, &server, "one", "X-Forwarded-For: 203.0.113.7")["ip"], "127.0.0.0/24");
}

fn raw_stores_identifiers_and_addresses(setup: &Setup) {
    let setup = setup.clone().set("privacy.identifiers=raw").set("privacy.notice_url=https://example.org/notice");
    let setup = setup.set("privacy.notice_version=7").set(r#"http.trusted_proxies=["127.0.0.0/8"]"#);
    let server = setup.start();
    let row = row_of(&setup, &server, "one", "X-Forwarded-For: 203.0.113.7");
    let [mac, system, address] = [MAC, "the system", "203.0.113.7"].map(|text| json!(text));
    assert_eq!(columns(&row), [&mac, &system, &address, &json!("the instance"), &json!("the database")]);
    assert_eq!((&row["privacy_notice"], &row["extra"]["mac"]), (&json!("7"), &mac));
}

fn none_stores_no_identifiers(setup: &Setup) {
    let setup = setup.clone().set("privacy.identifiers=none");
    let server = setup.start();
    let row = row_of(&setup, &server, "one", "X-Forwarded-For: 203.0.113.7");
    let empty = json!("");
    assert_eq!(columns(&row), [&empty, &empty, &empty, &json!("the instance"), &json!("the database")]);
    let extra = row["extra"].to_string();
    assert!(extra.contains("nested") && !extra.contains("harmless") && !extra.contains(MAC), "names only: {extra}");
}
