//! The privacy rules with their key; the embedded store generates its own key.

use std::{
    fmt::Write as _,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write as _},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use crate::{
    config::{KeyError, sections},
    domain::privacy::{Identifiers, Key, KeyTooShort, Privacy},
};

/// Name of the key file that the embedded store generates beside its database.
const FILE: &str = "privacy.key";

/// Why the privacy rules cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// The configured key cannot be used.
    #[error(transparent)]
    Configured(#[from] KeyError),
    /// The key of the embedded store cannot be used.
    #[error("cannot use the privacy key {}", path.display())]
    Own {
        /// Its file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The key is too short.
    #[error(transparent)]
    Short(#[from] KeyTooShort),
}

/// Generates the key of the embedded store in its folder, if none is configured and none exists.
///
/// Only at start: a key that disappears while the server runs must not be replaced silently, as the same device
/// would get another pseudonym.
///
/// # Errors
///
/// The key cannot be written.
pub fn prepare(privacy: &sections::Privacy, folder: Option<&Path>) -> Result<(), RulesError> {
    let Some(folder) = folder.filter(|_| privacy.key.is_none() && privacy.key_file.is_none()) else { return Ok(()) };
    let path = folder.join(FILE);
    if path.exists() {
        return Ok(());
    }
    make(&path).map_err(|source| RulesError::Own { path: path.clone(), source })?;
    tracing::info!(path = %path.display(), "generated a privacy key: back it up, because another key changes all pseudonyms");
    Ok(())
}

/// The active rules. `folder` is that of the embedded store, whose key is used if none is configured.
///
/// # Errors
///
/// The key cannot be read, or is too short.
pub fn rules(privacy: &sections::Privacy, folder: Option<&Path>) -> Result<Privacy, RulesError> {
    Ok(match privacy.identifiers {
        Identifiers::None => Privacy::None,
        Identifiers::Raw => {
            let key = key(privacy, folder)?.map_or_else(key_of_this_process, Ok)?;
            Privacy::Raw { notice_version: privacy.notice_version.clone().unwrap_or_default(), key }
        }
        // The loader rejects PostgreSQL without a key.
        Identifiers::Pseudonymous => Privacy::Pseudonymous(key(privacy, folder)?.ok_or(KeyTooShort)?),
    })
}

/// The configured key, otherwise that of the embedded store.
fn key(privacy: &sections::Privacy, folder: Option<&Path>) -> Result<Option<Key>, RulesError> {
    let own = |folder: &Path| {
        let path = folder.join(FILE);
        let key = fs::read_to_string(&path).and_then(|text| Key::new(&text).map_err(io::Error::other));
        key.map_err(|source| RulesError::Own { path, source })
    };
    Ok(match privacy.read_key()? {
        Some(key) => Some(Key::new(key.expose())?),
        None => folder.map(own).transpose()?,
    })
}

/// Raw identifiers are stored without a key, but profiles are identified by a keyed hash. Without a configured key
/// each process uses its own, so each process stores each profile once more.
fn key_of_this_process() -> Result<Key, RulesError> {
    static KEY: OnceLock<Key> = OnceLock::new();
    if let Some(key) = KEY.get() {
        return Ok(key.clone());
    }
    let source = Path::new("/dev/urandom");
    let key = random_key().map_err(|error| RulesError::Own { path: source.into(), source: error })?;
    Ok(KEY.get_or_init(|| key).clone())
}

fn random_key() -> io::Result<Key> {
    Key::new(&random_hex()?).map_err(io::Error::other)
}

/// Syncs the key to disk before the first pseudonym is made with it.
fn make(path: &Path) -> io::Result<()> {
    let key = random_hex()?;
    let draft = path.with_extension("key.new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(key.as_bytes())?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn random_hex() -> io::Result<String> {
    let mut random = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut random)?;
    Ok(random.iter().fold(String::new(), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    }))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_embedded_store_makes_a_key_once() {
        let folder = tempfile::tempdir().unwrap();
        let pseudonym = || {
            prepare(&sections::Privacy::default(), Some(folder.path())).unwrap();
            let rules = rules(&sections::Privacy::default(), Some(folder.path())).unwrap();
            rules.hardware("node_id", "n".into())
        };
        assert_eq!(pseudonym(), pseudonym());
        let mode = fs::metadata(folder.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(rules(&sections::Privacy::default(), None).is_err());
        fs::remove_file(folder.path().join(FILE)).unwrap();
        assert!(rules(&sections::Privacy::default(), Some(folder.path())).is_err(), "a lost key is not replaced");
    }
}
