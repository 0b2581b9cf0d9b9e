//! The command `helm` in both major versions.

use std::{
    env,
    ffi::OsString,
    io::Write,
    path::Path,
    process::{Command, Stdio},
    sync::LazyLock,
};

use serde_json::Value;

/// The release has another name than the chart, so that names hard-coded in templates are found.
pub const RELEASE: &str = "kolibri";
pub const NAMESPACE: &str = "here";
pub const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/helm/nutritionfacts");
pub const CRDS_CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/helm/nutritionfacts-crds");

#[derive(Debug, Clone, Copy)]
pub enum Helm {
    Three,
    Four,
}

impl Helm {
    fn major(self) -> char {
        match self {
            Self::Three => '3',
            Self::Four => '4',
        }
    }

    fn variable(self) -> &'static str {
        match self {
            Self::Three => "HELM",
            Self::Four => "HELM4",
        }
    }

    fn find(self) -> OsString {
        let named = env::var_os(self.variable()).filter(|name| !name.is_empty());
        let program = named.unwrap_or_else(|| self.variable().to_lowercase().into());
        let (major, variable) = (self.major(), self.variable());
        let hint = format!(
            "install Helm {major} (https://helm.sh/docs/intro/install) as `{}`, or name it in {variable}",
            variable.to_lowercase()
        );
        let output = Command::new(&program).args(["version", "--template", "{{.Version}}"]).output();
        let output = output.unwrap_or_else(|error| panic!("cannot run {}: {error}: {hint}", program.display()));
        let version = String::from_utf8_lossy(&output.stdout);
        assert!(
            version.starts_with(&format!("v{major}.")),
            "{} is Helm {version}, and these tests need Helm {major}: {hint}",
            program.display()
        );
        program
    }

    /// Path of the command.
    pub fn program(self) -> &'static OsString {
        static THREE: LazyLock<OsString> = LazyLock::new(|| Helm::Three.find());
        static FOUR: LazyLock<OsString> = LazyLock::new(|| Helm::Four.find());
        match self {
            Self::Three => &THREE,
            Self::Four => &FOUR,
        }
    }

    /// Runs it with text on stdin; returns its output or its error.
    ///
    /// # Panics
    /// Without a Helm of this version, with how to install it.
    pub fn run(self, arguments: &[&str], stdin: &str) -> Result<String, String> {
        let own = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("helm-{}", self.major()));
        let mut command = Command::new(self.program());
        // The user's configuration and plugins must not matter.
        for name in ["CACHE", "CONFIG", "DATA"] {
            command.env(format!("HELM_{name}_HOME"), own.join(name));
        }
        command.env_remove("KUBECONFIG").args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // It may exit without reading its input.
        let _ = child.stdin.take().expect("it is piped").write_all(stdin.as_bytes());
        let output = child.wait_with_output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// Runs `helm template` for a chart, with values that override those of the arguments.
    pub fn template(self, chart: &str, arguments: &[String], values: &Value) -> Result<String, String> {
        self.template_as(RELEASE, chart, arguments, values)
    }

    /// The same for a release of another name.
    pub fn template_as(
        self,
        release: &str,
        chart: &str,
        arguments: &[String],
        values: &Value,
    ) -> Result<String, String> {
        let mut all = vec!["template", release, chart, "--namespace", NAMESPACE];
        all.extend(arguments.iter().map(String::as_str));
        if !values.is_null() {
            all.extend(["--values", "-"]);
        }
        self.run(&all, &as_yaml(values))
    }
}

/// JSON is YAML, except for control characters that JSON need not escape.
fn as_yaml(values: &Value) -> String {
    let escaped = |character: char| match character {
        '\u{7f}'..='\u{9f}' => format!("\\u{:04x}", u32::from(character)),
        _ => character.to_string(),
    };
    values.to_string().chars().map(escaped).collect()
}
