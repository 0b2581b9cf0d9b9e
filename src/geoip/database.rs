//! One database, as a whole in memory.
//!
//! It is not mapped into memory: a file that is overwritten in place would change, or end the process, under the reader.

use std::{
    collections::HashSet,
    fs::{self, File},
    io::{self, Read},
    net::IpAddr,
    path::Path,
};

use maxminddb::{MaxMindDbError, Reader, WithinOptions};

use super::record::Record;
use crate::domain::place::Place;

/// Largest file; the largest databases of cities have some 130 MB.
const MAX_FILE: u64 = 512 * 1024 * 1024;

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// It cannot be read.
    #[error("{0}")]
    Unreadable(io::Error),
    /// Reading a pipe or a device would block.
    #[error("it is not a file")]
    NoFile,
    /// Its memory is needed for pings.
    #[error("it is larger than 512 MiB")]
    TooLarge,
    /// It is something else, or was not written to its end.
    #[error("it is not a complete MMDB file: {0}")]
    Broken(MaxMindDbError),
    /// It is about something else, such as networks of providers.
    #[error("no record of it has the code of a country (its type is `{0}`)")]
    NoCountry(String),
}

impl Unusable {
    /// Whether the same file may be usable later.
    pub(super) const fn is_transient(&self) -> bool {
        matches!(self, Self::Unreadable(_))
    }
}

/// A valid database.
#[derive(Debug)]
pub struct Database(Reader<Vec<u8>>);

impl Database {
    /// Reads a file, and checks all of it.
    ///
    /// # Errors
    /// The file is missing, no database, incomplete, or not about countries.
    pub fn read(path: &Path) -> Result<Self, Unusable> {
        let about = fs::metadata(path).map_err(Unusable::Unreadable)?;
        if !about.is_file() {
            return Err(Unusable::NoFile);
        }
        if about.len() > MAX_FILE {
            return Err(Unusable::TooLarge);
        }
        let mut bytes = Vec::new();
        // The file may grow meanwhile.
        let read = File::open(path).and_then(|file| {
            bytes.try_reserve_exact(usize::try_from(about.len()).unwrap_or(usize::MAX))?;
            file.take(MAX_FILE + 1).read_to_end(&mut bytes)
        });
        read.map_err(Unusable::Unreadable)?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(Unusable::TooLarge);
        }
        Self::of(bytes)
    }

    /// Checks the content of a file.
    ///
    /// # Errors
    /// It is no database, incomplete, or not about countries.
    pub fn of(bytes: Vec<u8>) -> Result<Self, Unusable> {
        let database = Self(Reader::from_source(bytes).map_err(Unusable::Broken)?);
        if database.has_countries().map_err(Unusable::Broken)? {
            Ok(database)
        } else {
            Err(Unusable::NoCountry(database.kind().chars().take(100).collect()))
        }
    }

    /// Follows all networks, and reads each record once. A half-written file has the header of a whole one if it replaces one
    /// in place.
    fn has_countries(&self) -> Result<bool, MaxMindDbError> {
        let mut checked = HashSet::new();
        let mut has_countries = false;
        // A tree of this number of nodes has one leaf more. Where nodes are shared there may be many times as many.
        let most = (self.0.metadata().node_count as usize).saturating_mul(3);
        for (number, network) in self.0.networks(WithinOptions::default().include_networks_without_data())?.enumerate()
        {
            let network = network?;
            if number > most {
                return Err(MaxMindDbError::InvalidDatabase { message: "its tree is none".into(), offset: None });
            }
            if network.offset().is_some_and(|offset| checked.insert(offset)) {
                has_countries |= place(network.decode())? != Place::default();
            }
        }
        Ok(has_countries)
    }

    /// The place of an address, unknown if the database does not have it. IPv4 within IPv6 is looked up as IPv4.
    ///
    /// # Errors
    /// The database is damaged there.
    pub fn find(&self, address: IpAddr) -> Result<Place, MaxMindDbError> {
        let address = address.to_canonical();
        if address.is_ipv6() && self.0.metadata().ip_version == 4 {
            return Ok(Place::default());
        }
        place(self.0.lookup(address)?.decode())
    }

    /// When it was built, in seconds since 1970.
    #[must_use]
    pub fn built(&self) -> i64 {
        i64::try_from(self.0.metadata().build_epoch).unwrap_or(i64::MAX)
    }

    /// What its makers call it, such as `GeoLite2-City`.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.0.metadata().database_type
    }
}

/// The place that a record names.
fn place(record: Result<Option<Record<'_>>, MaxMindDbError>) -> Result<Place, MaxMindDbError> {
    match record {
        Ok(record) => Ok(record.unwrap_or_default().place()),
        // A record of another form has no country.
        Err(MaxMindDbError::Decoding { .. }) => Ok(Place::default()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
#[path = "../../tests/support/mmdb.rs"]
#[expect(dead_code, reason = "tests use more of it")]
mod mmdb;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{mmdb::Mmdb, *};

    fn find(database: &Database, address: &str) -> String {
        let place = database.find(address.parse().unwrap()).unwrap();
        format!("{} {}", place.country(), place.subdivision())
    }

    fn of(mmdb: &Mmdb) -> Database {
        Database::of(mmdb.bytes()).unwrap()
    }

    /// A database with this record for 41.0.0.0/8, beside one with a country.
    fn with(record: Value) -> String {
        let mmdb = Mmdb::new().network("41.0.0.0/8", record).network("1.0.0.0/8", Mmdb::flat("AU"));
        find(&of(&mmdb), "41.1.1.1")
    }

    #[test]
    fn all_forms_of_records_are_read() {
        for (record, expected) in [
            (Mmdb::city("TZ", "02"), "TZ TZ-02"),
            (json!({"country": {"iso_code": "TZ"}}), "TZ "),
            (json!({"country": {"iso_code": "TZ"}, "subdivisions": []}), "TZ "),
            (json!({"country": {"iso_code": "TZ"}, "subdivisions": [{"names": {"en": "Arusha"}}]}), "TZ "),
            (json!({"registered_country": {"iso_code": "TZ"}}), " "),
            (Mmdb::flat("TZ"), "TZ "),
            (json!({"country": "TZ"}), "TZ "),
            (json!({"country": "Tanzania", "country_code": "TZ", "continent": "Africa"}), "TZ "),
            (json!({"country": {"iso_code": "TZ"}, "country_code": ""}), "TZ "),
            (json!({"country": "UK", "country_code": "GB"}), "GB "),
            (json!({"country_code": "tz"}), "TZ "),
            (json!({"country_code": "None"}), " "),
            (json!({"country_code": 255}), " "),
            (json!({"country": true}), " "),
            (json!({"country": -1.5}), " "),
            (json!({"country": [["TZ"], 7]}), "TZ "),
            (json!({"country": {"iso_code": {"x": "TZ"}}}), " "),
            (json!({}), " "),
            (json!("TZ"), " "),
            (json!(["TZ"]), " "),
        ] {
            assert_eq!(with(record.clone()), expected, "{record}");
        }
    }

    #[test]
    fn addresses_are_found_in_all_kinds_of_trees() {
        for bits in [24, 28, 32] {
            let mmdb = Mmdb::new()
                .record_size(bits)
                .network("41.59.0.0/16", Mmdb::city("TZ", "02"))
                .network("41.59.128.0/17", Mmdb::city("TZ", "26"))
                .network("197.248.0.0/16", Mmdb::flat("KE"))
                .network("2c0f:fe38::/32", Mmdb::flat("KE"))
                .network("::/128", json!({"country": "ZZ"}));
            for database in [of(&mmdb), of(&mmdb.clone().alias("::ffff:0:0/96").alias("2002::/16"))] {
                for (address, expected) in [
                    ("41.59.127.255", "TZ TZ-02"),
                    ("41.59.128.0", "TZ TZ-26"),
                    ("::ffff:41.59.0.1", "TZ TZ-02"),
                    ("41.60.0.0", " "),
                    ("197.248.0.1", "KE "),
                    ("2c0f:fe38::1", "KE "),
                    ("2c0f:fe39::1", " "),
                ] {
                    assert_eq!(find(&database, address), expected, "{address}, {bits}");
                }
            }
            // An address of 6to4 holds one of IPv4 after its first 16 bits.
            assert_eq!(find(&of(&mmdb), "2002:293b::1"), " ");
            assert_eq!(find(&of(&mmdb.alias("2002::/16")), "2002:293b::1"), "TZ TZ-02");
        }
        let database = of(&Mmdb::of_ipv4().network("41.59.0.0/16", Mmdb::flat("TZ")));
        for (address, expected) in [("41.59.0.1", "TZ "), ("::ffff:41.59.0.1", "TZ "), ("2c0f:fe38::1", " ")] {
            assert_eq!(find(&database, address), expected, "{address}");
        }
        assert_eq!((database.built(), database.kind()), (1_790_000_000, "Test"));
    }

    /// As `cp` leaves it in the middle of its work, at any byte, whether or not the old file was longer.
    #[test]
    fn no_part_of_a_file_is_a_database() {
        let old =
            Mmdb::new().network("41.59.0.0/16", Mmdb::city("TZ", "02")).network("2c0f:fe38::/32", Mmdb::flat("KE"));
        let new =
            Mmdb::new().network("197.248.0.0/16", Mmdb::city("KE", "30")).network("2c0f:fe39::/33", Mmdb::flat("UG"));
        let (old, new) = (old.bytes(), new.bytes());
        for length in 0..new.len() {
            assert!(matches!(Database::of(new[..length].to_vec()), Err(Unusable::Broken(_))), "{length} bytes");
            // A whole in which every answer is one of the two is no harm.
            let Some(mixed) = old.get(length..).map(|rest| [&new[..length], rest].concat()) else { continue };
            if let Ok(database) = Database::of(mixed) {
                for address in ["41.59.0.1", "197.248.0.1", "2c0f:fe38::1", "2c0f:fe39::1", "8.8.8.8"] {
                    let found = find(&database, address);
                    assert!(["TZ TZ-02", "KE ", "KE KE-30", "UG ", " "].contains(&found.as_str()), "{length}: {found}");
                }
            }
        }
        assert!(Database::of(new).is_ok());
    }

    #[test]
    fn other_files_are_refused_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let providers =
            Mmdb::new().kind("GeoLite2-ASN").network("41.0.0.0/8", json!({"autonomous_system_number": 33_765}));
        fs::write(path("asn.mmdb"), providers.bytes()).unwrap();
        fs::write(path("empty.mmdb"), "").unwrap();
        fs::write(path("page.mmdb"), "<!doctype html>").unwrap();
        // Sparse: it takes no space.
        File::create(path("large.mmdb")).unwrap().set_len(MAX_FILE + 1).unwrap();
        for (name, problem) in [
            ("asn.mmdb", "no record of it has the code of a country (its type is `GeoLite2-ASN`)"),
            ("empty.mmdb", "it is not a complete MMDB file"),
            ("page.mmdb", "it is not a complete MMDB file"),
            ("large.mmdb", "it is larger than 512 MiB"),
            (".", "it is not a file"),
            ("nowhere.mmdb", "No such file"),
        ] {
            let told = Database::read(&path(name)).unwrap_err().to_string();
            assert!(told.contains(problem), "{name}: {told}");
        }
    }

    /// A node that is its own child, and nodes that share their children.
    #[test]
    fn a_tree_that_never_ends_is_refused() {
        let bytes = Mmdb::of_ipv4().record_size(32).network("41.59.0.0/16", Mmdb::flat("TZ")).bytes();
        for target in [0_u32, 1] {
            let mut wrong = bytes.clone();
            wrong[..4].copy_from_slice(&target.to_be_bytes());
            wrong[4..8].copy_from_slice(&target.to_be_bytes());
            wrong[8..12].copy_from_slice(&target.to_be_bytes());
            assert!(matches!(Database::of(wrong), Err(Unusable::Broken(_))), "{target}");
        }
    }
}
