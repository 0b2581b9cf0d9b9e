//! Secrets, which are never shown.

use std::{fmt, fs, io, path::PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

/// Shown in place of a secret.
pub const REDACTED: &str = "[redacted]";

/// Text that is redacted wherever it is printed or serialised.
#[derive(Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline, extend("x-secret" = true))]
pub struct Secret(String);

impl Secret {
    /// The secret itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Reads a file with a secret, without the whitespace around it (editors and `echo` end files with a line feed).
    ///
    /// # Errors
    ///
    /// The path and the operating system's reason, if the file cannot be read or is not UTF-8.
    pub fn read(path: impl Into<PathBuf>) -> Result<Self, SecretFileError> {
        let path = path.into();
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Self(text.trim().to_owned())),
            Err(source) => Err(SecretFileError { path, source }),
        }
    }
}

/// A file with a secret cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the secret in {}", path.display())]
pub struct SecretFileError {
    path: PathBuf,
    source: io::Error,
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(REDACTED)
    }
}

/// Serialises a URL without its password.
// The signature is serde's.
#[expect(clippy::ref_option, reason = "serde hands over a reference")]
pub(super) fn serialize_url<S: Serializer>(url: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
    match url {
        Some(url) => serializer.serialize_some(&redact_url(url.expose())),
        None => serializer.serialize_none(),
    }
}

/// A URL without its password. If the password cannot be located with certainty, the whole URL is hidden: an unescaped `/`,
/// `#` or `@` in a password moves the borders of a URL, and a query may contain `password=`.
fn redact_url(url: &str) -> String {
    if url.starts_with("sqlite:") {
        return url.to_owned();
    }
    let hidden = || REDACTED.to_owned();
    let Some((scheme @ ("postgres" | "postgresql"), rest)) = url.split_once("://") else { return hidden() };
    let (rest, query) = rest.split_once('?').map_or((rest, ""), |(rest, _)| (rest, "?[redacted]"));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let slash = if rest.contains('/') { "/" } else { "" };
    let (user, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
    let port = host.rsplit_once(':').filter(|_| !host.ends_with(']')).map_or("", |(_, port)| port);
    let ambiguous = path.contains(['@', '/']) || url.contains('#') || !port.bytes().all(|byte| byte.is_ascii_digit());
    // A `?` in the password moves the rest of it, and the `@`, into the query.
    let misread_query = url.split_once('?').is_some_and(|(_, query)| query.contains('@'));
    if ambiguous || misread_query {
        return hidden();
    }
    let user = match user.map(|user| user.split_once(':').map_or((user, false), |(user, _)| (user, true))) {
        Some((user, true)) => format!("{user}:{REDACTED}@"),
        Some((user, false)) => format!("{user}@"),
        None => String::new(),
    };
    format!("{scheme}://{user}{host}{slash}{path}{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_shown() {
        let secret = Secret::from("hunter2".to_owned());
        assert_eq!(format!("{secret:?}"), "[redacted]");
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"[redacted]\"");
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn only_the_password_of_a_url_is_hidden() {
        for (url, shown) in [
            ("sqlite://data/n.db", "sqlite://data/n.db"),
            ("postgres://n:hunter2@db:5432/n", "postgres://n:[redacted]@db:5432/n"),
            ("postgresql://n@[::1]:5432/n", "postgresql://n@[::1]:5432/n"),
            ("postgres://db/n", "postgres://db/n"),
            ("postgres://n:hunter2@db", "postgres://n:[redacted]@db"),
            ("postgres://n:hun@ter2@db/n", "postgres://n:[redacted]@db/n"),
            ("postgres://n@db/n?password=hunter2", "postgres://n@db/n?[redacted]"),
        ] {
            assert_eq!(redact_url(url), shown, "{url}");
        }
    }

    #[test]
    fn an_ambiguous_url_is_hidden_as_a_whole() {
        for url in [
            "hunter2",
            "mysql://n:hunter2@db/n",
            "postgres://n:hun/ter2@db/n",
            "postgres://n:hun/ter2",
            "postgres://n:hun#ter2@db/n",
            "postgres://n:hun?ter2@db/n",
            "postgres://n:hunter2",
            "postgres:hunter2@db",
        ] {
            assert_eq!(redact_url(url), REDACTED, "{url}");
        }
    }

    #[test]
    fn a_secret_file_is_trimmed_and_an_unreadable_one_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "  hunter2\n").unwrap();
        assert_eq!(Secret::read(file.path()).unwrap().expose(), "hunter2");
        assert_eq!(Secret::read("/nowhere/key").unwrap_err().to_string(), "cannot read the secret in /nowhere/key");
    }
}
