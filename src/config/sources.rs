//! Reads files, environment and flags into layers. The only module that reads the environment.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use super::layer::{Fault, Layer, PREFIX, Source};

/// Conventional variables; they override files, and our own variables override them.
/// Later ones override earlier ones.
const CONVENTIONAL: [(&str, &str); 5] = [
    ("DATABASE_URL", "store.url"),
    ("RUST_LOG", "telemetry.log.filter"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "telemetry.tracing.endpoint"),
    ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "telemetry.tracing.endpoint"),
    ("OTEL_TRACES_SAMPLER_ARG", "telemetry.tracing.sample_ratio"),
];

/// The configuration flags of the command line.
#[derive(Clone, Default)]
pub struct Flags {
    /// Files, later ones override earlier ones; if any, `NUTRITIONFACTS_CONFIG` is ignored.
    pub files: Vec<PathBuf>,
    /// Settings as `key.path=value`.
    pub set: Vec<String>,
    /// Shorthand flags for one key: name of the flag, key, and text.
    pub shorthands: Vec<(&'static str, &'static str, String)>,
}

/// All layers, lowest precedence first: files, conventional variables, our variables, `--set`, shorthand flags.
#[must_use]
pub fn layers(flags: &Flags) -> Vec<Layer> {
    let environment: Vec<_> = env::vars_os().collect();
    let mut layers: Vec<_> = files(flags, &environment).iter().map(|path| read(path)).collect();
    layers.extend(variables(&environment));
    layers.extend(flags.set.iter().map(|text| set(text)));
    layers.extend(flags.shorthands.iter().map(|(name, key, text)| Layer::flag(name, key, text)));
    layers
}

fn files(flags: &Flags, environment: &[(OsString, OsString)]) -> Vec<PathBuf> {
    if !flags.files.is_empty() {
        return flags.files.clone();
    }
    let names = environment.iter().find(|(name, _)| name == "NUTRITIONFACTS_CONFIG");
    let names = names.map(|(_, names)| env::split_paths(names)).into_iter().flatten();
    names.filter(|name| !name.as_os_str().is_empty()).collect()
}

fn read(path: &Path) -> Layer {
    match fs::read_to_string(path) {
        Ok(text) => Layer::file(path.display(), text),
        Err(error) => {
            let fault = if error.kind() == ErrorKind::NotFound { Fault::Missing } else { Fault::Unreadable };
            Layer::broken(format!("file {}", path.display()), Source::File, format!("cannot be read: {error}"), fault)
        }
    }
}

fn variables(environment: &[(OsString, OsString)]) -> Vec<Layer> {
    let conventional = CONVENTIONAL.iter().filter_map(|(name, key)| {
        let (_, text) = environment.iter().find(|(found, _)| found == name)?;
        Some(variable(name, key, text))
    });
    let mut own: Vec<_> = environment
        .iter()
        .filter_map(|(name, text)| {
            let name = name.to_str()?;
            let key = name.strip_prefix(PREFIX)?.replace("__", ".").to_lowercase();
            Some((key, name, text))
        })
        .collect();
    // A section (`…__STORE`) comes before its keys (`…__STORE__HOST`), whatever the order of the environment.
    own.sort();
    conventional.chain(own.into_iter().map(|(key, name, text)| variable(name, &key, text))).collect()
}

fn variable(name: &str, key: &str, text: &OsStr) -> Layer {
    match text.to_str() {
        Some(text) => Layer::variable(name, key, text),
        None => Layer::broken(format!("environment {name}"), Source::Environment, "is not UTF-8", Fault::Form),
    }
}

fn set(text: &str) -> Layer {
    match text.split_once('=') {
        Some((key, text)) => Layer::flag("--set", key, text),
        None => Layer::broken("--set", Source::Flag, "needs `key.path=value`", Fault::Form),
    }
}

/// A variable of libpq, as text; the store uses it for settings that the configuration leaves out.
#[must_use]
pub fn libpq(name: &str) -> Option<String> {
    env::var_os(name)?.into_string().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;

    fn environment(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
        pairs.iter().map(|(name, text)| (name.into(), text.into())).collect()
    }

    #[test]
    fn our_variables_override_the_conventional_ones() {
        let layers = variables(&environment(&[
            ("NUTRITIONFACTS__TELEMETRY__LOG__FILTER", "debug"),
            ("RUST_LOG", "warn"),
            ("DATABASE_URL", "sqlite://a.db"),
            ("NUTRITIONFACTS_PORT", "tcp://10.0.0.1:8080"),
            ("NUTRITIONFACTS_CONFIG", "/nowhere"),
            ("NUTRITIONFACTS__HTTP__LISTEN", ""),
        ]));
        let loaded = load(&layers).unwrap();
        assert_eq!(loaded.config.telemetry.log.filter, "debug");
        assert_eq!(loaded.origins["telemetry.log.filter"], "environment NUTRITIONFACTS__TELEMETRY__LOG__FILTER");
        assert_eq!(loaded.origins["store.url"], "environment DATABASE_URL");
        assert_eq!(loaded.origins["http.listen"], "default");
    }

    #[test]
    fn the_conventional_variables_of_opentelemetry_are_honoured() {
        let both = [
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces:4317"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all:4317"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
        ];
        let tracing = load(&variables(&environment(&both))).unwrap().config.telemetry.tracing.clone();
        assert_eq!((tracing.endpoint.as_deref(), tracing.sample_ratio), (Some("http://traces:4317"), 0.25));
        let own = [&both[..], &[("NUTRITIONFACTS__TELEMETRY__TRACING__ENDPOINT", "http://own:4317")]].concat();
        let loaded = load(&variables(&environment(&own))).unwrap();
        assert_eq!(loaded.config.telemetry.tracing.endpoint.as_deref(), Some("http://own:4317"));
    }

    #[test]
    fn a_key_overrides_its_section() {
        let layers = variables(&environment(&[
            ("NUTRITIONFACTS__SHUTDOWN__DELAY", "2s"),
            ("NUTRITIONFACTS__SHUTDOWN", "{delay: 1s, grace: 3s}"),
        ]));
        let shutdown = load(&layers).unwrap().config.shutdown.clone();
        assert_eq!((shutdown.delay.as_secs(), shutdown.grace.as_secs()), (2, 3));
    }

    #[test]
    fn the_config_flag_replaces_nutritionfacts_config() {
        let environment = environment(&[("NUTRITIONFACTS_CONFIG", "a.yaml::b.yaml")]);
        assert_eq!(files(&Flags::default(), &environment), ["a.yaml", "b.yaml"].map(PathBuf::from));
        let flags = Flags { files: vec!["c.yaml".into()], ..Flags::default() };
        assert_eq!(files(&flags, &environment), ["c.yaml"].map(PathBuf::from));
    }
}
