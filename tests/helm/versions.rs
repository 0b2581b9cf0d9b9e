//! Helm 3 and Helm 4 render the same objects, and neither has errors or warnings about the charts.

use std::{collections::BTreeMap, process::Command};

use serde_json::Value;

use super::support::{
    helm::{CHART, CRDS_CHART, Helm},
    render::{CASES, RENDERS, documents, side_by_side},
};

/// Objects by kind, namespace and name: their order does not matter.
fn by_name(documents: &[Value]) -> BTreeMap<[String; 3], &Value> {
    let name = |object: &Value| {
        [&object["kind"], &object["metadata"]["namespace"], &object["metadata"]["name"]]
            .map(|part| part.as_str().unwrap_or_default().to_owned())
    };
    documents.iter().map(|object| (name(object), object)).collect()
}

#[test]
fn helm_4_renders_the_objects_of_helm_3() {
    let four = side_by_side(&CASES, |case| Helm::Four.template(case.chart, &case.arguments, &Value::Null));
    for (three, four) in RENDERS.iter().zip(four) {
        let name = &three.case.name;
        let four = four.unwrap_or_else(|refusal| panic!("case {name}: {refusal}"));
        let four = documents(&four);
        let (three, four) = (by_name(&three.documents), by_name(&four));
        assert_eq!(three.keys().collect::<Vec<_>>(), four.keys().collect::<Vec<_>>(), "case {name}");
        for (key, object) in three {
            assert_eq!(object, four[&key], "case {name}: {key:?}");
        }
    }
}

#[test]
fn both_helm_versions_lint_the_charts_without_complaints() {
    let lints: Vec<_> =
        [Helm::Three, Helm::Four].into_iter().flat_map(|helm| CASES.iter().map(move |case| (helm, case))).collect();
    // Each profile and some cases; all other checks of a lint are made in every test.
    let lints: Vec<_> =
        lints.into_iter().filter(|(_, case)| case.name.starts_with("profile-") || case.name == "crds").collect();
    let said = side_by_side(&lints, |(helm, case)| {
        let mut arguments = vec!["lint", "--strict", "--quiet", case.chart];
        arguments.extend(case.arguments.iter().map(String::as_str));
        helm.run(&arguments, "")
    });
    for ((helm, case), said) in lints.iter().zip(said) {
        assert_eq!(said.as_deref().map(str::trim), Ok(""), "{helm:?}, case {}", case.name);
    }
}

/// The schema, the README's table and the list of images.
#[test]
fn the_generated_files_are_fresh() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/chart");
    let output = Command::new(script).arg("--check").output();
    let output = output
        .unwrap_or_else(|error| panic!("cannot run {script}: {error}: it needs Python 3.10 or later as `python3`"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Both charts are released together.
#[test]
fn both_charts_have_the_versions_of_the_program() {
    for chart in [CHART, CRDS_CHART] {
        let chart: Value =
            serde_saphyr::from_str(&std::fs::read_to_string(format!("{chart}/Chart.yaml")).unwrap()).unwrap();
        assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"), "{}", chart["name"]);
        assert_eq!(chart["kubeVersion"], ">=1.30.0-0", "{}", chart["name"]);
    }
}
