//! The ways to install that the README shows are ways that work; `tests/e2e` goes them on a cluster.

use std::path::Path;

use super::support::helm::Helm;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn every_way_to_install_in_the_readme_renders() {
    let page = include_str!("../../README.md");
    let commands: Vec<Vec<_>> = page.lines().map(|line| line.split_whitespace().collect()).collect();
    let mut found = 0;
    for command in commands {
        match command[..] {
            ["helm", "install", name, chart, "--values", values, "--wait"] => {
                let (chart, values) = (format!("{ROOT}/{chart}"), format!("{ROOT}/{values}"));
                let rendered = Helm::Three.run(&["template", name, &chart, "--values", &values], "").unwrap();
                assert!(rendered.contains("kind: Deployment"));
                found += 1;
            }
            ["helm", "install", ..] => panic!("this test does not understand {command:?}"),
            // tests/kustomize builds all overlays.
            ["kubectl", "apply", "-k", overlay] => {
                assert!(Path::new(ROOT).join(overlay).join("kustomization.yaml").is_file());
                found += 1;
            }
            _ => {}
        }
    }
    assert_eq!(found, 2);
}
