//! Each component and each overlay equals the chart with certain values.

use super::{
    difference::{DEFINITION, DIFFERENCES, levelled},
    object::{Objects, id, unlike},
    tools::{build, chart},
    tree::{Tree, components, overlays},
};

pub const BASE: &str = "kustomize/base/values.yaml";

/// The values that a component corresponds to.
pub fn values(component: &str) -> String {
    format!("kustomize/components/{component}/values.yaml")
}

/// The differences, as lines; empty if there are none.
pub fn differences(chart: Objects, kustomize: Objects) -> Vec<String> {
    let (chart, kustomize) = (levelled(chart), levelled(kustomize));
    let mut lines = Vec::new();
    for (id, object) in &chart {
        match kustomize.get(id) {
            Some(other) => unlike(id, object, other, &mut lines),
            None => lines.push(format!("{id}: only in the chart")),
        }
    }
    for id in kustomize.keys().filter(|id| !chart.contains_key(*id)) {
        lines.push(format!("{id}: only in kustomize"));
    }
    lines
}

#[track_caller]
pub fn assert_equal(what: &str, chart: Objects, kustomize: Objects) {
    assert!(!kustomize.is_empty(), "{what}: nothing is built");
    let lines = differences(chart, kustomize);
    assert!(lines.is_empty(), "{what}:\n{}", lines.join("\n"));
}

#[test]
fn the_base_is_the_chart_with_its_values() {
    let tree = Tree::new();
    assert_equal("base", chart("telemetry", &[BASE]), build(&tree, &tree.overlay("telemetry", &[])));
}

#[test]
fn each_component_is_the_chart_with_its_values() {
    let tree = Tree::new();
    for component in components() {
        let expected = chart("telemetry", &[BASE, &values(&component)]);
        assert_equal(&component, expected, build(&tree, &tree.overlay("telemetry", &[&component])));
    }
}

/// Their names are those of the chart's profiles.
#[test]
fn each_overlay_is_the_chart_with_a_profile() {
    let tree = Tree::new();
    for (overlay, namespace) in [("dev", "nutritionfacts-dev"), ("production", "nutritionfacts")] {
        let expected = chart(namespace, &[&format!("helm/nutritionfacts/profiles/{overlay}.yaml")]);
        assert_equal(overlay, expected, build(&tree, &format!("overlays/{overlay}")));
    }
    assert_eq!(overlays(), ["dev", "production"]);
}

/// Deleting the objects of an overlay must not delete messages.
#[test]
fn only_the_crd_folder_contains_the_definition() {
    let tree = Tree::new();
    let has = |folder: &str| build(&tree, folder).values().any(|object| object["kind"] == DEFINITION);
    assert!(has("crd"));
    for overlay in overlays() {
        assert!(!has(&format!("overlays/{overlay}")), "{overlay}");
    }
}

/// A difference that is not needed any more would hide a future error.
#[test]
fn every_allowed_difference_occurs() {
    let tree = Tree::new();
    let dev = chart("nutritionfacts-dev", &["helm/nutritionfacts/profiles/dev.yaml"]);
    let monitoring = chart("telemetry", &[BASE, &values("monitoring")]);
    let all = [dev, monitoring, build(&tree, "overlays/dev"), build(&tree, "overlays/production")];
    for (reason, level) in DIFFERENCES {
        let is_found = all.iter().flat_map(Objects::values).any(|object| {
            let mut changed = object.clone();
            !level(&mut changed) || (&changed, id(&changed)) != (object, id(object))
        });
        assert!(is_found, "nothing differs any more because {reason}");
    }
}
