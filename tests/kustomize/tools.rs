//! The commands `helm` and `kubectl` from PATH; `HELM` names another Helm, 3 or 4.

use std::{
    env,
    path::Path,
    process::{Command, Output},
};

use super::{
    object::{Objects, objects},
    tree::{ROOT, Tree},
};

/// The release that the base corresponds to.
pub const NAME: &str = "nutritionfacts";

/// Renders the chart in a namespace, with values files; paths are relative to the repository.
pub fn chart(namespace: &str, values: &[&str]) -> Objects {
    let mut command = Command::new(env::var_os("HELM").unwrap_or_else(|| "helm".into()));
    command.current_dir(ROOT).args(["template", NAME, "helm/nutritionfacts", "--namespace", namespace]);
    command.args(values.iter().flat_map(|file| ["--values", file]));
    let output = run(command, "Helm 3.14 or later: https://helm.sh/docs/intro/install");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    objects(&String::from_utf8(output.stdout).unwrap())
}

/// Builds a kustomization, without any warning.
pub fn build(tree: &Tree, folder: &str) -> Objects {
    objects(&try_build(&tree.path().join(folder)).unwrap_or_else(|complaint| panic!("{folder}: {complaint}")))
}

pub fn try_build(folder: &Path) -> Result<String, String> {
    let mut command = Command::new("kubectl");
    command.arg("kustomize").arg(folder);
    let output = run(command, "kubectl 1.30 or later: https://kubernetes.io/docs/tasks/tools");
    let complaint = String::from_utf8(output.stderr).unwrap();
    if output.status.success() && complaint.is_empty() {
        Ok(String::from_utf8(output.stdout).unwrap())
    } else {
        Err(complaint)
    }
}

fn run(mut command: Command, hint: &str) -> Output {
    let name = command.get_program().to_string_lossy().into_owned();
    command.output().unwrap_or_else(|error| panic!("cannot run `{name}`: {error}; install {hint}"))
}
