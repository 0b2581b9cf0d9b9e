//! Valid and invalid objects, each described by how it differs from a valid one.

use std::collections::BTreeMap;

use nutritionfacts::domain::{
    country::Country,
    message::{Message, Problem},
};
use serde_json::{Value, json};

/// A valid object.
pub fn object() -> Value {
    json!({
        "apiVersion": "nutritionfacts.learningequality.org/v1alpha1",
        "kind": "KolibriMessage",
        "metadata": {"name": "upgrade"},
        "spec": {
            "stage": "Active", "versionRange": ">=0.15.0,<0.18.0", "linkUrl": "https://example.org/a", "date": "2026-11-01",
            "translations": {
                "en": {"title": "T", "message": "M\nm", "linkText": "L"},
                "es-419": {"title": "T", "message": "M"},
            },
            "audience": {
                "instances": ["abc"], "networks": ["10.0.0.0/8", "2001:db8::/32"], "countries": ["TZ"],
                "installers": ["Windows"], "os": ["windows"], "modes": [""], "languages": ["sw-tz"],
            },
        },
    })
}

/// Sets a value in the object; cannot remove one.
pub fn put(place: &str, value: Option<Value>) -> Value {
    let mut object = object();
    let (parent, name) = place.rsplit_once('/').unwrap();
    match (object.pointer_mut(parent).unwrap(), value) {
        (Value::Array(list), Some(value)) => list[name.parse::<usize>().unwrap()] = value,
        (fields, Some(value)) => fields[name] = value,
        (fields, None) => drop(fields.as_object_mut().unwrap().remove(name).unwrap()),
    }
    object
}

/// The result of [`Message::read`] for its name and spec.
pub fn read(object: &Value) -> Result<Message, Vec<Problem>> {
    let mut document = object["spec"].clone();
    if let Some(fields) = document.as_object_mut() {
        fields.insert("id".into(), object["metadata"]["name"].clone());
    }
    Message::read(&document)
}

fn texts(languages: impl IntoIterator<Item = String>) -> Value {
    let text = json!({"title": "T", "message": "M"});
    json!(languages.into_iter().map(|language| (language, text.clone())).collect::<BTreeMap<_, _>>())
}

/// English, and this number of other languages.
fn languages(others: usize) -> Value {
    texts(["en".into()].into_iter().chain((0..others).map(|number| format!("aa-{number}"))))
}

/// Values at each limit that are still allowed, and others that a rule might reject by mistake.
pub fn accepted() -> Vec<(&'static str, Option<Value>)> {
    let long_link = format!("https://{}", "x".repeat(142));
    let mut cases = vec![
        ("/metadata/name", json!("x".repeat(50))),
        ("/metadata/name", json!("0.a-b")),
        ("/spec/versionRange", json!("*")),
        ("/spec/versionRange", json!("==0.16.0,")),
        ("/spec/versionRange", json!("<100.200.300")),
        ("/spec/versionRange", json!(">=0.15.0,<0.18.10,!=0.16.0,!=0.16.10,!=0.17.10000")),
        ("/spec/versionRange", json!(">0.0.0,<=99999999999999999999.0.0")),
        ("/spec/linkUrl", json!("")),
        ("/spec/linkUrl", json!("http://x")),
        ("/spec/linkUrl", json!("https://example.org/späť?q=1&r=%20#😀")),
        ("/spec/linkUrl", json!(long_link)),
        ("/spec/translations", languages(99)),
        (
            "/spec/translations",
            texts(["en", "sw-tz", "zh-hans", "kab", "ff-adlm-gn-fonip"].map(|code| code[..code.len().min(15)].into())),
        ),
        ("/spec/translations/en/title", json!("t".repeat(500))),
        ("/spec/translations/en/title", json!("\u{a0}é 漢 \u{202e}")),
        ("/spec/translations/en/message", json!("m".repeat(5_000))),
        ("/spec/translations/en/message", json!("\na\tb\n")),
        ("/spec/translations/en/linkText", json!("l".repeat(500))),
        ("/spec/audience", json!({})),
        ("/spec/audience", json!({"instances": [], "networks": []})),
        ("/spec/audience/instances", json!((0..1_000).map(|number| format!("{number:100}")).collect::<Vec<_>>())),
        ("/spec/audience/networks", json!(vec!["2001:db8::/32"; 200])),
        ("/spec/audience", json!({"countries": [], "installers": [], "os": [], "modes": [], "languages": []})),
        ("/spec/audience/countries", json!(Country::all().collect::<Vec<_>>())),
        ("/spec/audience/installers", json!((0..100).map(|number| format!("{number:255}")).collect::<Vec<_>>())),
        ("/spec/audience/installers/0", json!("kolibri(apt) with kolibri-server Version: 0.3.5-0ubuntu1")),
        ("/spec/audience/os", json!(["windows", "macos", "linux", "android", "chromeos", "other"])),
        ("/spec/audience/modes", json!((0..100).map(|number| format!("{number:255}")).collect::<Vec<_>>())),
        ("/spec/audience/modes", json!(["", "android-Ministère de l’éducation"])),
        ("/spec/audience/languages", json!(vec!["ff-adlm-gn-foni"; 100])),
        ("/spec/audience/languages", json!(["en", "sw-tz", "zh-hans", "kab", "es-419"])),
        ("/spec/audience/networks/0", json!("10.0.0.1/8")),
        ("/spec/audience/networks/0", json!("0.0.0.0/0")),
        ("/spec/audience/networks/0", json!("0064:ff9b:0000:0000:0000:0000:255.255.255.255/128")),
    ];
    cases.extend(["Draft", "Staged", "Active", "Withdrawn"].map(|stage| ("/spec/stage", json!(stage))));
    let days = ["0001-01-01", "1900-02-28", "2000-02-29", "2024-02-29", "2026-02-28", "9996-02-29", "9999-12-31"];
    cases.extend(days.map(|day| ("/spec/date", json!(day))));
    let month_ends = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31].into_iter().zip(1..);
    cases.extend(month_ends.map(|(day, month)| ("/spec/date", json!(format!("2026-{month:02}-{day}")))));
    let mut cases: Vec<_> = cases.into_iter().map(|(place, value)| (place, Some(value))).collect();
    let optional =
        ["/spec/versionRange", "/spec/linkUrl", "/spec/audience", "/spec/audience/instances", "/spec/audience/os"];
    cases.extend(optional.map(|place| (place, None)));
    cases.push(("/spec/translations/en/linkText", None));
    cases
}

/// The path, the value set there, the path that the API server reports, and its error.
pub type Refused = (&'static str, Option<Value>, &'static str, &'static str);

const NO_RANGE: &str =
    "is not a version range; write `*`, or comparisons with three numbers each and no spaces, as `>=0.15.0,<0.18.0`";
const NOT_FINAL: &str = "has a bound that is not a final version; Kolibri versions disagree about others; use the final version, as `<0.16.0`";
const ZERO: &str = "has a number that begins with a zero; write it without, as `<0.16.0`";
const NO_LINK: &str = "is not an address that begins with `https://` or `http://`; leave the key out if there is none";
const LINK_SPACE: &str = "contains a space or a control character; write a space as `%20`";
const NO_DAY: &str = "is not a date; write it as `2026-11-01`, without a time";
const NO_CODE: &str =
    "has a key that is not a language code; write it as Kolibri does, in lower case: `en`, `sw-tz`, `pt-br`";
const NO_ENGLISH: &str = "`en` is missing; devices in a language without a translation show the English text";
const BLANK: &str = "is empty; write some text";
const LINES: &str = "contains a line break, a tab or another control character; write it in one line";
const CONTROL: &str = "contains a control character other than a line break or a tab; remove it";
const NO_NETWORK: &str = "is not a network; write it as `10.0.0.0/8` or `2001:db8::/32`";
const NO_COUNTRY: &str = "is not a country's code of ISO 3166-1; write two capital letters, as `TZ`";
const BLANK_MODE: &str = "is blank; write `\"\"` for ordinary installations";
const NO_LANGUAGE: &str = "is not a language code; write it as Kolibri does, in lower case: `en`, `sw-tz`, `pt-br`";
const NO_NAME: &str = "metadata.name is longer than 50 characters, which devices cannot store; choose a shorter one";

/// Messages that clients cannot store.
#[expect(clippy::too_many_lines, reason = "a table")]
pub fn refused() -> Vec<Refused> {
    let mut cases = vec![
        ("/metadata/name", json!("x".repeat(51)), "<nil>", NO_NAME),
        ("/metadata/name", json!("a b"), "metadata.name", "Invalid value"),
        ("/metadata/name", json!("a\nb"), "metadata.name", "Invalid value"),
        ("/metadata/name", json!("😀".repeat(26)), "metadata.name", "Invalid value"),
        ("/spec", json!(null), "spec", "Required value"),
        ("/spec", json!("text"), "spec", "must be of type object"),
        ("/spec/stage", json!("active"), "spec.stage", "Unsupported value"),
        ("/spec/stage", json!(null), "spec.stage", "Required value"),
        ("/spec/stage", json!(5), "spec.stage", "must be of type string"),
        (
            "/spec/versionRange",
            json!(""),
            "spec.versionRange",
            "is empty; leave the key out or write `*` for all versions",
        ),
        (
            "/spec/versionRange",
            json!(">=0.15.00000000000000000000000000000000000000000000"),
            "spec.versionRange",
            "Too long",
        ),
        ("/spec/versionRange", json!(5), "spec.versionRange", "must be of type string"),
        ("/spec/linkUrl", json!(format!("https://{}", "x".repeat(143))), "spec.linkUrl", "Too long"),
        ("/spec/linkUrl", json!(5), "spec.linkUrl", "must be of type string"),
        ("/spec/date", json!(null), "spec.date", "Required value"),
        ("/spec/date", json!("2026-11-01T00:00:00.000000000+00:00:00:00:00"), "spec.date", "Too long"),
        ("/spec/date", json!(20_261_101), "spec.date", "must be of type string"),
        ("/spec/translations", json!(null), "spec.translations", "Required value"),
        ("/spec/translations", json!([]), "spec.translations", "must be of type object"),
        ("/spec/translations", json!({}), "spec.translations", NO_ENGLISH),
        ("/spec/translations", texts(["de".into()]), "spec.translations", NO_ENGLISH),
        ("/spec/translations", languages(100), "spec.translations", "Too many"),
        ("/spec/translations/en", json!("text"), "spec.translations[en]", "must be of type object"),
        ("/spec/translations/en", json!({"message": "M"}), "spec.translations[en].title", "Required value"),
        ("/spec/translations/en", json!({"title": "T"}), "spec.translations[en].message", "Required value"),
        ("/spec/translations/en/title", json!(null), "spec.translations[en].title", "Required value"),
        ("/spec/translations/en/title", json!(5), "spec.translations[en].title", "must be of type string"),
        ("/spec/translations/en/title", json!("t".repeat(501)), "spec.translations[en].title", "Too long"),
        ("/spec/translations/en/message", json!("m".repeat(5_001)), "spec.translations[en].message", "Too long"),
        ("/spec/translations/en/linkText", json!("l".repeat(501)), "spec.translations[en].linkText", "Too long"),
        ("/spec/audience", json!([]), "spec.audience", "must be of type object"),
        ("/spec/audience/instances", json!("abc"), "spec.audience.instances", "must be of type array"),
        ("/spec/audience/instances", json!(vec!["a"; 1_001]), "spec.audience.instances", "Too many"),
        ("/spec/audience/instances/0", json!(5), "spec.audience.instances[0]", "must be of type string"),
        ("/spec/audience/instances/0", json!("i".repeat(101)), "spec.audience.instances[0]", "Too long"),
        ("/spec/audience/networks", json!(vec!["10.0.0.0/8"; 201]), "spec.audience.networks", "Too many"),
        ("/spec/audience/networks/0", json!("1".repeat(50)), "spec.audience.networks[0]", "Too long"),
        ("/spec/audience/countries", json!("TZ"), "spec.audience.countries", "must be of type array"),
        ("/spec/audience/countries", json!(vec!["TZ"; 251]), "spec.audience.countries", "Too many"),
        // `NO` without quotes.
        ("/spec/audience/countries/0", json!(false), "spec.audience.countries[0]", "must be of type string"),
        ("/spec/audience/countries/0", json!("T".repeat(41)), "spec.audience.countries[0]", "Too long"),
        ("/spec/audience/installers", json!(vec!["a"; 101]), "spec.audience.installers", "Too many"),
        ("/spec/audience/installers/0", json!("i".repeat(256)), "spec.audience.installers[0]", "Too long"),
        ("/spec/audience/os", json!(vec!["linux"; 7]), "spec.audience.os", "Too many"),
        ("/spec/audience/os/0", json!("Windows"), "spec.audience.os[0]", "Unsupported value"),
        ("/spec/audience/os/0", json!(""), "spec.audience.os[0]", "Unsupported value"),
        ("/spec/audience/modes", json!(vec!["a"; 101]), "spec.audience.modes", "Too many"),
        ("/spec/audience/modes/0", json!("m".repeat(256)), "spec.audience.modes[0]", "Too long"),
        ("/spec/audience/languages", json!(vec!["en"; 101]), "spec.audience.languages", "Too many"),
        ("/spec/audience/languages/0", json!("e".repeat(41)), "spec.audience.languages[0]", "Too long"),
    ];
    let mut each = |place, path, complaint, values: &[&str]| {
        cases.extend(values.iter().map(|value| (place, json!(value), path, complaint)));
    };
    let place = "/spec/versionRange";
    let no_ranges = [
        " ",
        "\u{3000}",
        " *",
        "*\n",
        "**",
        "*,*",
        ",",
        "0.15.0",
        "=0.15.0",
        "~0.15.0",
        "===0.15.0",
        "<",
        "<0.16",
        "<0.16.x",
        "<v0.16.0",
        "<0..0",
        "< 0.16.0",
        "<0.16.0 ",
        ">=0.15.0, <0.18.0",
        "<0.16.0,,>=0.15.0",
        "<0.16.0,,",
        "<0.16.0 <0.17.0",
    ];
    each(place, "spec.versionRange", NO_RANGE, &no_ranges);
    let not_final = ["<0.16.0b10", "<0.16.0.1", ">0.15.0,<0.16.0rc1,", "<0.16.0ä", "<0.16.0+x", "<0.16.0\u{a0}"];
    each(place, "spec.versionRange", NOT_FINAL, &not_final);
    each(place, "spec.versionRange", ZERO, &["<0.016.0", ">=00.15.0", "<0.16.00", ">=0.15.0,<0.18.01"]);

    let no_links =
        [" ", "example.org", "javascript:alert(1)", "https:", "https://", "https:///x", "HTTPS://x", " https://x"];
    each("/spec/linkUrl", "spec.linkUrl", NO_LINK, &no_links);
    let spaces = [
        "https://x/a b",
        "https://x\n",
        "https://x/\u{a0}",
        "https://x/\u{2028}",
        "https://x/\u{7}",
        "https://x/\u{85}",
    ];
    each("/spec/linkUrl", "spec.linkUrl", LINK_SPACE, &spaces);

    let no_days = [
        "",
        "2026-11-01T00:00:00Z",
        "2026-11-01\n",
        " 2026-11-01",
        "26-11-1",
        "2026-1-01",
        "20261101",
        "+2026-11-01",
        "12026-11-01",
        "0000-01-01",
        "0000-02-29",
        "2026-00-01",
        "2026-13-01",
        "2026-01-00",
        "2026-01-32",
        "2026-02-29",
        "2026-02-30",
        "2024-02-30",
        "2024-02-31",
        "1900-02-29",
        "2100-02-29",
        "2026-04-31",
        "2026-06-31",
        "2026-09-31",
        "2026-11-31",
        "２026-11-01",
    ];
    each("/spec/date", "spec.date", NO_DAY, &no_days);

    for (place, path) in [
        ("/spec/translations/en/title", "spec.translations[en].title"),
        ("/spec/translations/en/linkText", "spec.translations[en].linkText"),
        ("/spec/audience/instances/0", "spec.audience.instances[0]"),
        ("/spec/audience/installers/0", "spec.audience.installers[0]"),
    ] {
        each(place, path, BLANK, &["", " ", "\u{a0}\u{3000}"]);
        each(place, path, LINES, &["a\nb", "a\tb", "a\r", "\u{0}a", "a\u{7f}", "a\u{9f}"]);
    }
    each("/spec/translations/en/message", "spec.translations[en].message", BLANK, &["", "\n", " \n\t\u{2003}"]);
    each(
        "/spec/translations/en/message",
        "spec.translations[en].message",
        CONTROL,
        &["a\u{0}b", "a\r\nb", "a\u{1b}", "a\u{85}"],
    );

    each(
        "/spec/audience/countries/0",
        "spec.audience.countries[0]",
        NO_COUNTRY,
        &["", " ", "tz", "TZA", "UK", "EU", "ZZ", "TZ ", "TZ\n", "T", "Kenya", "É1"],
    );
    each("/spec/audience/modes/0", "spec.audience.modes[0]", BLANK_MODE, &[" ", "\u{a0}\u{3000}"]);
    each("/spec/audience/modes/0", "spec.audience.modes[0]", LINES, &["a\nb", "a\tb", "\u{0}a", "a\u{9f}"]);
    each(
        "/spec/audience/languages/0",
        "spec.audience.languages[0]",
        NO_LANGUAGE,
        &["", " ", "e", "EN", "pt-BR", "pt_br", "en\n", "ff-adlm-gn-foni2"],
    );

    for code in [
        "",
        "e",
        "EN",
        "pt-BR",
        "pt_br",
        "engl",
        "1en",
        "en-",
        "-en",
        "en--us",
        "en us",
        "en\n",
        "én",
        "ff-adlm-gn-foni2",
    ] {
        cases.push(("/spec/translations", texts(["en".into(), code.into()]), "spec.translations", NO_CODE));
    }
    let no_networks =
        ["", " ", "10.0.0.1", "10.0.0.0/33", "10.0.0/8", "10.0.0.0/8 ", "2001:db8::/129", "x/8", "fe80::1%eth0/64"];
    cases.extend(
        no_networks
            .map(|network| ("/spec/audience/networks/0", json!(network), "spec.audience.networks[0]", NO_NETWORK)),
    );

    let cases = cases.into_iter().map(|(place, value, path, complaint)| (place, Some(value), path, complaint));
    let required = [
        ("/spec", None, "spec", "Required value"),
        ("/spec/stage", None, "spec.stage", "Required value"),
        ("/spec/date", None, "spec.date", "Required value"),
        ("/spec/translations", None, "spec.translations", "Required value"),
        ("/spec/translations/en", None, "spec.translations", NO_ENGLISH),
    ];
    cases.chain(required).collect()
}
