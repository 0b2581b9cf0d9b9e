//! Runs the binary in an empty environment.

use std::{fs, path::PathBuf, process::Command};

use tempfile::TempDir;

/// One run of the binary that is prepared step by step.
pub struct Run {
    pub command: Command,
    dir: TempDir,
}

/// How it ended.
pub struct Ended {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

pub fn run(arguments: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nutritionfacts"));
    command.env_clear().args(arguments);
    Run { command, dir: TempDir::new().unwrap() }
}

impl Run {
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub fn argument(mut self, argument: &str) -> Self {
        self.command.arg(argument);
        self
    }

    /// With the folder of the files as the current one.
    pub fn in_its_folder(mut self) -> Self {
        self.command.current_dir(self.dir.path());
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A file of that name, given by `--config`.
    pub fn file(mut self, name: &str, text: &str) -> Self {
        fs::write(self.path(name), text).unwrap();
        let path = self.path(name);
        self.command.arg("--config").arg(path);
        self
    }

    /// Runs; the folder of the files is shown as `DIR`.
    pub fn end(mut self) -> Ended {
        let output = self.command.output().unwrap();
        let folder = self.dir.path().display().to_string();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace(&folder, "DIR");
        Ended { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

impl Ended {
    /// Asserts a refusal with exactly these complaints.
    #[track_caller]
    pub fn refused(&self, complaints: &[&str]) {
        let expected = [&["nutritionfacts: the configuration is invalid"], complaints].concat().join("\n  ");
        assert_eq!(self.stderr, format!("{expected}\n"));
        assert_eq!((self.code, self.stdout.as_str()), (2, ""));
    }

    #[track_caller]
    pub fn shows(&self, line: &str) {
        assert_eq!(self.code, 0, "{}", self.stderr);
        assert!(self.stdout.lines().any(|shown| shown.trim() == line), "no line `{line}` in:\n{}", self.stdout);
    }
}

pub const KEY: &str = "0123456789abcdef0123456789abcdef";
