//! Reads message files.

use std::{
    fs::{self, File as Handle},
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::source::{Part, Source, Unknown};
use crate::config::config_maps::CONFIGURATION;

/// Largest file that is read, in bytes; a ConfigMap cannot be larger.
const MAX_FILE: u64 = 1024 * 1024;

/// Reads files, and in folders all `*.yaml` and `*.yml` except `config.yaml`, sorted by name.
#[must_use]
pub fn read(paths: &[PathBuf]) -> Vec<Source> {
    paths
        .iter()
        .map(|path| Source {
            path: path.clone(),
            parts: parts(path).map_err(|error| Unknown::Unreadable(error.to_string())),
        })
        .collect()
}

fn parts(path: &Path) -> io::Result<Vec<Part>> {
    if !fs::metadata(path)?.is_dir() {
        return text(path).map(|text| vec![Part::text(path, Ok(text))]);
    }
    let entries: Vec<_> = fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    if entries.is_empty() {
        // If a volume is not mounted there is an empty folder. A mounted ConfigMap is never entirely empty.
        return Err(io::Error::other("the folder is empty, maybe because a volume is not mounted"));
    }
    let mut paths: Vec<_> = entries.into_iter().filter(|path| is_message_file(path)).collect();
    paths.sort();
    let part = |path: PathBuf| {
        let text = match path.to_str() {
            Some(_) => text(&path).map_err(|error| error.to_string()),
            None => Err("its name is not UTF-8".into()),
        };
        Part::text(path, text)
    };
    Ok(paths.into_iter().map(part).collect())
}

/// Whether a file of this name in a folder, or a key of a ConfigMap, contains messages.
pub(super) fn is_message_file(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    // kubelet keeps the data of a mounted ConfigMap in hidden folders.
    !name.starts_with('.') && name != CONFIGURATION && (name.ends_with(".yaml") || name.ends_with(".yml"))
}

fn text(path: &Path) -> io::Result<String> {
    // Reading a pipe or a device would block.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is neither a file nor a folder"));
    }
    let mut text = String::new();
    Handle::open(path)?.take(MAX_FILE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE {
        return Err(io::Error::other("it is larger than 1 MiB"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt, os::unix::fs::symlink};

    use super::{super::source::Content, *};

    #[test]
    fn a_mounted_config_map_is_read_without_hidden_folders() {
        let mount = tempfile::tempdir().unwrap();
        let mount = mount.path();
        // As kubelet mounts it: `a.yaml → ..data/a.yaml`, `..data → ..2026_11_24`.
        fs::create_dir(mount.join("..2026_11_24")).unwrap();
        symlink("..2026_11_24", mount.join("..data")).unwrap();
        for name in ["b.yaml", "a.yml", "config.yaml", "notes.txt"] {
            fs::write(mount.join("..data").join(name), name).unwrap();
            symlink(Path::new("..data").join(name), mount.join(name)).unwrap();
        }
        fs::create_dir(mount.join("folder.d")).unwrap();
        let sources = read(&[mount.to_owned()]);
        assert!(sources[0].is_complete());
        let texts: Vec<_> = sources[0].parts.clone().unwrap().into_iter().map(|part| part.content.unwrap()).collect();
        assert_eq!(texts, ["a.yml", "b.yaml"].map(|text| Content::Text(text.into())));
        for name in ["b.yaml", "a.yml"] {
            fs::remove_file(mount.join(name)).unwrap();
        }
        assert_eq!(read(&[mount.to_owned()])[0].parts, Ok(vec![]), "intentionally without messages");
    }

    #[test]
    fn unreadable_files_and_folders_are_reported() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("large.yaml"), vec![b' '; 1024 * 1024 + 1]).unwrap();
        fs::write(path("latin.yaml"), b"\xe4").unwrap();
        fs::create_dir(path("empty")).unwrap();
        for (name, problem) in [
            ("nowhere", "No such file"),
            ("large.yaml", "larger than 1 MiB"),
            ("latin.yaml", "UTF-8"),
            ("empty", "not mounted"),
            ("../../../../../../../../../../../dev/zero", "neither a file nor a folder"),
        ] {
            let Err(Unknown::Unreadable(told)) = read(&[path(name)])[0].parts.clone() else { panic!("{name}") };
            assert!(told.contains(problem), "{name}: {told}");
        }
        fs::write(folder.path().join(OsStr::from_bytes(b"m\xe9.yaml")), "").unwrap();
        let source = &read(&[folder.path().to_owned()])[0];
        let problems: Vec<_> = source.parts.iter().flatten().filter_map(|part| part.content.clone().err()).collect();
        assert!(!source.is_complete() && problems.contains(&"its name is not UTF-8".to_owned()), "{problems:?}");
    }
}
