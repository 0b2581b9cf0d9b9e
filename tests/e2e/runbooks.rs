//! The commands of the runbooks, unchanged, on a healthy installation.

use std::{
    env, fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    kubectl::kubectl,
    release::{DEV, Release},
    support::{
        helm::{CHART, Helm},
        runbooks::of_language,
    },
};

#[test]
fn every_command_of_the_runbooks_works() {
    let release = Release::begin_beside_definition();
    let options = ["--values", DEV, "--set", "crds.enabled=false"];
    release.helm_upgrade_as("nutritionfacts", CHART, &options);
    let shell = Shell::of(&release);
    let mut failures = Vec::new();
    for (page, script) in of_language("sh") {
        if let Err(error) = shell.run(&script) {
            failures.push(format!("{page}: {script}\n{error}"));
        }
    }
    for (page, query) in of_language("sql") {
        let psql = [
            "exec",
            "-i",
            "nutritionfacts-db-0",
            "--",
            "psql",
            "--username=nutritionfacts",
            "--set=ON_ERROR_STOP=1",
            "nutritionfacts",
        ];
        let arguments = [&["--namespace", &release.namespace], &psql[..]].concat();
        if let Err(error) = kubectl(&arguments, &query) {
            failures.push(format!("{page}: {query}\n{error}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// A shell with `kubectl` in the namespace of the release, and the tests' `helm`.
struct Shell {
    folder: tempfile::TempDir,
}

impl Shell {
    fn of(release: &Release) -> Self {
        let shell = Self { folder: tempfile::tempdir().unwrap() };
        let which = |name: &Path| {
            let paths = env::var_os("PATH").unwrap();
            env::split_paths(&paths).map(|folder| folder.join(name)).find(|path| path.exists())
        };
        let helm = Path::new(Helm::Three.program());
        let helm: PathBuf = if helm.is_absolute() { helm.to_owned() } else { which(helm).expect("helm is there") };
        symlink(helm, shell.folder.path().join("helm")).unwrap();
        let raw = kubectl(&["config", "view", "--raw", "--minify"], "").unwrap();
        fs::write(shell.config(), raw).unwrap();
        shell.run(&format!("kubectl config set-context --current --namespace={}", release.namespace)).unwrap();
        shell
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("config")
    }

    fn run(&self, script: &str) -> Result<(), String> {
        let paths = env::split_paths(&env::var_os("PATH").unwrap()).collect::<Vec<_>>();
        let path = env::join_paths([self.folder.path().to_owned()].into_iter().chain(paths)).unwrap();
        let mut bash = Command::new("bash");
        bash.args(["-euo", "pipefail", "-c", script]).env("KUBECONFIG", self.config()).env("PATH", path);
        let output = bash.output().unwrap();
        if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
    }
}
