//! The installation commands in the README work; `tests/e2e` runs them on a cluster.

use std::{iter, path::Path};

use super::support::helm::Helm;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn every_installation_command_in_the_readme_renders() {
    // A command continues after a backslash.
    let page = include_str!("../../README.md").replace("\\\n", " ");
    let commands: Vec<Vec<_>> = page.lines().map(|line| line.split_whitespace().collect()).collect();
    let in_root = format!("{ROOT}/helm/");
    let mut found = 0;
    for command in commands {
        match command[..] {
            // `helm template` accepts all options of `helm install`.
            ["helm", "install", ref arguments @ ..] => {
                let arguments: Vec<_> = arguments.iter().map(|word| word.replace("helm/", &in_root)).collect();
                let arguments: Vec<_> = iter::once("template").chain(arguments.iter().map(String::as_str)).collect();
                let rendered = Helm::Three.run(&arguments, "").unwrap();
                assert!(rendered.contains("kind: Deployment"));
                assert!(rendered.contains("image: \"registry.example.org/nutritionfacts:dev\""), "{rendered}");
                found += 1;
            }
            // tests/kustomize builds all overlays.
            ["kubectl", "apply", "-k", overlay] => {
                assert!(Path::new(ROOT).join(overlay).join("kustomization.yaml").is_file());
                found += 1;
            }
            _ => {}
        }
    }
    assert_eq!(found, 3);
}
