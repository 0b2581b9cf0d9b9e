//! Where a ping comes from: a country and a subdivision of it, nothing finer (docs/privacy.md, "What is collected").

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::country::Country;

/// A country and its subdivision; the default is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Place {
    country: Option<Country>,
    /// `TZ-02` in ASCII, so many bytes of it.
    subdivision: [u8; 6],
    length: u8,
}

impl Place {
    /// The place of a country code and a subdivision such as `02` or `TZ-02`. What is not a code is unknown, as are `ZZ`, `EU` and others
    /// that databases use and ISO 3166-1 gives to no country.
    #[must_use]
    pub fn of(country: &str, subdivision: &str) -> Self {
        let Some(country) = Country::meant_by(country) else { return Self::default() };
        let mut place = Self { country: Some(country), ..Self::default() };
        let local = match subdivision.split_once('-') {
            Some((of, local)) if of.eq_ignore_ascii_case(country.code()) => local.as_bytes(),
            Some(_) => &[],
            None => subdivision.as_bytes(),
        };
        // ISO 3166-2: one to three letters or digits.
        if (1..=3).contains(&local.len()) && local.iter().all(u8::is_ascii_alphanumeric) {
            for (to, from) in
                place.subdivision.iter_mut().zip(country.code().bytes().chain([b'-']).chain(local.iter().copied()))
            {
                *to = from.to_ascii_uppercase();
                place.length += 1;
            }
        }
        place
    }

    /// The country, if it is known.
    #[must_use]
    pub fn known_country(&self) -> Option<Country> {
        self.country
    }

    /// ISO 3166-1 code such as `TZ`, or `''`.
    #[must_use]
    pub fn country(&self) -> &str {
        self.country.as_ref().map_or("", Country::code)
    }

    /// ISO 3166-2 code such as `TZ-02`, or `''`.
    #[must_use]
    pub fn subdivision(&self) -> &str {
        std::str::from_utf8(&self.subdivision[..usize::from(self.length)]).unwrap_or_default()
    }
}

/// Whether an address may be that of a host on the Internet, by the registries of special-purpose addresses of IANA.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || a == 0
        || (a, b & 0b1100_0000) == (100, 64) // shared by the customers of a provider
        || (a, b, c) == (192, 0, 0) // protocols
        || (a, b & 0b1111_1110) == (198, 18) // benchmarks
        || a >= 224; // multicast and reserved
    !is_special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    let is_special = (a == 0x2001 && b < 0x0200) // protocols such as Teredo, whose addresses begin with that of a server
        || (a, b) == (0x2001, 0x0db8) // documentation
        || (a == 0x3fff && b < 0x1000); // documentation
    // All global unicast addresses so far.
    a & 0xe000 == 0x2000 && !is_special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_iso_3166() {
        for (country, subdivision, expected) in [
            ("TZ", "02", ("TZ", "TZ-02")),
            ("us", "ca", ("US", "US-CA")),
            ("GB", "ENG", ("GB", "GB-ENG")),
            ("FR", "A", ("FR", "FR-A")),
            ("TZ", "TZ-02", ("TZ", "TZ-02")),
            ("TZ", "tz-2", ("TZ", "TZ-2")),
            ("TZ", "", ("TZ", "")),
            ("TZ", "KE-02", ("TZ", "")),
            ("TZ", "Arusha", ("TZ", "")),
            ("TZ", "é", ("TZ", "")),
            ("TZ", "TZ-", ("TZ", "")),
            ("", "02", ("", "")),
            ("TZA", "02", ("", "")),
            ("T1", "02", ("", "")),
            ("é", "02", ("", "")),
            ("ZZ", "02", ("", "")),
            ("xx", "", ("", "")),
        ] {
            let place = Place::of(country, subdivision);
            assert_eq!((place.country(), place.subdivision()), expected, "{country} {subdivision}");
        }
    }

    #[test]
    fn addresses_that_are_not_on_the_internet_are_known() {
        for address in [
            "0.1.2.3",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "169.254.1.1",
            "172.31.0.1",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.1.1",
            "198.19.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "64:ff9b::1",
            "2001::1",
            "2001:1ff::1",
            "2001:db8::1",
            "3fff:fff::1",
            "fc00::1",
            "fe80::1",
            "ff02::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        for address in [
            "1.1.1.1",
            "41.59.0.1",
            "100.63.0.1",
            "100.128.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "::ffff:41.59.0.1",
            "2001:200::1",
            "2002:293b::1",
            "2a00:1450::1",
            "3fff:1000::1",
        ] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }
}
