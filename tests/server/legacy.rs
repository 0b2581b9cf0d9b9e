//! Recorded requests to the previous public server: same reply here, or a reason in docs/compatibility.md.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use serde_json::Value;

use crate::{
    stores::on_both_stores,
    support::{
        http::{Connection, Reply},
        rows::Rows,
        server::Setup,
    },
};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/kolibri/legacy-server");

/// What a client can distinguish.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Body {
    Empty,
    IdAndMessages(usize),
    Messages,
    Sorry,
    Ok,
    Page,
    Other,
}

use Body::{Empty, IdAndMessages, Messages, Other, Page, Sorry};

/// Where we differ, and our reply.
const DIFFERENT: [(&str, u16, Body); 22] = [
    ("double-slash", 404, Other),
    ("gzip-body", 200, IdAndMessages(0)),
    ("installer-81-chars", 200, IdAndMessages(0)),
    ("instance-missing", 200, IdAndMessages(0)),
    ("instance-too-long", 200, IdAndMessages(0)),
    ("json-empty-object", 200, Empty),
    ("json-list", 400, Sorry),
    ("json-null", 400, Sorry),
    ("jsonp-callback", 200, IdAndMessages(0)),
    ("mode-31-chars", 200, IdAndMessages(0)),
    ("nul-character", 200, IdAndMessages(0)),
    ("platform-201-chars", 200, IdAndMessages(0)),
    ("statistics-no-pi", 200, Messages),
    ("statistics-unknown-pi", 200, Messages),
    ("statistics-uuid-pi", 200, Messages),
    ("timestamp-bad", 200, IdAndMessages(0)),
    ("trailing-slash", 200, IdAndMessages(0)),
    ("uptime-bad", 200, IdAndMessages(0)),
    ("uptime-huge", 200, IdAndMessages(0)),
    ("utf8-bom", 200, IdAndMessages(0)),
    ("version-missing", 200, Empty),
    ("version-two-part", 200, Empty),
];

/// The messages that the previous server had when it was recorded.
const MESSAGES: &str = "\
id: m-active
stage: Active
versionRange: '>=0.12.0,<0.18.0'
linkUrl: https://learningequality.org/r/upgrade
date: 2024-05-27
translations:
  en:
    title: Upgrade available
    message: A new version of Kolibri is available.
    linkText: Download it here
---
id: m-staged
stage: Staged
versionRange: <0.13.0
date: 2024-05-28
translations: {en: {title: S, message: Staged}}
";

on_both_stores!(replies_are_those_of_the_previous_server_unless_documented);

fn kind(reply: &Reply) -> Body {
    let json = reply.json();
    let messages = json["messages"].as_array();
    match (reply.text().as_str(), messages) {
        ("", _) => Empty,
        ("OK", _) => Body::Ok,
        ("Sorry, please send a valid JSON object.", _) => Sorry,
        (text, _) if text.starts_with('<') => Page,
        (_, Some(messages)) if json.get("id").is_some() => IdAndMessages(messages.len()),
        (_, Some(_)) => Messages,
        _ => Other,
    }
}

/// The messages of a reply by id, without the targeting lists that the previous server sent out.
fn messages(reply: &Reply) -> BTreeMap<String, Value> {
    let messages = reply.json()["messages"].as_array().cloned().unwrap_or_default();
    let named = messages.into_iter().map(|mut message| {
        let fields = message.as_object_mut().unwrap();
        fields.retain(|name, _| !name.ends_with("_to_include"));
        (message["msg_id"].as_str().unwrap().to_owned(), message)
    });
    named.collect()
}

/// Parses a recorded reply as a client would.
fn recorded(bytes: Vec<u8>) -> Reply {
    use std::{io::Write, net::TcpListener, thread};
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || listener.accept().unwrap().0.write_all(&bytes).unwrap());
    let reply = Connection::open(address).reply();
    server.join().unwrap();
    reply
}

fn replies_are_those_of_the_previous_server_unless_documented(setup: &Setup) {
    let file = setup.folder().join("messages.yaml");
    fs::write(&file, MESSAGES).unwrap();
    let mut server = setup.start();
    let mut rows = Rows::open(&setup.url);
    let mut names: Vec<String> =
        fs::read_dir(FOLDER).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names.len(), 51);
    let mut differing = BTreeSet::new();
    // It got its messages before the last requests.
    names.sort_by_key(|name| name.starts_with("message-"));
    let mut has_messages = false;
    for name in &names {
        if !has_messages && name.starts_with("message-") {
            server.stop();
            server = setup.clone().set(&format!("messages.files=[{}]", file.display())).start();
            has_messages = true;
        }
        let request = fs::read(format!("{FOLDER}/{name}/request.http")).unwrap();
        let old = recorded(fs::read(format!("{FOLDER}/{name}/reply.http")).unwrap());
        let before = [rows.count("pingbacks"), rows.count("statistics")];
        let mut connection = server.connect();
        let new = connection.ask(&request);
        assert!(!new.says_close() && connection.is_open(), "{name}");

        // The text of our test message is different.
        if name == "mode-msg" {
            assert_eq!(messages(&new)["msg-abc"]["version_range"], messages(&old)["msg-abc"]["version_range"]);
        } else if kind(&old) == kind(&new) {
            assert_eq!(messages(&new), messages(&old), "{name}");
        }
        let (old, new) = ((old.status, kind(&old)), (new.status, kind(&new)));
        let expected = DIFFERENT.into_iter().find(|(other, ..)| other == name).map(|(_, status, body)| (status, body));
        assert_eq!(new, expected.unwrap_or(old), "{name}: the previous server said {old:?}");
        if new != old {
            differing.insert(name.as_str());
        }

        let added = [rows.count("pingbacks") - before[0], rows.count("statistics") - before[1]];
        let wanted = match new {
            (200, Messages) => [0, 1],
            (200, Empty | IdAndMessages(_)) => [1, 0],
            _ => [0, 0],
        };
        assert_eq!(added, wanted, "rows after {name}");
    }
    assert_eq!(
        differing,
        DIFFERENT.into_iter().map(|(name, ..)| name).collect(),
        "the table lists what differs and nothing else"
    );
    server.assert_well();
}

#[test]
fn the_documentation_lists_all_differences() {
    let document = include_str!("../../docs/compatibility.md");
    let listed: Vec<&str> =
        document.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`').map(|(name, _)| name)).collect();
    let expected: Vec<&str> = DIFFERENT.into_iter().map(|(name, ..)| name).collect();
    assert_eq!(listed, expected, "docs/compatibility.md, in alphabetical order");
}
