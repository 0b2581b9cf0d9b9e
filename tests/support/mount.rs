//! A mounted ConfigMap as kubelet stores it: `a.yaml → ..data/a.yaml`, `..data → ..2026_11_24`.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

/// Invalid content of a followed ConfigMap: a live or other key that is unknown, or of a wrong type or value, a secret, and
/// invalid YAML.
pub const BROKEN: [&str; 12] = [
    "api: {replay: empty}",
    "api: {reply: 7}",
    "ingest: {max_batch: 0}",
    "http: {max_conections: 3}",
    "http: {max_connections: lots}",
    "http: {max_connections: 0}",
    "store: {password: x}",
    "store: {url: 'postgres://a/b'}",
    "privacy: {key: short}",
    "strangers: 1",
    "api: [",
    "a: &a [*a]",
];

/// The folder of the mount, with one key.
pub struct Mount {
    folder: PathBuf,
    key: &'static str,
    version: u32,
}

impl Mount {
    pub fn new(folder: &Path, key: &'static str, text: &str) -> Self {
        let mut mount = Self { folder: folder.to_owned(), key, version: 0 };
        mount.publish(text);
        symlink(Path::new("..data").join(key), mount.file()).unwrap();
        mount
    }

    pub fn file(&self) -> PathBuf {
        self.folder.join(self.key)
    }

    /// Replaces all keys at once, by a swap of links; the previous folder is removed.
    pub fn publish(&mut self, text: &str) {
        let before = self.folder.join(format!("..{}", self.version));
        self.version += 1;
        let name = format!("..{}", self.version);
        let folder = self.folder.join(&name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(self.key), text).unwrap();
        symlink(name, self.folder.join("..data_tmp")).unwrap();
        fs::rename(self.folder.join("..data_tmp"), self.folder.join("..data")).unwrap();
        if before.exists() {
            fs::remove_dir_all(before).unwrap();
        }
    }
}
