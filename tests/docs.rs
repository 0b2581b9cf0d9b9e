//! Checks the YAML in the documentation.
//!
//! A fenced block marked `yaml` must be well-formed; one marked `yaml config` must be a complete configuration file with
//! which the server starts in an empty environment; one marked `yaml message` must contain valid messages;
//! one marked `yaml kolibrimessage` must be a message as a Kubernetes object.

use std::{fs, path::Path};

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
            assert_eq!((messages.active(), &messages.rejected), (1, &vec![]));
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
