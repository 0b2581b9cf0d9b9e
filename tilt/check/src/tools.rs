//! A search path with what the Tiltfile asks for, or without some of it: whether Docker is on this machine does not matter.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use tempfile::TempDir;

/// What `tilt/tools` looks for.
const WANTED: [&str; 5] = ["cargo", "docker", "helm", "kubectl", "python3"];
/// What runs it.
const SYSTEM: [&str; 2] = ["bash", "uname"];

/// A folder of programs.
pub struct Tools(TempDir);

impl Tools {
    /// All of them but one.
    ///
    /// # Panics
    /// If there is nowhere to put them.
    pub fn without(missing: &str) -> Self {
        let tools = Self(tempfile::tempdir().expect("there is room for a folder"));
        for name in WANTED.into_iter().filter(|name| *name != missing) {
            tools.script(name, "#!/bin/sh\n");
        }
        for name in SYSTEM {
            let found =
                ["/usr/bin", "/bin"].map(|folder| Path::new(folder).join(name)).into_iter().find(|path| path.exists());
            symlink(found.expect("it is a program of every system"), tools.path().join(name))
                .expect("nothing is there yet");
        }
        tools
    }

    /// All of them.
    ///
    /// # Panics
    /// See [`Self::without`].
    pub fn all() -> Self {
        Self::without("")
    }

    /// Puts a script in the place of a program.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn script(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        let _ = fs::remove_file(&path);
        fs::write(&path, text).expect("the folder is ours");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("the file is ours");
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }
}
