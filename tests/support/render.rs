//! Renders of the charts by Helm, once per case and process.

use std::{
    fs,
    path::Path,
    sync::{
        LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use serde_json::Value;

use super::helm::{CHART, CRDS_CHART, Helm};

/// Values that users of a profile must set, according to the documentation.
const HOST: &str = "database.external.host=db.example.org";

/// A set of values that must work.
#[derive(Debug, Clone)]
pub struct Case {
    pub name: String,
    pub chart: &'static str,
    pub arguments: Vec<String>,
}

/// The objects of a case.
#[derive(Debug, Clone)]
pub struct Render {
    pub case: Case,
    pub text: String,
    pub documents: Vec<Value>,
}

fn files(folder: &str) -> Vec<(String, String)> {
    let mut files: Vec<_> =
        fs::read_dir(Path::new(CHART).join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let named = files.into_iter().map(|path| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        (name, path.to_str().unwrap().to_owned())
    });
    named.collect()
}

/// Each file of `cases/` and `profiles/`, the profiles that are used together, and the CRD chart alone.
pub static CASES: LazyLock<Vec<Case>> = LazyLock::new(|| {
    let case = |name: &str, files: &[&str], sets: &[&str]| {
        let values = files.iter().flat_map(|file| ["--values".to_owned(), (*file).to_owned()]);
        let sets = sets.iter().flat_map(|set| ["--set".to_owned(), (*set).to_owned()]);
        Case { name: name.to_owned(), chart: CHART, arguments: values.chain(sets).collect() }
    };
    let mut cases: Vec<_> = files("cases").iter().map(|(name, path)| case(name, &[path], &[])).collect();
    let profiles = files("profiles");
    cases.extend(profiles.iter().map(|(name, path)| case(&format!("profile-{name}"), &[path], &[HOST])));
    let path = |name: &str| &profiles.iter().find(|(known, _)| known == name).expect("this profile is there").1;
    cases.push(case("profile-production-airgap", &[path("production"), path("airgap")], &[HOST]));
    cases.push(Case { name: "crds".to_owned(), chart: CRDS_CHART, arguments: vec![] });
    cases
});

/// All cases as they are.
pub static RENDERS: LazyLock<Vec<Render>> = LazyLock::new(|| side_by_side(&CASES, |case| case.render(&Value::Null)));

impl Case {
    pub fn named(name: &str) -> &'static Self {
        CASES.iter().find(|case| case.name == name).unwrap_or_else(|| panic!("there is no case {name}"))
    }

    /// The case with values that override its own.
    ///
    /// # Panics
    /// If Helm fails.
    pub fn render(&self, values: &Value) -> Render {
        self.try_render(values).unwrap_or_else(|refusal| match values {
            Value::Null => panic!("case {}: {refusal}", self.name),
            _ => panic!("case {} with {values}: {refusal}", self.name),
        })
    }

    /// The objects, or Helm's error.
    pub fn try_render(&self, values: &Value) -> Result<Render, String> {
        let text = Helm::Three.template(self.chart, &self.arguments, values)?;
        Ok(Render { case: self.clone(), documents: documents(&text), text })
    }

    /// The case as a release of another name.
    pub fn render_as(&self, release: &str) -> Render {
        let text = Helm::Three.template_as(release, self.chart, &self.arguments, &Value::Null);
        let text = text.unwrap_or_else(|refusal| panic!("case {} as {release}: {refusal}", self.name));
        Render { case: self.clone(), documents: documents(&text), text }
    }

    /// Whether it is of the main chart.
    pub fn is_server(&self) -> bool {
        self.chart == CHART
    }
}

/// The objects in a YAML text.
///
/// # Panics
/// If it is not YAML.
pub fn documents(text: &str) -> Vec<Value> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    documents.into_iter().filter(|document| !document.is_null()).collect()
}

/// Runs as many at once as there are processors.
pub fn side_by_side<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut done = vec![];
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { return done };
            done.push((index, work(item)));
        }
    };
    let mut done: Vec<(usize, R)> = thread::scope(|scope| {
        let count = thread::available_parallelism().map_or(1, usize::from).min(items.len());
        let workers: Vec<_> = (0..count).map(|_| scope.spawn(worker)).collect();
        // The panic of a worker has printed its reason itself.
        workers.into_iter().flat_map(|worker| worker.join().expect("no worker panicked")).collect()
    });
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}
