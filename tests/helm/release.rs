//! All objects of a case, and checks over all cases that report all errors at once.

use std::{fmt::Display, sync::LazyLock};

use serde_json::{Value, json};

use super::{
    manifest::{Manifest, Object},
    support::{
        helm::RELEASE,
        render::{CASES, Case, RENDERS, Render, side_by_side},
    },
};

pub struct Release {
    pub case: Case,
    /// The case, and values that override its own.
    pub name: String,
    pub manifests: Vec<Manifest>,
}

/// All cases as they are.
pub static RELEASES: LazyLock<Vec<Release>> =
    LazyLock::new(|| RENDERS.iter().map(|render| Release::of(render.clone())).collect());

/// The same with network policies.
pub static GUARDED: LazyLock<Vec<Release>> =
    LazyLock::new(|| all_with("network policies", &json!({"networkPolicy": {"enabled": true}})));

/// The same with a name of all objects that is too long, and a label of all objects.
pub static LONG: LazyLock<Vec<Release>> = LazyLock::new(|| {
    let values = json!({
        "fullnameOverride": format!("{}-and-what-is-cut", "n".repeat(60)),
        "commonLabels": {"cost-center": "4711"},
        "networkPolicy": {"enabled": true},
    });
    all_with("a long name", &values)
});

/// The cases of the main chart, with values that override their own.
fn all_with(what: &str, values: &Value) -> Vec<Release> {
    let cases: Vec<_> = CASES.iter().filter(|case| case.is_server()).collect();
    side_by_side(&cases, |case| {
        let release = Release::of(case.render(values));
        Release { name: format!("{} with {what}", release.name), ..release }
    })
}

impl Release {
    pub fn of(render: Render) -> Self {
        let manifests = render.documents.into_iter().map(Manifest::of).collect();
        Self { name: render.case.name.clone(), case: render.case, manifests }
    }

    pub fn named(case: &str) -> &'static Self {
        RELEASES.iter().find(|release| release.case.name == case).unwrap_or_else(|| panic!("there is no case {case}"))
    }

    /// Whether there is an object of this kind and name.
    pub fn find(&self, kind: &str, name: &str) -> Option<&Manifest> {
        self.manifests.iter().find(|manifest| manifest.kind() == kind && manifest.name() == name)
    }

    pub fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Manifest> {
        self.manifests.iter().filter(move |manifest| manifest.kind() == kind)
    }

    /// The objects of the chart, without those of `extraObjects`.
    pub fn ours(&self) -> impl Iterator<Item = &Manifest> {
        let foreign = ["notes", "more"].map(|name| format!("{RELEASE}-{name}"));
        let has_foreign = self.case.name == "extra-objects";
        self.manifests
            .iter()
            .filter(move |manifest| !(has_foreign && foreign.iter().any(|name| name == manifest.name())))
    }
}

/// The result of a check over all cases.
#[derive(Default)]
pub struct Findings {
    place: String,
    looked: usize,
    complaints: Vec<String>,
}

impl Findings {
    /// Checks one property of an object.
    pub fn check(&mut self, at: &Manifest, holds: bool, complaint: impl Display) {
        self.looked += 1;
        if !holds {
            self.complaints.push(format!("{}: {} {}: {complaint}", self.place, at.kind(), at.name()));
        }
    }

    /// Checks one property of no object, or of several.
    pub fn check_all(&mut self, holds: bool, complaint: impl Display) {
        self.looked += 1;
        if !holds {
            self.complaints.push(format!("{}: {complaint}", self.place));
        }
    }
}

/// Checks all releases.
///
/// # Panics
/// With all errors, and if nothing was checked.
#[track_caller]
pub fn walk(releases: &[Release], mut look: impl FnMut(&Release, &mut Findings)) {
    let mut findings = Findings::default();
    for release in releases {
        findings.place = format!("case {}", release.name);
        look(release, &mut findings);
    }
    let Findings { looked, complaints, .. } = findings;
    assert!(looked > 0, "there was nothing to look at");
    assert!(complaints.is_empty(), "{} of {looked} complain:\n  {}", complaints.len(), complaints.join("\n  "));
}

#[test]
fn every_object_has_only_fields_of_its_type() {
    for releases in [&RELEASES, &GUARDED, &LONG] {
        walk(releases, |release, findings| {
            for manifest in &release.manifests {
                let is_read = !matches!(manifest.object, Object::Broken);
                findings.check(manifest, is_read && manifest.faults.is_empty(), manifest.faults.join("; "));
            }
        });
    }
}
