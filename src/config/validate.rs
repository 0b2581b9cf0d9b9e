//! Rules about several keys. Rules about one key are in the schema.

use std::collections::BTreeMap;

use hyper::http::uri::{Scheme, Uri};
use tracing_subscriber::EnvFilter;

use super::{
    Config,
    complaint::Complaint,
    layer::{DEFAULT, variable},
    privacy::{KEY_LENGTH, MAKE_A_KEY},
    secret::Secret,
    sections::{Kubernetes, Store},
};
use crate::domain::privacy::Identifiers;

/// A violated rule, and the keys that it is about.
pub(super) struct Broken {
    pub(super) keys: Vec<&'static str>,
    pub(super) complaint: Complaint,
}

/// Collects violated rules.
struct Check<'a> {
    origins: &'a BTreeMap<String, String>,
    broken: Vec<Broken>,
}

impl Check<'_> {
    /// Reports an error of these keys with the layer of each; the first key is named as the place.
    fn complain(&mut self, keys: &[&'static str], problem: &str, remedy: &str) {
        let mut layers: Vec<&str> = Vec::new();
        for layer in keys.iter().filter_map(|key| self.origins.get(*key)) {
            if layer != DEFAULT && !layers.contains(&layer.as_str()) {
                layers.push(layer);
            }
        }
        let layer = if layers.is_empty() { DEFAULT.to_owned() } else { layers.join(" and ") };
        let complaint = Complaint::new(layer, keys[0], problem).remedy(remedy);
        self.broken.push(Broken { keys: keys.to_vec(), complaint });
    }
}

/// All violated rules.
pub(super) fn check(config: &Config, origins: &BTreeMap<String, String>) -> Vec<Broken> {
    let mut check = Check { origins, broken: Vec::new() };
    listeners(config, &mut check);
    store(&config.store, &mut check);
    privacy(config, &mut check);
    ingest(config, &mut check);
    kubernetes(&config.kubernetes, &mut check);
    if EnvFilter::builder().parse(&config.telemetry.log.filter).is_err() {
        check.complain(
            &["telemetry.log.filter"],
            "got a value that is not a filter",
            "write directives such as `info` or `nutritionfacts=debug,sqlx=warn`",
        );
    }
    if let Some(endpoint) = &config.telemetry.tracing.endpoint
        && !is_collector(endpoint)
    {
        check.complain(
            &["telemetry.tracing.endpoint"],
            "got text that is not the URL of a collector",
            "write `http://HOST:4317` or `https://HOST:4317`; set credentials in `OTEL_EXPORTER_OTLP_HEADERS`",
        );
    }
    check.broken
}

fn is_collector(endpoint: &str) -> bool {
    let parts = endpoint.parse().map(Uri::into_parts);
    parts.is_ok_and(|parts| {
        parts.scheme.is_some_and(|scheme| scheme == Scheme::HTTP || scheme == Scheme::HTTPS)
            && parts
                .authority
                .is_some_and(|authority| !authority.host().is_empty() && !authority.as_str().contains('@'))
    })
}

fn listeners(config: &Config, check: &mut Check<'_>) {
    let (public, admin) = (config.http.listen, config.admin.listen);
    if public == admin && public.port() != 0 {
        check.complain(
            &["admin.listen", "http.listen"],
            "is the same address as `http.listen`",
            "give each its own port",
        );
    }
}

fn store(store: &Store, check: &mut Check<'_>) {
    let url = store.url.as_ref().map(Secret::expose);
    if url
        .is_some_and(|url| !["sqlite://", "postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)))
    {
        check.complain(
            &["store.url"],
            "got a value that is not a store URL",
            "begin it with `sqlite://`, `postgres://` or `postgresql://`",
        );
    }
    if url.is_some() && store.host.is_some() {
        check.complain(&["store.url", "store.host"], "is set together with `store.host`", "keep one of them");
    }
    let parts = [
        ("store.database", store.database.is_some()),
        ("store.user", store.user.is_some()),
        ("store.password", store.password.is_some()),
        ("store.password_file", store.password_file.is_some()),
    ];
    for (key, is_set) in parts {
        if is_set && store.host.is_none() {
            let remedy = if url.is_some() { "write it in `store.url`" } else { "set `store.host`, or leave it out" };
            check.complain(&[key, "store.host"], "belongs to `store.host`, which is not set", remedy);
        }
        if !is_set && store.host.is_some() && matches!(key, "store.database" | "store.user") {
            let name = key.trim_start_matches("store.");
            check.complain(&["store.host", key], &format!("needs `{key}`"), &format!("set the {name}"));
        }
    }
    if store.password.is_some() && store.password_file.is_some() {
        check.complain(
            &["store.password", "store.password_file"],
            "is set together with `store.password_file`",
            "keep one of them",
        );
    }
}

fn privacy(config: &Config, check: &mut Check<'_>) {
    let privacy = &config.privacy;
    if privacy.key.is_some() && privacy.key_file.is_some() {
        check.complain(
            &["privacy.key", "privacy.key_file"],
            "is set together with `privacy.key_file`",
            "keep one of them",
        );
    }
    if privacy.key.as_ref().is_some_and(|key| key.expose().trim().chars().count() < KEY_LENGTH) {
        check.complain(
            &["privacy.key"],
            &format!("got text of less than {KEY_LENGTH} characters"),
            &format!("make a key with `{MAKE_A_KEY}`"),
        );
    }
    match privacy.identifiers {
        // With the embedded store, the server generates a key beside the database.
        Identifiers::Pseudonymous
            if config.store.is_postgres() && privacy.key.is_none() && privacy.key_file.is_none() =>
        {
            check.complain(
                &["privacy.key", "privacy.key_file", "privacy.identifiers", "store.url", "store.host"],
                "is needed with PostgreSQL, for the pseudonyms of hardware identifiers",
                &format!(
                    "make one with `{MAKE_A_KEY}` and set it by {} or `privacy.key_file`",
                    variable("privacy.key")
                ),
            );
        }
        Identifiers::Raw => {
            for (key, value) in
                [("privacy.notice_url", &privacy.notice_url), ("privacy.notice_version", &privacy.notice_version)]
            {
                if value.is_none() {
                    check.complain(
                        &["privacy.identifiers", key],
                        &format!("`raw` needs `{key}`"),
                        "name the privacy notice that users agreed to, or choose `pseudonymous` or `none`",
                    );
                }
            }
        }
        Identifiers::Pseudonymous | Identifiers::None => {}
    }
}

fn kubernetes(kubernetes: &Kubernetes, check: &mut Check<'_>) {
    for (index, name) in kubernetes.config_maps.iter().enumerate() {
        if !is_name(name) {
            check.complain(
                &["kubernetes.config_maps"],
                &format!("item {index} is not a valid name of a ConfigMap"),
                "write lower-case letters, digits, `-` and `.`, at most 253",
            );
        } else if kubernetes.config_maps[..index].contains(name) {
            check.complain(&["kubernetes.config_maps"], &format!("item {index} is a duplicate"), "remove it");
        }
    }
    if kubernetes.namespace.as_ref().is_some_and(|name| !is_name(name)) {
        check.complain(&["kubernetes.namespace"], "is not a valid name of a namespace", "omit it to use the pod's own");
    }
}

/// RFC 1123, as for Kubernetes names. The name is used in a selector, where a comma has a meaning.
fn is_name(name: &str) -> bool {
    let is_edge = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let bytes = name.as_bytes();
    bytes.len() <= 253
        && is_edge(bytes.first())
        && is_edge(bytes.last())
        && bytes.iter().all(|byte| is_edge(Some(byte)) || matches!(byte, b'-' | b'.'))
}

fn ingest(config: &Config, check: &mut Check<'_>) {
    let ingest = &config.ingest;
    if ingest.queue_capacity < ingest.max_batch {
        check.complain(
            &["ingest.queue_capacity", "ingest.max_batch"],
            "is less than `ingest.max_batch`, so that no batch could be full",
            "raise it, or lower `ingest.max_batch`",
        );
    }
    for (index, rule) in ingest.mode_rules.iter().enumerate() {
        if rule.networks.is_empty() && rule.instances.is_empty() && rule.countries.is_empty() {
            check.complain(
                &["ingest.mode_rules"],
                &format!("rule {index} matches nobody"),
                "give it `networks`, `instances` or `countries`",
            );
        }
    }
}
