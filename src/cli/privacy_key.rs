//! The privacy rules with the key that they need; the embedded store makes its own.

use std::{
    fmt::Write as _,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write as _},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use crate::{
    config::{KeyError, secret::Secret, sections},
    domain::privacy::{Identifiers, Key, KeyTooShort, Privacy},
};

/// The name of the key that the embedded store makes beside its database.
const FILE: &str = "privacy.key";

/// Why there are no rules.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// The configured key.
    #[error(transparent)]
    Configured(#[from] KeyError),
    /// The key of the embedded store.
    #[error("cannot use the privacy key {}", path.display())]
    Own {
        /// Its file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Not long enough to be a secret.
    #[error(transparent)]
    Short(#[from] KeyTooShort),
}

/// The rules in force. `folder` is that of the embedded store, which makes a key there if none is configured.
///
/// # Errors
///
/// The key cannot be read or made, or is too short.
pub fn rules(privacy: &sections::Privacy, folder: Option<&Path>) -> Result<Privacy, RulesError> {
    Ok(match privacy.identifiers {
        Identifiers::None => Privacy::None,
        Identifiers::Raw => Privacy::Raw { notice_version: privacy.notice_version.clone().unwrap_or_default() },
        Identifiers::Pseudonymous => {
            let key = match (privacy.read_key()?, folder) {
                (Some(key), _) => key,
                (None, Some(folder)) => own(&folder.join(FILE))?,
                // The loader refuses PostgreSQL without a key.
                (None, None) => return Err(KeyTooShort.into()),
            };
            Privacy::Pseudonymous(Key::new(key.expose())?)
        }
    })
}

fn own(path: &Path) -> Result<Secret, RulesError> {
    let failed = |source| RulesError::Own { path: path.to_owned(), source };
    match fs::read_to_string(path) {
        Ok(key) => Ok(key.trim().to_owned().into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = make(path).map_err(failed)?;
            tracing::info!(path = %path.display(), "made a privacy key: keep it with the database, as a new one starts new pseudonyms");
            Ok(key.into())
        }
        Err(error) => Err(failed(error)),
    }
}

/// The key is on disk before the first pseudonym is made with it.
fn make(path: &Path) -> io::Result<String> {
    let mut random = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut random)?;
    let key = random.iter().fold(String::new(), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    let draft = path.with_extension("key.new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(key.as_bytes())?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_embedded_store_makes_a_key_once() {
        let folder = tempfile::tempdir().unwrap();
        let pseudonym = || {
            let rules = rules(&sections::Privacy::default(), Some(folder.path())).unwrap();
            rules.hardware("node_id", "n".into())
        };
        assert_eq!(pseudonym(), pseudonym());
        let mode = fs::metadata(folder.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(rules(&sections::Privacy::default(), None).is_err());
    }
}
