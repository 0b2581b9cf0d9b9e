//! How much of everything a message may hold.

/// Longest `msg_id` of a client whose database is PostgreSQL (docs/protocol.md, 10.1).
pub const MAX_ID: usize = 50;
/// Longest `version_range` of such a client.
pub const MAX_RANGE: usize = 50;
/// Longest `link_url` of such a client.
pub const MAX_LINK: usize = 150;

// Clients set no limits to the rest; a device on a slow line does.

/// Longest title, and longest text of a link.
pub const MAX_TITLE: usize = 500;
/// Longest body.
pub const MAX_MESSAGE: usize = 5_000;
/// Most languages.
pub const MAX_TRANSLATIONS: usize = 100;
/// Longest code of a language.
pub const MAX_LANGUAGE: usize = 15;
/// Most installations of an audience.
pub const MAX_INSTANCES: usize = 1_000;
/// Longest id of an installation.
pub const MAX_INSTANCE: usize = 100;
/// Most networks of an audience.
pub const MAX_NETWORKS: usize = 200;
