//! The texts of message files.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Largest file that is read: a ConfigMap holds no more.
const MAX_FILE: u64 = 1024 * 1024;
/// The key of a ConfigMap, and so the file in its folder, that holds configuration.
const CONFIGURATION: &str = "config.yaml";

/// A file, or a folder that could not be listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// As configured, or below a configured folder.
    pub path: PathBuf,
    /// Its text, or why it cannot be read.
    pub text: Result<String, String>,
}

/// Reads files, and in folders all `*.yaml` and `*.yml` but `config.yaml`, sorted by name.
#[must_use]
pub fn read(paths: &[PathBuf]) -> Vec<File> {
    let list = |path: &PathBuf| match of_folder(path) {
        Ok(paths) => paths.iter().map(|path| read_one(path)).collect(),
        // No folder: the reading of the file has the last word.
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => vec![read_one(path)],
        Err(error) => vec![File { path: path.clone(), text: Err(error.to_string()) }],
    };
    paths.iter().flat_map(list).collect()
}

fn of_folder(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let paths: io::Result<Vec<_>> = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect();
    let is_message_file = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        // kubelet keeps the data of a mounted ConfigMap in hidden folders.
        !name.starts_with('.')
            && name != CONFIGURATION
            && path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
    };
    let mut paths: Vec<_> = paths?.into_iter().filter(is_message_file).collect();
    paths.sort();
    Ok(paths)
}

fn read_one(path: &Path) -> File {
    let text = fs::metadata(path).and_then(|metadata| {
        if metadata.len() > MAX_FILE {
            return Err(io::Error::other(format!("is larger than {MAX_FILE} bytes")));
        }
        fs::read_to_string(path)
    });
    File { path: path.to_owned(), text: text.map_err(|error| error.to_string()) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_mounted_config_map() {
        let mount = tempfile::tempdir().unwrap();
        let mount = mount.path();
        // As kubelet keeps it: `a.yaml → ..data/a.yaml`, `..data → ..2026_11_24`.
        fs::create_dir(mount.join("..2026_11_24")).unwrap();
        symlink("..2026_11_24", mount.join("..data")).unwrap();
        for name in ["b.yaml", "a.yml", "config.yaml", "notes.txt"] {
            fs::write(mount.join("..data").join(name), name).unwrap();
            symlink(Path::new("..data").join(name), mount.join(name)).unwrap();
        }
        fs::create_dir(mount.join("folder.d")).unwrap();
        let found: Vec<_> = read(&[mount.to_owned()]).into_iter().map(|file| file.text.unwrap()).collect();
        assert_eq!(found, ["a.yml", "b.yaml"]);
    }

    #[test]
    fn what_cannot_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("large.yaml"), vec![b' '; 1024 * 1024 + 1]).unwrap();
        fs::write(path("latin.yaml"), b"\xe4").unwrap();
        let problems: Vec<_> = read(&[path("nowhere"), path("large.yaml"), path("latin.yaml")])
            .into_iter()
            .map(|file| file.text.unwrap_err())
            .collect();
        assert!(problems[0].contains("No such file"), "{problems:?}");
        assert_eq!(problems[1], "is larger than 1048576 bytes");
        assert!(problems[2].contains("UTF-8"), "{problems:?}");
    }
}
