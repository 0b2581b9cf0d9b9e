//! From layers to a configuration: a pure function, called at start and whenever a watched layer changes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::{
    Config,
    complaint::{Complaint, printable},
    layer::{Layer, Source, variable},
    path::{Path, Step},
    schema::{Key, join},
    units, validate,
};

/// The origin of a key that no layer sets.
pub const DEFAULT: &str = "default";

/// The effective configuration, and where it came from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What is in force.
    pub config: Config,
    /// The layer that set each key (`http.listen`), or [`DEFAULT`].
    pub origins: BTreeMap<String, String>,
    /// Sixteen hexadecimal digits that are the same wherever the same configuration is in force. Secrets do not enter.
    pub hash: String,
}

/// Merges the layers, the later over the earlier, key by key; a list is replaced, never appended to.
///
/// # Errors
///
/// Everything that is wrong, at once: in each layer by itself, and in the sum.
pub fn load(layers: &[Layer]) -> Result<Loaded, Vec<Complaint>> {
    let mut walk = Walk::default();
    for layer in layers {
        match layer.values() {
            Ok(values) => walk.layer(layer, &values),
            Err(complaint) => {
                walk.complaints.push(complaint);
                walk.blind = true;
            }
        }
    }
    let (config, origins) = merge(walk.set);
    // A rule about several keys says nothing while one of them is in doubt.
    if !walk.blind {
        let broken = validate::check(&config, &origins).into_iter();
        let broken = broken.filter(|broken| !broken.keys.iter().any(|key| walk.doubtful.contains(*key)));
        walk.complaints.extend(broken.map(|broken| broken.complaint));
    }
    if walk.complaints.is_empty() { Ok(Loaded { hash: hash(&config), config, origins }) } else { Err(walk.complaints) }
}

/// What was found on the walk through the layers.
#[derive(Default)]
struct Walk {
    /// The last good value of each key, and the layer it came from.
    set: BTreeMap<String, (Value, String)>,
    complaints: Vec<Complaint>,
    /// Keys that were meant to be set, but to what is not known.
    doubtful: BTreeSet<String>,
    /// Whether a whole layer is unknown.
    blind: bool,
}

impl Walk {
    fn layer(&mut self, layer: &Layer, values: &Value) {
        self.node(layer, Key::root(), &Path::default(), values);
    }

    fn node(&mut self, layer: &Layer, key: Key<'_>, path: &Path<'_>, value: &Value) {
        match (value, key.properties()) {
            // `http:` with all its keys commented out.
            (Value::Null, Some(_)) => {}
            (Value::Object(values), Some(properties)) => {
                for (name, value) in values {
                    match key.property(name) {
                        Some(below) => self.node(layer, below, &path.down(Step::Key(name)), value),
                        None => self.unknown(layer, properties, path, name),
                    }
                }
            }
            _ => self.leaf(layer, key, path, value),
        }
    }

    fn leaf(&mut self, layer: &Layer, key: Key<'_>, path: &Path<'_>, value: &Value) {
        let before = self.complaints.len();
        match (value, key.items()) {
            (Value::Array(values), Some(items)) => {
                for (index, value) in values.iter().enumerate() {
                    self.node(layer, items, &path.down(Step::Item(index)), value);
                }
            }
            _ => {
                if let Err(complaint) = check(layer, key, path, value) {
                    self.complaints.push(complaint);
                }
            }
        }
        if path.in_list() {
            return; // the list is the key, and decides
        }
        let path = path.to_string();
        if self.complaints.len() == before {
            self.set.insert(path, (value.clone(), layer.name.clone()));
        } else {
            self.doubtful.insert(path);
        }
    }

    fn unknown(&mut self, layer: &Layer, known: &Map<String, Value>, path: &Path<'_>, name: &str) {
        let at = path.to_string();
        let complaint = Complaint::new(&layer.name, join(&at, printable(name)), "unknown key");
        let remedy = if let Some(meant) = nearest(name, known.keys().map(String::as_str)) {
            self.doubtful.insert(join(&at, meant));
            let meant = if path.in_list() { meant.to_owned() } else { layer.spell(&join(&at, meant)) };
            format!("did you mean `{meant}`?")
        } else {
            let names: Vec<_> = known.keys().map(|name| format!("`{name}`")).collect();
            format!("known here: {}", names.join(", "))
        };
        self.complaints.push(complaint.remedy(remedy));
    }
}

/// Whether a layer may set this key to this value. The type of the key itself has the last word: the value is right when
/// a configuration of nothing else can be made of it.
fn check(layer: &Layer, key: Key<'_>, path: &Path<'_>, value: &Value) -> Result<(), Complaint> {
    let complaint = |problem: String| Complaint::new(&layer.name, path.to_string(), problem);
    if let Some(sources) = key.sources()
        && !sources.contains(&layer.source.name())
        && !value.is_null()
    {
        let remedy = format!(
            "{}set it by {}",
            if layer.source == Source::Flag { "flags are visible in `ps`; " } else { "" },
            sources
                .iter()
                .map(|source| if *source == "environment" {
                    variable(&path.to_string())
                } else {
                    format!("a {source}")
                })
                .collect::<Vec<_>>()
                .join(" or "),
        );
        return Err(complaint(format!("must not be set by a {}", layer.source.name())).remedy(remedy));
    }
    let got = kind(value);
    let wrong = || complaint(format!("got {got}, allowed is {}", key.allowed()));
    if !allowed_type(key, value) {
        let quote =
            matches!(value, Value::Number(_) | Value::Bool(_)) && key.takes("string") && key.text("x-kind").is_none();
        return Err(if quote { wrong().remedy("put it in quotes") } else { wrong() });
    }
    if let Some(text) = value.as_str() {
        if text.is_empty() && key.number("minLength").is_some() {
            return Err(complaint("got empty text, allowed is text".into()).remedy("leave the key out to unset it"));
        }
        let names = key.names();
        if !names.is_empty() && !names.contains(&text) {
            return Err(match nearest(text, names.into_iter()) {
                Some(meant) => wrong().remedy(format!("did you mean `{meant}`?")),
                None => wrong(),
            });
        }
    }
    if !in_range(key, value) || serde_json::from_value::<Config>(path.around(value.clone())).is_err() {
        return Err(wrong());
    }
    Ok(())
}

fn allowed_type(key: Key<'_>, value: &Value) -> bool {
    key.takes(match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    })
}

fn in_range(key: Key<'_>, value: &Value) -> bool {
    let limit = |keyword| key.text(keyword).and_then(units::magnitude);
    let (from, to, is) = if key.text("x-kind").is_some() {
        let is = value.as_str().map_or_else(|| value.as_u64().map(u128::from), units::magnitude);
        (limit("x-min"), limit("x-max"), is)
    } else {
        let number = |keyword| key.number(keyword).map(u128::from);
        (number("minimum"), number("maximum"), value.as_u64().map(u128::from))
    };
    // A value without a number is for the type to judge.
    (from.is_none() && to.is_none())
        || value.is_null()
        || is.is_none_or(|is| from.is_none_or(|from| from <= is) && to.is_none_or(|to| is <= to))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// The name that was probably meant: at most one letter in three is wrong.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |known: &str| strsim::damerau_levenshtein(&name.to_lowercase(), known);
    known
        .map(|known| (distance(known), known))
        .filter(|(distance, known)| *distance <= known.len().div_ceil(3))
        .min()
        .map(|(_, known)| known)
}

/// Puts the values over the defaults. They were checked one by one, so that together they make a configuration.
fn merge(set: BTreeMap<String, (Value, String)>) -> (Config, BTreeMap<String, String>) {
    let mut origins: BTreeMap<String, String> =
        Key::all().into_iter().map(|(path, _)| (path, DEFAULT.to_owned())).collect();
    let mut values = Config::default().values();
    for (path, (value, layer)) in set {
        let node = path.split('.').fold(&mut values, |node, name| &mut node[name]);
        *node = value;
        origins.insert(path, layer);
    }
    // Each value was tried in a configuration of nothing else, and no type of a section looks at two keys at once.
    let config = serde_json::from_value(values).expect("good values make a configuration");
    (config, origins)
}

fn hash(config: &Config) -> String {
    let text = config.values().to_string();
    Sha256::digest(text).iter().take(8).fold(String::new(), |mut hash, byte| {
        let _ = write!(hash, "{byte:02x}");
        hash
    })
}
