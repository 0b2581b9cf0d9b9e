//! Who gets which message.

use proptest::{prelude::*, sample::subsequence};
use serde_json::{Value, json};

use super::*;
use crate::domain::country::Country;

fn catalogue(changes: &[(&str, Value)]) -> Catalogue {
    let messages: Vec<_> = changes
        .iter()
        .map(|(id, change)| {
            let mut document = json!({
                "id": id, "stage": "Active", "date": "2026-11-01",
                "translations": {"en": {"title": "T", "message": "M"}},
            });
            document.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            Message::read(&document).unwrap()
        })
        .collect();
    Catalogue::new(&messages)
}

const OLD: &str = "0.0.1";

/// A sender of no version that matters, in no known country, who says nothing.
fn nobody(version: &Version) -> Sender<'_> {
    let origin = Origin::new([192, 0, 2, 1].into(), None);
    Sender { version, mode: "", instance_id: "", origin, installer: "", os: "", language: "" }
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// The messages that are sent, as ids with their ranges.
fn sent(catalogue: &Catalogue, sender: Sender<'_>, today: &str) -> Vec<String> {
    let name = |json: &Bytes| {
        let message: Value = serde_json::from_slice(json).unwrap();
        format!("{} {}", message["msg_id"].as_str().unwrap(), message["version_range"].as_str().unwrap())
    };
    catalogue.choose(sender, day(today)).iter().map(name).collect()
}

fn chosen(catalogue: &Catalogue, version: &str, mode: &str, instance_id: &str, address: &str) -> Vec<String> {
    let version = Version::read(version).unwrap();
    let origin = Origin::new(address.parse().unwrap(), None);
    sent(catalogue, Sender { mode, instance_id, origin, ..nobody(&version) }, "2026-11-24")
}

/// The ids that this sender gets.
fn ids(catalogue: &Catalogue, change: impl Fn(&mut Sender<'_>)) -> Vec<String> {
    let version = Version::read(OLD).unwrap();
    let mut sender = nobody(&version);
    change(&mut sender);
    let names = sent(catalogue, sender, "2026-11-24");
    names.iter().map(|name| name.split(' ').next().unwrap().to_owned()).collect()
}

#[test]
fn messages_are_chosen_by_stage() {
    let all = catalogue(&[
        ("draft", json!({"stage": "Draft"})),
        ("staged", json!({"stage": "Staged", "versionRange": "<0.19.0"})),
        ("active", json!({"versionRange": "<0.18.0"})),
        ("withdrawn", json!({"stage": "Withdrawn"})),
    ]);
    let by_mode = |mode| chosen(&all, "0.17.5", mode, "", "192.0.2.1");
    assert_eq!(by_mode(""), ["active <0.18.0"]);
    assert_eq!(by_mode("demoserver"), ["active <0.18.0"]);
    assert_eq!(by_mode("staged-msgs"), ["active *", "staged *"]);
    assert_eq!(by_mode("staged-msgs-ver-0.18.2"), ["staged *"]);
    assert_eq!(by_mode("staged-msgs-ver-unreadable"), ["active *", "staged *"]);
    assert_eq!(by_mode("msg-hello"), ["active <0.18.0", "msg-hello "]);
}

#[test]
fn messages_are_chosen_by_version() {
    let all = catalogue(&[
        ("a", json!({"versionRange": "<0.16.0"})),
        ("b", json!({"versionRange": ">=0.15.0,<0.18.0"})),
        ("c", json!({})),
    ]);
    let by_version = |version| chosen(&all, version, "", "", "192.0.2.1").join(", ");
    assert_eq!(by_version("0.14.7"), "a <0.16.0, c *");
    assert_eq!(by_version("0.16.0a3"), "a <0.16.0, b >=0.15.0,<0.18.0, c *");
    assert_eq!(by_version("0.16.0"), "b >=0.15.0,<0.18.0, c *");
    assert_eq!(by_version("0.19.5"), "c *");
}

#[test]
fn messages_are_chosen_by_audience() {
    let all = catalogue(&[
        ("instance", json!({"audience": {"instances": ["abc", "def"]}})),
        ("network", json!({"audience": {"networks": ["10.0.0.0/8", "2001:db8::/32"]}})),
        ("both", json!({"audience": {"instances": ["abc"], "networks": ["10.0.0.0/8"]}})),
    ]);
    let to = |instance, address| {
        let names = chosen(&all, "0.17.5", "", instance, address);
        names.iter().map(|name| name.trim_end_matches(" *").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(to("abc", "192.0.2.1"), ["instance"]);
    assert_eq!(to("xyz", "10.1.2.3"), ["network"]);
    assert_eq!(to("xyz", "::ffff:10.1.2.3"), ["network"]);
    assert_eq!(to("xyz", "2001:db8::1"), ["network"]);
    assert_eq!(to("abc", "10.1.2.3"), ["both", "instance", "network"]);
    assert!(to("", "192.0.2.1").is_empty());
}

#[test]
fn the_newest_message_comes_first() {
    let all = catalogue(&[
        ("b", json!({})),
        ("old", json!({"date": "2025-01-01"})),
        ("a", json!({})),
        ("new", json!({"date": "2026-11-24"})),
    ]);
    assert_eq!(chosen(&all, "0.17.5", "", "", "192.0.2.1"), ["new *", "a *", "b *", "old *"]);
}

#[test]
fn a_message_is_held_back_until_its_day() {
    let all = catalogue(&[
        ("now", json!({"date": "2026-11-24"})),
        ("next", json!({"date": "2026-11-25"})),
        ("later", json!({"date": "2026-12-01"})),
        ("staged", json!({"date": "2026-12-01", "stage": "Staged"})),
    ]);
    let version = Version::read("0.17.5").unwrap();
    let on = |today| sent(&all, nobody(&version), today);
    assert!(on("2026-11-23").is_empty());
    assert_eq!(on("2026-11-24"), ["now *"]);
    assert_eq!(on("2026-11-25"), ["next *", "now *"]);
    assert_eq!(on("2026-11-30"), ["next *", "now *"]);
    assert_eq!(on("2026-12-01"), ["later *", "next *", "now *"]);
    assert_eq!(on("9999-12-31"), ["later *", "next *", "now *"]);
    // Testers see what will come.
    let tester = Sender { mode: "staged-msgs", ..nobody(&version) };
    assert_eq!(sent(&all, tester, "2026-11-24"), ["later *", "staged *", "next *", "now *"]);
    let preview = Sender { mode: "msg-x", ..nobody(&version) };
    assert_eq!(sent(&all, preview, "2026-11-24"), ["now *", "msg-x "], "as everybody");
}

#[test]
fn messages_are_chosen_by_country() {
    let all = catalogue(&[
        ("both", json!({"audience": {"countries": ["TZ", "KE"]}})),
        ("one", json!({"audience": {"countries": ["TZ"]}})),
        ("all", json!({"audience": {"countries": []}})),
    ]);
    let to = |code: &str| ids(&all, |sender| sender.origin.country = Country::read(code));
    assert_eq!(to("TZ"), ["all", "both", "one"]);
    assert_eq!(to("KE"), ["all", "both"]);
    assert_eq!(to("UG"), ["all"]);
    assert_eq!(to(""), ["all"], "an unknown country is in no list");
}

/// An upgrade is announced only where it is downloaded, and not where an app store brings it.
#[test]
fn messages_are_chosen_by_what_the_installation_says() {
    let all = catalogue(&[
        ("download", json!({"audience": {"installers": ["windows", "Mac", "whl"]}})),
        ("phone", json!({"audience": {"os": ["android", "chromeos"]}})),
        ("portuguese", json!({"audience": {"languages": ["pt"]}})),
        ("brazil", json!({"audience": {"languages": ["pt-br", "es-419"]}})),
        ("ordinary", json!({"audience": {"modes": [""]}})),
        ("shows", json!({"audience": {"modes": ["demoserver", "docker"]}})),
    ]);
    let installer = |installer: &'static str| ids(&all, |sender| (sender.installer, sender.mode) = (installer, "x"));
    assert_eq!(installer("Windows - 1.6.6"), ["download"]);
    assert_eq!(installer("whl"), ["download"]);
    for store in ["Windows App - 0.4.4", "apk - 0.19", "Flatpak - 3.2", "", "Unknown", "what nobody has thought of"] {
        assert!(installer(store).is_empty(), "{store}");
    }
    let os = |os: &'static str| ids(&all, |sender| (sender.os, sender.mode) = (os, "x"));
    assert_eq!([os("android"), os("linux"), os("")], [vec!["phone"], vec![], vec![]]);
    let language = |language: &'static str| ids(&all, |sender| (sender.language, sender.mode) = (language, "x"));
    assert_eq!([language("pt-br"), language("pt-mz")], [vec!["brazil", "portuguese"], vec!["portuguese"]]);
    assert_eq!([language("es-419"), language("es-es"), language("")], [vec!["brazil"], vec![], vec![]]);
    let mode = |mode: &'static str| ids(&all, |sender| sender.mode = mode);
    assert_eq!(
        [mode(""), mode("demoserver"), mode("Docker"), mode("dev")],
        [vec!["ordinary"], vec!["shows"], vec!["shows"], vec![]]
    );
}

/// The mode of a tester says only that it tests; all other lists apply.
#[test]
fn an_audience_applies_to_testers_except_for_modes() {
    let all = catalogue(&[
        ("ordinary", json!({"audience": {"modes": [""]}})),
        ("shows", json!({"audience": {"modes": ["demoserver"]}})),
        ("shows-in-kenya", json!({"audience": {"modes": ["demoserver"], "countries": ["KE"]}})),
    ]);
    let mode = |mode: &'static str| ids(&all, |sender| sender.mode = mode);
    assert_eq!(mode("staged-msgs"), ["ordinary", "shows"]);
    assert_eq!(mode("staged-msgs-ver-0.0.2"), ["ordinary", "shows"]);
    assert_eq!(mode("msg-x"), ["ordinary", "msg-x"]);
}

const COUNTRIES: [&str; 3] = ["TZ", "KE", "US"];
const INSTALLERS: [&str; 3] = ["Windows", "Windows App", "apk"];
const SYSTEMS: [&str; 3] = ["windows", "linux", "android"];
const MODES: [&str; 3] = ["", "demoserver", "docker"];
const LANGUAGES: [&str; 3] = ["sw-tz", "en", "pt-br"];
const INSTANCES: [&str; 3] = ["a", "b", "c"];
const NETWORKS: [&str; 3] = ["192.0.2.1/32", "192.0.2.2/32", "192.0.2.3/32"];

fn some(all: [&'static str; 3]) -> impl Strategy<Value = Vec<&'static str>> {
    subsequence(all.to_vec(), 0..=3)
}

proptest! {
    /// Against the rule in one line: of every list that is not empty, the sender's own value is an entry.
    #[test]
    fn lists_narrow_and_entries_are_alternatives(
        lists in (some(INSTANCES), some(NETWORKS), some(COUNTRIES), some(INSTALLERS), some(SYSTEMS), some(MODES), some(LANGUAGES)),
        is in prop::array::uniform7(0..3_usize),
        known in any::<bool>(),
    ) {
        let (instances, networks, countries, installers, os, modes, languages) = lists;
        let document = json!({"instances": instances, "networks": networks, "countries": countries, "installers": installers, "os": os, "modes": modes, "languages": languages});
        let all = catalogue(&[("a", json!({"audience": document}))]);
        let got = ids(&all, |sender| {
            sender.instance_id = INSTANCES[is[0]];
            sender.origin.address = NETWORKS[is[1]].split('/').next().unwrap().parse().unwrap();
            sender.origin.country = known.then(|| Country::read(COUNTRIES[is[2]]).unwrap());
            (sender.installer, sender.os, sender.mode, sender.language) = (INSTALLERS[is[3]], SYSTEMS[is[4]], MODES[is[5]], LANGUAGES[is[6]]);
        });
        let said = [INSTANCES[is[0]], NETWORKS[is[1]], if known { COUNTRIES[is[2]] } else { "?" }, INSTALLERS[is[3]], SYSTEMS[is[4]], MODES[is[5]], LANGUAGES[is[6]]];
        let lists = [instances, networks, countries, installers, os, modes, languages];
        let expected = lists.iter().zip(said).all(|(list, said)| list.is_empty() || list.contains(&said));
        prop_assert_eq!(!got.is_empty(), expected);
    }
}
