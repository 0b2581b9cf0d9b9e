//! The privacy key, from the environment or a file.

use std::path::PathBuf;

use super::{
    secret::{Secret, SecretFileError},
    sections::Privacy,
};

/// Minimum length of a key in characters, without whitespace around it.
pub const KEY_LENGTH: usize = crate::domain::privacy::MIN_KEY_LENGTH;

/// A command that generates a key.
pub const MAKE_A_KEY: &str = "head -c 32 /dev/urandom | base64";

/// Why the key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] SecretFileError),
    /// It is too short to be a secret.
    #[error("the privacy key{} has less than {KEY_LENGTH} characters; make one with `{MAKE_A_KEY}`", place(.0.as_ref()))]
    Short(Option<PathBuf>),
}

impl Privacy {
    /// The key from `key` or `key_file`, trimmed; `None` if neither is set, because the embedded store generates its own.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or the key is shorter than [`KEY_LENGTH`] characters.
    pub fn read_key(&self) -> Result<Option<Secret>, KeyError> {
        let key = match (&self.key, &self.key_file) {
            (Some(key), _) => Secret::from(key.expose().trim().to_owned()),
            (None, Some(file)) => Secret::read(file)?,
            (None, None) => return Ok(None),
        };
        if key.expose().chars().count() < KEY_LENGTH {
            let file = self.key_file.clone().filter(|_| self.key.is_none());
            return Err(KeyError::Short(file));
        }
        Ok(Some(key))
    }
}

fn place(file: Option<&PathBuf>) -> String {
    file.map(|file| format!(" in {}", file.display())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_trimmed_and_long_enough() {
        let key = |text: &str| Privacy { key: Some(Secret::from(text.to_owned())), ..Privacy::default() }.read_key();
        assert_eq!(key(&format!(" {}\n", "k".repeat(32))).unwrap().unwrap().expose(), "k".repeat(32));
        assert!(matches!(key(&format!(" {}\n", "k".repeat(31))), Err(KeyError::Short(None))));
        assert!(Privacy::default().read_key().unwrap().is_none());
    }

    #[test]
    fn the_key_is_read_from_its_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("{}\n", "k".repeat(44))).unwrap();
        let privacy = Privacy { key_file: Some(file.path().to_owned()), ..Privacy::default() };
        assert_eq!(privacy.read_key().unwrap().unwrap().expose().len(), 44);
        let nowhere = Privacy { key_file: Some("/nowhere".into()), ..Privacy::default() };
        assert!(matches!(nowhere.read_key(), Err(KeyError::File(_))));
    }
}
