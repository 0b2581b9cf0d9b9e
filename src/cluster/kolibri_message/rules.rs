//! The rules of clients for messages, in CEL and with a remedy, so that `kubectl apply` reports violations.
//!
//! `tests/cluster` checks each rule against a real API server and against [`Message::read`]. Regular expressions are
//! written as raw strings of CEL; their syntax is RE2's.
//!
//! [`Message::read`]: crate::domain::message::Message::read

use kube::core::Rule;
use schemars::{Schema, SchemaGenerator, json_schema};

use crate::domain::{
    country,
    message::{
        FALLBACK_LANGUAGE, STAGES,
        limits::{MAX_ID, MAX_LANGUAGE, MAX_SYSTEMS},
    },
    platform::SYSTEMS,
};

/// Long enough for a date with a time, so that the rule's message is shown and not the limit's.
pub(super) const MAX_DATE: usize = 40;

/// Long enough for a name in place of a code, so that the rule's message is shown and not the limit's.
pub(super) const MAX_CODE: usize = 40;

/// The longest network: eight groups, the last two written as an IPv4 address, and `/128`.
pub(super) const MAX_NETWORK: usize = 49;

/// Returns a rule; `sentence` includes a remedy and reads well after a path and a colon.
fn rule(condition: impl Into<String>, sentence: &str) -> Rule {
    Rule::new(condition).message(sentence)
}

/// A rule of the whole object, because only there the metadata is visible. It cannot name their path.
pub(super) fn name() -> Rule {
    let sentence =
        format!("metadata.name is longer than {MAX_ID} characters, which devices cannot store; choose a shorter one");
    rule(format!("self.metadata.name.size() <= {MAX_ID}"), &sentence)
}

pub(super) fn stage(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": STAGES.map(|(name, _)| name) })
}

pub(super) fn all_versions() -> String {
    "*".to_owned()
}

pub(super) fn version_range() -> [Rule; 4] {
    let comparison = r"([<>]=?|[=!]=)[0-9]+\.[0-9]+\.[0-9]+[^,\s]*";
    [
        rule("self != ''", "is empty; leave the key out or write `*` for all versions"),
        rule(
            format!("self in ['', '*'] || self.matches(r'^{comparison}(,{comparison})*,?$')"),
            "is not a version range; write `*`, or comparisons with three numbers each and no spaces, as `>=0.15.0,<0.18.0`",
        ),
        rule(
            r"!self.matches(r'[<>=][0-9]+\.[0-9]+\.[0-9]+[^0-9,\s]')",
            "has a bound that is not a final version; Kolibri versions disagree about others; \
             use the final version, as `<0.16.0`",
        ),
        rule(
            "!self.matches(r'(^|[^0-9])0[0-9]')",
            "has a number that begins with a zero; write it without, as `<0.16.0`",
        ),
    ]
}

pub(super) fn link() -> [Rule; 2] {
    [
        rule(
            "self == '' || self.matches('^https?://[^/]')",
            "is not an address that begins with `https://` or `http://`; leave the key out if there is none",
        ),
        // \p{Z} is all whitespace of Unicode except control characters.
        rule(r"!self.matches(r'[\p{Z}\p{Cc}]')", "contains a space or a control character; write a space as `%20`"),
    ]
}

/// Uses regular expressions only: `timestamp()` of an invalid date is an error, which would be shown instead of
/// the sentence.
pub(super) fn date() -> [Rule; 1] {
    let form = "self.matches('^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$')";
    // Python has no year 0.
    let unreal = "self.matches('^0000|-02-3|-(04|06|09|11)-31')";
    let leap_year = "self.matches('^([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-')";
    let condition = format!("{form} && !{unreal} && (!self.endsWith('-02-29') || {leap_year})");
    [rule(condition, "is not a date; write it as `2026-11-01`, without a time")]
}

/// Whether the variable is the code of a language.
fn is_language(variable: &str) -> String {
    format!("{variable}.size() <= {MAX_LANGUAGE} && {variable}.matches('^[a-z]{{2,3}}(-[a-z0-9]+)*$')")
}

pub(super) fn language() -> [Rule; 1] {
    let sentence = "is not a language code; write it as Kolibri does, in lower case: `en`, `sw-tz`, `pt-br`";
    [rule(is_language("self"), sentence)]
}

pub(super) fn country() -> [Rule; 1] {
    let sentence = "is not a country's code of ISO 3166-1; write two capital letters, as `TZ`";
    [rule(format!("self.matches('{}')", country::Country::pattern()), sentence)]
}

pub(super) fn systems(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "maxItems": MAX_SYSTEMS, "items": { "type": "string", "enum": SYSTEMS } })
}

/// A line that may be empty.
pub(super) fn mode() -> [Rule; 2] {
    let [_, line] = line();
    [rule("self == '' || self.trim() != ''", "is blank; write `\"\"` for ordinary installations"), line]
}

pub(super) fn languages() -> [Rule; 2] {
    const EN: &str = FALLBACK_LANGUAGE;
    [
        rule(
            format!("'{EN}' in self"),
            &format!("`{EN}` is missing; devices in a language without a translation show the English text"),
        ),
        rule(
            format!("self.all(code, {})", is_language("code")),
            "has a key that is not a language code; write it as Kolibri does, in lower case: `en`, `sw-tz`, `pt-br`",
        ),
    ]
}

fn not_blank() -> Rule {
    rule("self.trim() != ''", "is empty; write some text")
}

/// A text without line breaks.
pub(super) fn line() -> [Rule; 2] {
    let sentence = "contains a line break, a tab or another control character; write it in one line";
    [not_blank(), rule(r"!self.matches(r'\p{Cc}')", sentence)]
}

/// A text that may have line breaks.
pub(super) fn text() -> [Rule; 2] {
    let sentence = "contains a control character other than a line break or a tab; remove it";
    [not_blank(), rule(r"!self.matches(r'[^\P{Cc}\n\t]')", sentence)]
}

pub(super) fn network() -> [Rule; 1] {
    [rule("isCIDR(self)", "is not a network; write it as `10.0.0.0/8` or `2001:db8::/32`")]
}

/// Conditions as everywhere in Kubernetes, with the limits of its own definition.
pub(super) fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 8,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["type", "status", "lastTransitionTime", "reason", "message"],
            "properties": {
                "type": {
                    "description": "Type of the condition.",
                    "type": "string",
                    "maxLength": 316,
                },
                "status": {
                    "description": "Status of the condition.",
                    "type": "string",
                    "enum": ["True", "False", "Unknown"],
                },
                "reason": {
                    "description": "The reason, in one word for programs.",
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 1024,
                    "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
                },
                "message": {
                    "description": "The reason, in a sentence for people.",
                    "type": "string",
                    "maxLength": 32768,
                },
                "lastTransitionTime": {
                    "description": "Time of the last change of the status.",
                    "type": "string",
                    "format": "date-time",
                },
                "observedGeneration": {
                    "description": "The generation of the object that the condition is about.",
                    "type": "integer",
                    "format": "int64",
                },
            },
        },
    })
}
