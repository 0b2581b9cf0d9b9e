//! The custom resource `KolibriMessage`: a message as an object of the cluster, whose name is the message's `id`.
//!
//! These types only define the schema. Objects are not deserialised into them but read by [`Message::read`], as any
//! document is, so that an object stored under an older schema is a rejected message and does not break the watch.
//!
//! The API server rejects what [`Message::read`] rejects, except for what a schema cannot express. This is left to the server:
//!
//! - Lengths in UTF-16 units: the API server counts a character beyond the basic plane once.
//! - The same name in two namespaces, or as the `id` in a file.
//! - What is never stored: a null is dropped as if its key were missing, and so is an unknown key where the strict
//!   validation of `kubectl` is switched off.
//!
//! Conversely, its rule for networks is stricter: no leading zeros, and no IPv4 in IPv6.
//!
//! [`Message::read`]: crate::domain::message::Message::read

mod rules;

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, CustomResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::message::limits::{
    MAX_COUNTRIES, MAX_INSTALLERS, MAX_INSTANCE, MAX_INSTANCES, MAX_LANGUAGES, MAX_LINK, MAX_MESSAGE, MAX_MODES,
    MAX_NETWORKS, MAX_RANGE, MAX_SENT, MAX_TITLE, MAX_TRANSLATIONS,
};

/// The text of the message, and who gets it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, CustomResource)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "nutritionfacts.learningequality.org",
    version = "v1alpha1",
    kind = "KolibriMessage",
    plural = "kolibrimessages",
    shortname = "kmsg",
    category = "nutritionfacts",
    namespaced,
    status = "KolibriMessageStatus",
    doc = "A message to the administrators of Kolibri devices, sent with the replies to their pings. The name of the object is \
           the id of the message. An object with the name of an earlier message replaces it on the devices, and users \
           who dismissed that one do not see it again.",
    validation = rules::name(),
    printcolumn(name = "Stage", type_ = "string", json_path = ".spec.stage", description = "Stage of publication."),
    printcolumn(
        name = "Versions",
        type_ = "string",
        json_path = ".spec.versionRange",
        description = "The versions of Kolibri that get it."
    ),
    printcolumn(
        name = "Date",
        type_ = "string",
        json_path = ".spec.date",
        description = "The date by which devices sort messages."
    ),
    printcolumn(
        name = "Published",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Published")].status"#,
        description = "Whether devices get it."
    ),
    printcolumn(
        name = "Accepted",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Accepted")].status"#,
        description = "Whether it is valid."
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
pub struct KolibriMessageSpec {
    /// Stage of publication. `Draft` is sent to nobody, `Staged` only to testers (devices whose run mode begins with
    /// `staged-msgs`), `Active` to its whole audience, `Withdrawn` to nobody any more.
    #[schemars(schema_with = "rules::stage")]
    pub stage: String,

    /// The versions of Kolibri that get it: `*` for all, or comparisons separated by commas without spaces,
    /// such as `>=0.15.0,<0.18.0`. Each bound is a final version of three numbers. Quote it, because `*` and `>` have a
    /// meaning in YAML. Devices check it each time they show messages, so that a request to upgrade disappears after the
    /// upgrade.
    #[serde(default = "rules::all_versions")]
    #[schemars(length(max = MAX_RANGE), extend("x-kubernetes-validations" = rules::version_range()))]
    pub version_range: String,

    /// An address that begins with `https://` or `http://`. Omit it if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(max = MAX_LINK), extend("x-kubernetes-validations" = rules::link()))]
    pub link_url: Option<String>,

    /// A date such as `2026-11-01`. Devices show the newest message; older ones follow when it is dismissed. A message
    /// whose date is in the future is held back until then.
    #[schemars(length(max = rules::MAX_DATE), extend("x-kubernetes-validations" = rules::date()))]
    pub date: String,

    /// The texts by language code, as Kolibri writes it (`en`, `sw-tz`, `pt-br`, `es-419`). `en` is required; it is
    /// shown where a language is missing.
    #[schemars(extend("maxProperties" = MAX_TRANSLATIONS, "x-kubernetes-validations" = rules::languages()))]
    pub translations: BTreeMap<String, Translation>,

    /// Who gets it. Omit it for everybody. It is never sent to devices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Audience")]
    pub audience: Option<Audience>,
}

/// The texts in one language.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Translation {
    /// The title, in one line.
    #[schemars(length(max = MAX_TITLE), extend("x-kubernetes-validations" = rules::line()))]
    pub title: String,

    /// The message. Line breaks are kept.
    #[schemars(length(max = MAX_MESSAGE), extend("x-kubernetes-validations" = rules::text()))]
    pub message: String,

    /// The text of the link, in one line. Without it the address is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(max = MAX_TITLE), extend("x-kubernetes-validations" = rules::line()))]
    pub link_text: Option<String>,
}

/// Who gets a message: devices that match every list that has entries. They match a list if they match one of its entries.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Audience {
    /// Installations that get it, by their `instance_id`. If empty, all do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = MAX_INSTANCES))]
    pub instances: Vec<Instance>,

    /// Networks whose pings get it, such as `203.0.113.0/24` or `2001:db8::/32`. If empty, all do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = MAX_NETWORKS))]
    pub networks: Vec<Network>,

    /// Countries whose pings get it, by their codes of ISO 3166-1, such as `TZ`. Quote `"NO"`, which YAML may take for false.
    /// A device whose country is unknown is in no list. If empty, all countries get it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = MAX_COUNTRIES))]
    pub countries: Vec<Country>,

    /// Installers whose installations get it: the text that they send, with or without the version at its end. `Windows`
    /// is also `Windows - 1.6.6`, and not `Windows App - 0.4.4`. If empty, all do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = MAX_INSTALLERS))]
    pub installers: Vec<Installer>,

    /// Operating systems that get it: `windows`, `macos`, `linux`, `android`, `chromeos`, `other`. If empty, all do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "rules::systems")]
    pub os: Vec<String>,

    /// Modes that get it, such as `demoserver`; `""` is an ordinary installation. Does not apply to testers. If empty, all do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = MAX_MODES))]
    pub modes: Vec<Mode>,

    /// Languages of devices that get it, as Kolibri writes them, with or without their region: `pt` is also `pt-br`. If
    /// empty, all do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = MAX_LANGUAGES))]
    pub languages: Vec<Language>,
}

/// The id of an installation.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Instance(#[schemars(length(max = MAX_INSTANCE), extend("x-kubernetes-validations" = rules::line()))] String);

/// A network in CIDR notation.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Network(
    #[schemars(length(max = rules::MAX_NETWORK), extend("x-kubernetes-validations" = rules::network()))] String,
);

/// The code of a country.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Country(
    #[schemars(length(max = rules::MAX_CODE), extend("x-kubernetes-validations" = rules::country()))] String,
);

/// An installer.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Installer(#[schemars(length(max = MAX_SENT), extend("x-kubernetes-validations" = rules::line()))] String);

/// A mode.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Mode(#[schemars(length(max = MAX_SENT), extend("x-kubernetes-validations" = rules::mode()))] String);

/// The code of a language.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Language(
    #[schemars(length(max = rules::MAX_CODE), extend("x-kubernetes-validations" = rules::language()))] String,
);

/// What the server has done with the message.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KolibriMessageStatus {
    /// The generation of the object that the server checked last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64")]
    pub observed_generation: Option<i64>,

    /// The conditions: `Accepted` says whether the message is valid, `Published` whether devices get it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "rules::conditions")]
    pub conditions: Vec<Condition>,
}

/// The definition of the resource as YAML.
#[must_use]
pub fn yaml() -> String {
    format!("# Made by `nutritionfacts crd`; do not edit.\n{}\n", written(&definition()))
}

fn written(definition: &Value) -> String {
    let options = serde_saphyr::ser_options! { folded_wrap_chars: 100 };
    // Every JSON value can be written as YAML.
    serde_saphyr::to_string_with_options(definition, options)
        .expect("a definition has a YAML form")
        .trim_end()
        .to_owned()
}

fn definition() -> Value {
    // The derive macro has made it from JSON.
    let mut definition = serde_json::to_value(KolibriMessage::crd()).expect("a definition has a JSON form");
    join_lines(&mut definition);
    definition
}

/// Joins the lines of descriptions, which are wrapped as in the source; `kubectl explain` wraps them itself.
fn join_lines(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if name == "description" => *text = text.replace('\n', " "),
                    other => join_lines(other),
                }
            }
        }
        Value::Array(entries) => entries.iter_mut().for_each(join_lines),
        _ => {}
    }
}
