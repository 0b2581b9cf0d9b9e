//! The templates: the same values always render the same bytes.

use std::{fs, path::Path};

use super::support::{
    helm::{CHART, CRDS_CHART},
    render::{CASES, RENDERS, side_by_side},
};

/// Functions whose result differs between calls or clusters; `*` at the end stands for any suffix.
const BANNED: [&str; 24] = [
    "ago",
    "bcrypt",
    "buildCustomCert",
    "dateInZone",
    "derivePassword",
    "encryptAES",
    "env",
    "expandenv",
    "genCA*",
    "genPrivateKey",
    "genSelfSignedCert*",
    "genSignedCert*",
    "getHostByName",
    "htmlDateInZone",
    "htpasswd",
    "lookup",
    "now",
    "rand*",
    "shuffle",
    "unixEpoch",
    "uuidv4",
    "Capabilities",
    "IsInstall",
    "IsUpgrade",
];

fn templates() -> Vec<(String, String)> {
    fn read(folder: &Path, found: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                read(&path, found);
            } else {
                found.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let mut found = vec![];
    for chart in [CHART, CRDS_CHART] {
        read(&Path::new(chart).join("templates"), &mut found);
    }
    found
}

/// The identifiers in a template's actions, without comments and strings.
fn words(template: &str) -> Vec<String> {
    let mut words = vec![];
    for action in template.split("{{").skip(1) {
        let action = action.split("}}").next().unwrap_or_default();
        if action.trim_start_matches(['-', ' ']).starts_with("/*") {
            continue;
        }
        let outside_texts = action.split('"').step_by(2);
        let is_word = |character: char| character.is_alphanumeric() || character == '_';
        words.extend(outside_texts.flat_map(|part| part.split(|character| !is_word(character)).map(str::to_owned)));
    }
    words
}

fn banned(template: &str) -> Vec<String> {
    let is_banned = |word: &String| {
        BANNED
            .iter()
            .any(|banned| banned.strip_suffix('*').map_or(word == banned, |beginning| word.starts_with(beginning)))
    };
    words(template).into_iter().filter(is_banned).collect()
}

#[test]
fn no_template_uses_randomness_time_or_the_cluster() {
    let templates = templates();
    assert!(templates.len() > 30, "{}", templates.len());
    for (path, template) in templates {
        assert_eq!(banned(&template), Vec::<String>::new(), "{path}");
    }
    for bad in [
        "a: {{ randAlphaNum 10 }}",
        "{{- $ca := genCA \"a\" 1 }}",
        "{{ (lookup \"v1\" \"Secret\" . .).data }}",
        "{{- if .Capabilities.APIVersions.Has \"a\" }}",
        "{{ now | date \"2006\" }}",
        "{{ uuidv4 }}",
        "{{ .Values.a | bcrypt }}",
    ] {
        assert_eq!(banned(bad).len(), 1, "{bad}");
    }
    assert_eq!(
        banned("{{- /* now, lookup */ -}} {{ printf \"now\" }} lookup {{ include \"x.now\" . }}"),
        Vec::<String>::new()
    );
}

#[test]
fn the_same_values_render_the_same_bytes() {
    let again = side_by_side(&CASES, |case| case.render(&serde_json::Value::Null).text);
    for (first, second) in RENDERS.iter().zip(again) {
        assert!(first.text == second, "case {} was rendered in two ways", first.case.name);
    }
}

/// A partial that begins with a blank, or a trim marker that removes a line, shows in the text although not in the objects.
#[test]
fn the_rendered_text_is_tidy() {
    for render in RENDERS.iter() {
        for (number, line) in render.text.lines().enumerate() {
            let at = format!("case {}, line {}: {line:?}", render.case.name, number + 1);
            assert!(!line.contains('\t') && !line.contains("<no value>") && !line.contains("%!"), "{at}");
        }
    }
}
