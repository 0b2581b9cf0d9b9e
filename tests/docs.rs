//! The YAML in the documentation is what it claims to be.
//!
//! A fenced block marked `yaml` must be well-formed; one marked `yaml config` must be a whole configuration file that
//! the server would start with, in an environment of nothing else; one marked `yaml message`, messages that can be sent;
//! one marked `yaml kolibrimessage`, such a message as an object of Kubernetes.

use std::{fs, path::Path};

use kube::Resource;
use nutritionfacts::{
    cluster::kolibri_message::KolibriMessage,
    config::{Layer, load},
    domain::message::Message,
    messages::{Collection, Part, Source},
};
use serde_json::Value;

/// A fenced block: where it stands, its info string, its text.
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
    // The README may not be there yet.
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
fn every_message_in_the_documentation_can_be_sent() {
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
fn the_role_in_the_documentation_is_the_one_we_ship() {
    let yaml = |text: &str| serde_saphyr::from_str::<Value>(text).unwrap();
    let shipped = yaml(include_str!("../kustomize/base/role.yaml"));
    let roles: Vec<_> = pages().into_iter().filter(|block| block.info == "yaml role").collect();
    assert_eq!(roles.len(), 1);
    // That of the chart has labels as well.
    let said = yaml(&roles[0].text);
    assert_eq!((&said["kind"], &said["rules"]), (&shipped["kind"], &shipped["rules"]));
}

/// `tests/cluster` asks an API server about the same blocks.
#[test]
fn every_object_in_the_documentation_is_a_message() {
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
fn a_block_is_found_with_its_line_and_without_its_indent() {
    let found = blocks("x", "text\n\n  ```yaml config\n  a:\n    b: 1\n  ```\n```\nno info\n```\n");
    assert_eq!(found.len(), 2);
    assert_eq!((found[0].place.as_str(), found[0].info.as_str()), ("x:3", "yaml config"));
    assert_eq!(found[0].text, "a:\n  b: 1");
    assert_eq!(found[1].info, "");
}
