//! The public database of the image, on some well-known networks: `scripts/geoip && cargo test --test countries`.

use std::path::Path;

use nutritionfacts::geoip::Database;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/geoip/geo-whois-asn-country.mmdb");

/// Networks that registries, universities and providers have had for many years.
const NETWORKS: [(&str, &str); 9] = [
    ("193.0.6.139", "NL"),        // RIPE NCC
    ("2001:67c:2e8:22::1", "NL"), // RIPE NCC
    ("197.136.1.1", "KE"),        // KENET, of universities in Kenya
    ("41.59.1.1", "TZ"),          // TTCL in Tanzania
    ("200.160.2.3", "BR"),        // NIC.br
    ("2001:12ff:0:2::3", "BR"),   // NIC.br
    ("18.7.22.69", "US"),         // MIT
    ("133.11.1.1", "JP"),         // University of Tokyo
    ("202.92.128.1", "PH"),       // University of the Philippines
];

#[test]
fn well_known_networks_are_where_they_should_be() {
    let database = Database::read(Path::new(FILE)).unwrap_or_else(|error| panic!("{error}: run scripts/geoip"));
    let wrong: Vec<_> = NETWORKS
        .iter()
        .map(|(address, country)| (address, country, database.find(address.parse().unwrap()).unwrap()))
        .filter(|(_, country, found)| found.country() != **country)
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    // 2026, and not 0, which would count as no database.
    assert!(database.built() > 1_767_225_600, "{}", database.built());
}
