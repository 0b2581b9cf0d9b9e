//! Which identifiers of devices are stored (docs/privacy.md).

use std::{
    fmt, iter,
    net::{IpAddr, SocketAddr},
    sync::LazyLock,
};

use hmac::{Hmac, KeyInit, Mac};
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::Sha256;
use uuid::Uuid;

/// `privacy.identifiers`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Identifiers {
    /// Keyed hashes, and networks instead of addresses.
    #[default]
    Pseudonymous,
    /// Unchanged; requires a privacy notice.
    Raw,
    /// Nothing.
    None,
}

/// Shortest key, in characters.
pub const MIN_KEY_LENGTH: usize = 32;

/// The rules of one mode, with their key.
#[derive(Clone, PartialEq)]
pub enum Privacy {
    /// Keyed hashes and networks.
    Pseudonymous(Key),
    /// Unchanged, under the privacy notice of this version.
    Raw {
        /// Stored with each row.
        notice_version: String,
        /// Used only in the hash of a profile, so that nobody can guess an identifier that was erased.
        key: Key,
    },
    /// Nothing.
    None,
}

/// A secret key; two are equal if they were made from the same text.
#[derive(Clone)]
pub struct Key {
    mac: Hmac<Sha256>,
    /// A hash made with the key, for comparisons.
    check: [u8; 16],
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.check == other.check
    }
}

impl Key {
    /// Makes a key from the text of the secret; whitespace around it is ignored.
    ///
    /// # Errors
    /// It is shorter than [`MIN_KEY_LENGTH`].
    pub fn new(text: &str) -> Result<Self, KeyTooShort> {
        let text = text.trim();
        if text.chars().count() < MIN_KEY_LENGTH {
            return Err(KeyTooShort);
        }
        Ok(Self::of(text.as_bytes()))
    }

    fn of(secret: &[u8]) -> Self {
        let mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes a key of any length");
        let mut key = Self { mac, check: [0; 16] };
        key.check = key.hash(["check"]);
        key
    }

    /// The first 16 bytes of HMAC-SHA-256 over the texts, each preceded by its length.
    fn hash<'a>(&self, texts: impl IntoIterator<Item = &'a str>) -> [u8; 16] {
        let mut mac = self.mac.clone();
        for text in texts {
            mac.update(&text.len().to_le_bytes());
            mac.update(text.as_bytes());
        }
        first_16(&mac.finalize().into_bytes())
    }

    /// The first 16 bytes of HMAC-SHA-256 over `<column>:<value>`, as lower-case hex.
    fn pseudonym(&self, column: &str, value: &str) -> String {
        let mut mac = self.mac.clone();
        mac.update(column.as_bytes());
        mac.update(b":");
        mac.update(value.as_bytes());
        first_16(&mac.finalize().into_bytes()).iter().fold(String::with_capacity(32), |mut hex, byte| {
            for nibble in [byte >> 4, byte & 15] {
                hex.push(char::from_digit(nibble.into(), 16).unwrap_or('0'));
            }
            hex
        })
    }
}

fn first_16(digest: &[u8]) -> [u8; 16] {
    let mut first = [0; 16];
    first.copy_from_slice(&digest[..16]);
    first
}

/// A key of the pseudonyms must not be guessable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the privacy key needs at least {MIN_KEY_LENGTH} characters")]
pub struct KeyTooShort;

/// Never prints the key.
impl fmt::Debug for Privacy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pseudonymous(_) => "Pseudonymous",
            Self::Raw { .. } => "Raw",
            Self::None => "None",
        })
    }
}

impl Privacy {
    /// Returns a hardware identifier as stored: `value` is cleaned, but not cut; empty stays empty.
    #[must_use]
    pub fn hardware(&self, column: &str, value: String) -> String {
        match self {
            Self::Pseudonymous(key) if !value.is_empty() => key.pseudonym(column, &value),
            Self::Raw { .. } => value,
            Self::Pseudonymous(_) | Self::None => String::new(),
        }
    }

    /// The identity of a profile: a hash of all its texts, including identifiers as they
    /// are stored. The hash and all other texts do not allow guessing identifiers: pseudonyms cannot be guessed
    /// without their key, and raw ones are hashed with a key.
    #[must_use]
    pub fn profile<'a>(&self, texts: impl IntoIterator<Item = &'a str>) -> Uuid {
        static NO_KEY: LazyLock<Key> = LazyLock::new(|| Key::of(b"profiles without identifiers"));
        let key = match self {
            Self::Pseudonymous(key) | Self::Raw { key, .. } => key,
            Self::None => &NO_KEY,
        };
        Uuid::from_bytes(key.hash(iter::once("profile").chain(texts)))
    }

    /// The client's address as stored: unchanged, its network (/24, /48), or `''`.
    #[must_use]
    pub fn address(&self, address: IpAddr) -> String {
        let address = address.to_canonical();
        match self {
            Self::Pseudonymous(_) => {
                let length = if address.is_ipv4() { 24 } else { 48 };
                // Both prefix lengths are valid for their family.
                IpNet::new(address, length).map(|network| network.trunc().to_string()).unwrap_or_default()
            }
            Self::Raw { .. } => address.to_string(),
            Self::None => String::new(),
        }
    }

    /// Removes addresses from the values of unknown keys, or all values.
    pub fn unknown_keys(&self, keys: &mut Map<String, Value>) {
        match self {
            Self::Pseudonymous(_) => keys.values_mut().for_each(remove_addresses),
            Self::Raw { .. } => {}
            Self::None => keys.values_mut().for_each(|value| *value = Value::Null),
        }
    }

    /// The version of the privacy notice to store with the row.
    #[must_use]
    pub fn notice_version(&self) -> &str {
        match self {
            Self::Raw { notice_version, .. } => notice_version,
            Self::Pseudonymous(_) | Self::None => "",
        }
    }
}

fn remove_addresses(value: &mut Value) {
    match value {
        Value::String(text) if is_address(text.trim()) => "[removed]".clone_into(text),
        Value::Array(values) => values.iter_mut().for_each(remove_addresses),
        Value::Object(map) => map.values_mut().for_each(remove_addresses),
        _ => {}
    }
}

fn is_address(text: &str) -> bool {
    let bare = text.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(text);
    // A zone (`fe80::1%eth0`) does not hide an address.
    let bare = bare.split('%').next().unwrap_or(bare);
    bare.parse::<IpAddr>().is_ok()
        || text.parse::<SocketAddr>().is_ok()
        || text.parse::<IpNet>().is_ok()
        || is_hardware_address(text)
}

/// EUI-48 or EUI-64: pairs of hex digits with `:` or `-`, groups of four with `.`, or twelve digits without separators.
fn is_hardware_address(text: &str) -> bool {
    let hex = |group: &str, length: usize| group.len() == length && group.bytes().all(|byte| byte.is_ascii_hexdigit());
    let groups = |separator: char, length: usize, counts: [usize; 2]| {
        counts.contains(&text.split(separator).count()) && text.split(separator).all(|group| hex(group, length))
    };
    groups(':', 2, [6, 8]) || groups('-', 2, [6, 8]) || groups('.', 4, [3, 4]) || hex(text, 12)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const KEY: &str = "0123456789abcdef0123456789abcdef";

    fn pseudonymous() -> Privacy {
        Privacy::Pseudonymous(Key::new(KEY).unwrap())
    }

    fn raw() -> Privacy {
        Privacy::Raw { notice_version: "2".into(), key: Key::new(KEY).unwrap() }
    }

    #[test]
    fn pseudonyms_are_hmac_sha_256() {
        // printf %s 'node_id:7dee81a16ab95ade42d0' | openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef
        assert_eq!(
            pseudonymous().hardware("node_id", "7dee81a16ab95ade42d0".into()),
            "c6585555970d1ea919953efe1dcaba69"
        );
        assert_ne!(
            pseudonymous().hardware("node_id", "7dee81a16ab95ade42d0".into()),
            pseudonymous().hardware("system_id", "7dee81a16ab95ade42d0".into())
        );
        assert_eq!(pseudonymous().hardware("node_id", String::new()), "");
        assert_eq!(raw().hardware("node_id", "a".into()), "a");
        assert_eq!(Privacy::None.hardware("node_id", "a".into()), "");
    }

    #[test]
    fn a_key_is_trimmed_and_must_be_long_enough() {
        assert!(
            Key::new(&format!(" {KEY}\n"))
                .is_ok_and(|key| key.pseudonym("a", "b") == Key::new(KEY).unwrap().pseudonym("a", "b"))
        );
        assert_eq!(Key::new(&format!("{}   ", &KEY[1..])).err(), Some(KeyTooShort));
    }

    #[test]
    fn addresses_are_stored_as_networks() {
        for (address, network) in [
            ("203.0.113.77", "203.0.113.0/24"),
            ("::ffff:203.0.113.77", "203.0.113.0/24"),
            ("2001:db8:1:2:3::4", "2001:db8:1::/48"),
        ] {
            assert_eq!(pseudonymous().address(address.parse().unwrap()), network);
        }
        assert_eq!(raw().address("::ffff:203.0.113.77".parse().unwrap()), "203.0.113.77");
        assert_eq!(Privacy::None.address("203.0.113.77".parse().unwrap()), "");
    }

    #[test]
    fn addresses_are_removed_from_unknown_keys() {
        let sent = json!({"a": "10.0.0.1", "b": [{"c": "AA:bb:cc:dd:ee:ff"}], "d": "aabb.ccdd.eeff", "e": "a 10.0.0.1", "f": 3,
            "g": "10.0.0.1:80", "h": "[2001:db8::1]:80", "i": "aabbccddeeff", "j": " fe80::1%eth0 ", "k": "10.0.0.0/8", "l": "00-11-22-33-44-55", "m": "1.2.3"});
        let kept = json!({"a": "[removed]", "b": [{"c": "[removed]"}], "d": "[removed]", "e": "a 10.0.0.1", "f": 3,
            "g": "[removed]", "h": "[removed]", "i": "[removed]", "j": "[removed]", "k": "[removed]", "l": "[removed]", "m": "1.2.3"});
        let apply = |privacy: &Privacy| {
            let mut keys = sent.as_object().unwrap().clone();
            privacy.unknown_keys(&mut keys);
            Value::Object(keys)
        };
        assert_eq!(apply(&pseudonymous()), kept);
        assert_eq!(apply(&raw()), sent);
        assert!(apply(&Privacy::None).as_object().unwrap().values().all(Value::is_null));
    }
}
