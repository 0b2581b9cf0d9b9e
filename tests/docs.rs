//! Checks the YAML in the documentation, and that the recipes of `ARCHITECTURE.md` name what exists.
//!
//! A fenced block marked `yaml` must be well-formed; one marked `yaml config` must be a complete configuration file with
//! which the server starts in an empty environment; one marked `yaml message` must contain valid messages;
//! one marked `yaml kolibrimessage` must be a message as a Kubernetes object.

use std::{
    fs,
    path::{Path, PathBuf},
};

use kube::Resource;
use nutritionfacts::{
    cluster::kolibri_message::KolibriMessage,
    config::{Layer, load},
    domain::message::Message,
    messages::{Collection, Part, Source},
};
use serde_json::Value;

/// A fenced block: position, info string, text.
struct Block {
    place: String,
    info: String,
    text: String,
}

fn blocks(name: &str, page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = page.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let Some(info) = line.trim_start().strip_prefix("```") else { continue };
        let indent = line.len() - line.trim_start().len();
        let text = lines.by_ref().map(|(_, line)| line).take_while(|line| line.trim() != "```");
        let text: Vec<_> = text.map(|line| line.get(indent..).unwrap_or_default()).collect();
        blocks.push(Block { place: format!("{name}:{}", number + 1), info: info.trim().into(), text: text.join("\n") });
    }
    blocks
}

fn pages() -> Vec<Block> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let pages = docs.chain([root.join("README.md")]).filter(|path| path.extension().is_some_and(|end| end == "md"));
    // The README may not exist yet.
    let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
    pages.flat_map(|path| blocks(&path.strip_prefix(root).unwrap().display().to_string(), &read(&path))).collect()
}

#[test]
fn every_yaml_block_is_well_formed() {
    for Block { place, info, text } in pages() {
        if info.split(' ').next() == Some("yaml")
            && let Err(error) = serde_saphyr::from_multiple::<serde_json::Value>(&text)
        {
            panic!("{place}: {error}");
        }
    }
}

#[test]
fn every_configuration_in_the_documentation_loads() {
    let mut found = 0;
    for Block { place, info, text } in pages() {
        if info == "yaml config" {
            found += 1;
            if let Err(complaints) = load(&[Layer::file(place, text)]) {
                panic!("{}", complaints.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
            }
        }
    }
    assert!(found > 0, "no block is marked `yaml config`");
}

#[test]
fn every_message_in_the_documentation_is_valid() {
    let mut found = 0;
    for Block { place, info, text } in pages() {
        if info == "yaml message" {
            found += 1;
            let source = Source { path: place.clone().into(), parts: Ok(vec![Part::text(place, Ok(text))]) };
            let messages = Collection::of(&[source], &Collection::default());
            assert_eq!((messages.active(chrono::NaiveDate::MAX), &messages.rejected), (1, &vec![]));
        }
    }
    assert!(found > 0, "no block is marked `yaml message`");
}

#[test]
fn the_role_in_the_documentation_is_that_of_the_chart() {
    let yaml = |text: &str| serde_saphyr::from_str::<Value>(text).unwrap();
    let shipped = yaml(include_str!("../kustomize/base/role.yaml"));
    let roles: Vec<_> = pages().into_iter().filter(|block| block.info == "yaml role").collect();
    assert_eq!(roles.len(), 1);
    // The chart's Role has labels as well.
    let said = yaml(&roles[0].text);
    assert_eq!((&said["kind"], &said["rules"]), (&shipped["kind"], &shipped["rules"]));
}

/// `tests/cluster` checks the same blocks with an API server.
#[test]
fn every_object_in_the_documentation_is_a_valid_message() {
    let mut found = 0;
    for Block { place, info, text } in pages() {
        if info == "yaml kolibrimessage" {
            found += 1;
            let mut object: Value = serde_saphyr::from_str(&text).unwrap();
            assert_eq!(object["apiVersion"], *KolibriMessage::api_version(&()), "{place}");
            assert_eq!(object["kind"], *KolibriMessage::kind(&()), "{place}");
            let mut document = object["spec"].take();
            document["id"] = object["metadata"]["name"].take();
            assert_eq!(Message::read(&document).err(), None, "{place}");
        }
    }
    assert!(found > 0, "no block is marked `yaml kolibrimessage`");
}

#[test]
fn blocks_are_found_with_their_line_and_without_indent() {
    let found = blocks("x", "text\n\n  ```yaml config\n  a:\n    b: 1\n  ```\n```\nno info\n```\n");
    assert_eq!(found.len(), 2);
    assert_eq!((found[0].place.as_str(), found[0].info.as_str()), ("x:3", "yaml config"));
    assert_eq!(found[0].text, "a:\n  b: 1");
    assert_eq!(found[1].info, "");
}

/// The rows of tables and the paragraphs of a page.
fn units(page: &str) -> Vec<String> {
    let whole = |chunk: &str| chunk.replace('\n', " ");
    let of = |chunk: &str| if chunk.starts_with('|') { chunk.lines().map(whole).collect() } else { vec![whole(chunk)] };
    page.split("\n\n").flat_map(of).collect()
}

/// The texts in code font.
fn spans(unit: &str) -> Vec<&str> {
    unit.split('`').skip(1).step_by(2).collect()
}

fn is_path(span: &str) -> bool {
    !span.contains(' ') && (span.contains('/') || [".rs", ".sql", ".md"].iter().any(|end| span.ends_with(end)))
}

/// The files that a path names, with those of a folder. `*` or `NAME` stands for any part of a file's name.
fn files(path: &Path) -> Vec<PathBuf> {
    let entries = |folder: &Path| {
        fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()).collect::<Vec<_>>()
    };
    let name = path.file_name().unwrap().to_str().unwrap().replace("NAME", "*");
    if let Some((begin, end)) = name.split_once('*') {
        let fits = |file: &PathBuf| {
            file.file_name().unwrap().to_str().is_some_and(|name| name.starts_with(begin) && name.ends_with(end))
        };
        return entries(path.parent().unwrap()).into_iter().filter(fits).collect();
    }
    if path.is_dir() {
        entries(path).iter().flat_map(|inner| files(inner)).collect()
    } else {
        path.is_file().then(|| path.to_owned()).into_iter().collect()
    }
}

fn has_word(text: &str, word: &str) -> bool {
    let inside = |char: Option<char>| char.is_some_and(|char| char.is_alphanumeric() || char == '_');
    text.match_indices(word)
        .any(|(at, _)| !inside(text[..at].chars().next_back()) && !inside(text[at + word.len()..].chars().next()))
}

/// What a row or a paragraph of a recipe names and is not there.
fn missing(unit: &str) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |files: Vec<PathBuf>| {
        files.iter().map(|file| String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned()).collect::<String>()
    };
    let (paths, others): (Vec<_>, Vec<_>) = spans(unit).into_iter().partition(|span| is_path(span));
    // A name without a folder is in one that is named beside it.
    let near = paths.iter().flat_map(|path| [root.join(path), root.join(path).parent().unwrap().to_owned()]);
    let folders: Vec<_> = [root.to_owned()].into_iter().chain(near).collect();
    let found: Vec<_> = paths
        .iter()
        .map(|path| folders.iter().map(|folder| files(&folder.join(path))).find(|files| !files.is_empty()))
        .collect();
    let no_files =
        paths.iter().zip(&found).filter(|(_, found)| found.is_none()).map(|(path, _)| format!("no file {path}"));

    let code = || ["src", "tests"].iter().map(|folder| read(files(&root.join(folder)))).collect::<String>();
    let named = read(found.iter().flatten().flatten().cloned().collect());
    let tests = unit
        .trim_end_matches(['|', ' '])
        .rsplit(" | ")
        .next()
        .filter(|_| unit.starts_with('|'))
        .map(spans)
        .unwrap_or_default();
    let no_names = others.iter().filter_map(|span| {
        if let Some((_, arguments)) = span.split_once("cargo test --test ") {
            let (target, test) = arguments.split_once(' ').unwrap_or((arguments, ""));
            let target = read(
                [format!("tests/{target}.rs"), format!("tests/{target}")]
                    .iter()
                    .flat_map(|path| files(&root.join(path)))
                    .collect(),
            );
            let has = target.lines().any(|line| {
                line.split_once("fn ").is_some_and(|(_, name)| name.split('(').next().unwrap().contains(test))
            });
            return (!has).then(|| format!("no test of `{span}`"));
        }
        if tests.contains(span) && span.contains('_') {
            return (!code().contains(&format!("fn {span}("))).then(|| format!("no test {span}"));
        }
        (!has_word(if paths.is_empty() { code() } else { named.clone() }.as_str(), span))
            .then(|| format!("no {span} in {paths:?}"))
    });
    no_files.chain(no_names).collect()
}

#[test]
fn recipes_name_files_identifiers_and_tests_that_exist() {
    let (_, recipes) = include_str!("../ARCHITECTURE.md").split_once("## Where to add something").unwrap();
    let all: Vec<_> = units(recipes).iter().flat_map(|unit| missing(unit)).collect();
    assert!(all.is_empty(), "{}", all.join("\n"));
    for recipe in recipes.split("\n### ").skip(1) {
        assert!(recipe.contains("`cargo test --test "), "no test is named: {recipe}");
    }
}

#[test]
fn a_recipe_that_names_what_is_not_there_is_found() {
    assert_eq!(
        missing("`missing` and `blocks` in `tests/docs.rs`, `cargo test --test docs recipes`"),
        Vec::<String>::new()
    );
    assert_eq!(missing("`src/absent.rs`"), ["no file src/absent.rs"]);
    assert_eq!(missing("`Absentee` in `src/lib.rs`"), [r#"no Absentee in ["src/lib.rs"]"#]);
    assert_eq!(missing("| step | `src/lib.rs` | `no_such_test` |"), ["no test no_such_test"]);
    assert_eq!(
        missing("`cargo test --test docs nothing_at_all`"),
        ["no test of `cargo test --test docs nothing_at_all`"]
    );
}
