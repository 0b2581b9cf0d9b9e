//! The pages of `docs/runbooks`, and the commands in them.

use std::{fs, path::Path};

/// A page, by its name without `.md`, and its text.
pub fn pages() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/runbooks");
    let entries = fs::read_dir(&folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names
        .map(|name| {
            (
                name.strip_suffix(".md").expect("it is a page").to_owned(),
                fs::read_to_string(folder.join(&name)).unwrap(),
            )
        })
        .collect()
}

/// Fenced blocks of all pages: the page, the language, the text.
pub fn blocks() -> Vec<(String, String, String)> {
    let mut blocks = vec![];
    for (page, text) in pages() {
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            let Some(language) = line.trim_start().strip_prefix("```") else { continue };
            let block: Vec<_> = lines.by_ref().take_while(|line| line.trim() != "```").collect();
            blocks.push((page.clone(), language.to_owned(), block.join("\n")));
        }
    }
    blocks
}

/// The blocks of a language, of which there must be some.
pub fn of_language(language: &str) -> Vec<(String, String)> {
    let all = blocks().into_iter().filter(|(_, of, _)| of == language);
    let blocks: Vec<_> = all.map(|(page, _, text)| (page, text)).collect();
    assert!(!blocks.is_empty(), "no block is {language}");
    blocks
}
