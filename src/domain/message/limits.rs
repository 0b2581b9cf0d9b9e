//! Limits of a message.

/// Longest `msg_id` of a client whose database is PostgreSQL (docs/protocol.md, 10.1).
pub const MAX_ID: usize = 50;
/// Longest `version_range` of such a client.
pub const MAX_RANGE: usize = 50;
/// Longest `link_url` of such a client.
pub const MAX_LINK: usize = 150;

// Clients do not limit the rest, but devices may be on slow connections.

/// Longest title, and longest link text.
pub const MAX_TITLE: usize = 500;
/// Longest body.
pub const MAX_MESSAGE: usize = 5_000;
/// Largest number of languages.
pub const MAX_TRANSLATIONS: usize = 100;
/// Longest language code.
pub const MAX_LANGUAGE: usize = 15;
/// Largest number of installations in an audience.
pub const MAX_INSTANCES: usize = 1_000;
/// Longest id of an installation.
pub const MAX_INSTANCE: usize = 100;
/// Largest number of networks in an audience.
pub const MAX_NETWORKS: usize = 200;
/// Largest number of countries in an audience: all of them.
pub const MAX_COUNTRIES: usize = 250;
/// Largest number of installers in an audience.
pub const MAX_INSTALLERS: usize = 100;
/// Largest number of operating systems in an audience: all of them.
pub const MAX_SYSTEMS: usize = 6;
/// Largest number of modes in an audience.
pub const MAX_MODES: usize = 100;
/// Largest number of languages in an audience.
pub const MAX_LANGUAGES: usize = 100;
/// Longest installer and longest mode in an audience (docs/protocol.md, 9.3).
pub const MAX_SENT: usize = 255;
