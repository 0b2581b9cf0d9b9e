//! Runbooks: one for each alert, with the four headings, and commands that a shell and Prometheus accept.

use std::{collections::BTreeSet, path::Path, process::Command};

use super::{
    ROOT, alerts,
    pages::{blocks, of_language, pages},
    read, tool,
};

const HEADINGS: [&str; 4] = ["Meaning", "Impact", "Diagnosis", "Mitigation"];
/// Languages of code blocks: for reading or changing a cluster, PostgreSQL, or Prometheus.
const LANGUAGES: [&str; 5] = ["sh", "sh change", "sql", "sql change", "promql"];

#[test]
fn every_alert_has_a_runbook_and_every_runbook_an_alert() {
    let of_alerts: BTreeSet<_> = alerts().into_iter().map(|(name, _)| name).collect();
    let mut of_pages: BTreeSet<_> = pages().into_iter().map(|(name, _)| name).collect();
    assert!(of_pages.remove("README"), "there is an entrance");
    assert_eq!(of_pages, of_alerts);
}

#[test]
fn every_runbook_has_the_four_headings() {
    for (page, text) in pages().into_iter().filter(|(name, _)| name != "README") {
        assert_eq!(text.lines().next(), Some(format!("# {page}").as_str()));
        let headings: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        assert_eq!(headings, HEADINGS, "{page}");
        let parts = text.split("\n## ").skip(1).map(|part| part.split_once('\n').unwrap_or_default());
        let empty: Vec<_> = parts.filter(|(_, said)| said.trim().is_empty()).map(|(heading, _)| heading).collect();
        assert!(empty.is_empty(), "{page} says nothing under {empty:?}");
    }
}

#[test]
fn the_table_has_the_severity_of_every_alert() {
    let table = read("docs/runbooks/README.md");
    for (name, rule) in alerts() {
        let row = format!("| [{name}]({name}.md) | {} |", rule["labels"]["severity"].as_str().unwrap());
        assert!(table.contains(&row), "the table of docs/runbooks/README.md lacks {row}");
    }
}

#[test]
fn every_code_block_has_a_known_language() {
    for (page, language, text) in blocks() {
        assert!(LANGUAGES.contains(&language.as_str()), "{page}: {language:?}: {text}");
        assert!(!text.trim().is_empty(), "{page}: an empty block");
    }
}

#[test]
fn a_shell_can_parse_the_commands() {
    for (page, text) in of_language("sh").into_iter().chain(of_language("sh change")) {
        let output = Command::new("bash").args(["-n", "-c", &text]).output();
        let output = output.unwrap_or_else(|error| panic!("cannot run `bash`: {error}; install the package `bash`"));
        assert!(output.status.success(), "{page}: {}\n{text}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn prometheus_can_parse_the_queries() {
    let blocks = of_language("promql");
    let queries: Vec<_> = blocks.iter().map(|(_, text)| text.clone()).collect();
    if tool::check(&queries).is_err() {
        for (page, query) in blocks {
            tool::check(std::slice::from_ref(&query))
                .unwrap_or_else(|complaint| panic!("{page}: {query}\n{complaint}"));
        }
    }
}

#[test]
fn queries_use_existing_metrics() {
    for (page, query) in of_language("promql") {
        for name in super::metrics_of(&query) {
            assert!(super::is_known(name), "{page}: {name}");
        }
    }
}

/// A page of this repository that a runbook links to.
#[test]
fn links_lead_to_existing_pages() {
    for (page, text) in pages() {
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap_or_default();
            let is_there = file.starts_with("https://") || Path::new(ROOT).join("docs/runbooks").join(file).exists();
            assert!(is_there, "{page}: {link} leads nowhere");
        }
    }
}
