//! The overlay in `kustomize/README.md` works.

use std::fs;

use nutritionfacts::{
    config::{Layer, load},
    messages::{Collection, Part, Source},
};

use super::{
    strict,
    tools::build,
    tree::{Tree, components},
};

const PAGE: &str = include_str!("../../kustomize/README.md");

#[test]
fn the_overlay_in_the_readme_builds_with_its_settings() {
    let (_, block) = PAGE.split_once("```yaml\n").expect("the page has a block of YAML");
    let (overlay, _) = block.split_once("```\n").expect("the block ends");
    let tree = Tree::new();
    fs::create_dir(tree.path().join("overlays/yours")).unwrap();
    fs::write(tree.path().join("overlays/yours/kustomization.yaml"), overlay).unwrap();

    let objects = build(&tree, "overlays/yours");
    strict::check(&objects);
    let deployment = &objects["apps/v1 Deployment telemetry/nutritionfacts"]["spec"];
    assert_eq!(deployment["replicas"], 3);
    assert_eq!(deployment["template"]["spec"]["containers"][0]["image"], "registry.example.org/nutritionfacts:0.1.0");
    let ingress = &objects["networking.k8s.io/v1 Ingress telemetry/nutritionfacts"]["spec"];
    assert_eq!(
        (&ingress["rules"][0]["host"], &ingress["ingressClassName"]),
        (&"telemetry.example.net".into(), &"nginx".into())
    );

    let live = &objects["v1 ConfigMap telemetry/nutritionfacts-live"]["data"];
    let text = |name: &str| live[name].as_str().unwrap().to_owned();
    load(&[Layer::file("config.yaml", text("config.yaml"))]).unwrap();
    let parts = Ok(vec![Part::text("messages.yaml", Ok(text("messages.yaml")))]);
    let messages = Collection::of(&[Source { path: "messages.yaml".into(), parts }], &Collection::default());
    assert_eq!((messages.active(chrono::NaiveDate::MAX), &messages.rejected), (1, &vec![]));
}

#[test]
fn the_readme_lists_all_components() {
    let (_, table) = PAGE.split_once("| component |").expect("the page has a table of components");
    let (table, _) = table.split_once("\n\n").expect("the table ends");
    for component in components() {
        assert!(table.contains(&format!("`{component}`")), "kustomize/README.md does not list {component}");
    }
}
