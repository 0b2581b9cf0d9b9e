//! Countries of addresses, as they are looked up for each ping: it must cost less than 2 µs.
//!
//! `cargo bench --bench places`. If `scripts/geoip` has fetched the public database, it is measured as well.

#[path = "../tests/support/mmdb.rs"]
#[expect(dead_code, reason = "tests use more of it")]
mod mmdb;

use std::{
    fs,
    hint::black_box,
    net::{IpAddr, Ipv4Addr},
};

use criterion::{Criterion, criterion_group, criterion_main};
use nutritionfacts::geoip::Database;

use mmdb::Mmdb;

const PUBLIC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/geoip/geo-whois-asn-country.mmdb");

const NETWORKS: u32 = 20_000;

/// An address in one of the networks.
fn address(network: u32) -> Ipv4Addr {
    Ipv4Addr::from(0x0100_0000 + network % NETWORKS * 0x1999)
}

/// Records with names in eight languages, as in a database of cities.
fn cities() -> Vec<u8> {
    let mut mmdb = Mmdb::new();
    for network in 0..NETWORKS {
        let address = address(network);
        mmdb = mmdb.network(&format!("{address}/24"), Mmdb::city("TZ", &format!("{:02}", network % 90)));
    }
    mmdb.bytes()
}

fn countries() -> Vec<u8> {
    let countries = ["TZ", "KE", "UG", "RW", "BI", "MZ", "ZM"];
    let networks = (0..NETWORKS).map(|network| (network, address(network)));
    let add = |mmdb: Mmdb, (network, address): (u32, Ipv4Addr)| {
        mmdb.network(&format!("{address}/24"), Mmdb::flat(countries[network as usize % countries.len()]))
    };
    networks.fold(Mmdb::new(), add).bytes()
}

fn places(c: &mut Criterion) {
    let mut group = c.benchmark_group("places");
    let public = fs::read(PUBLIC).ok().map(|bytes| ("public countries", bytes));
    for (name, bytes) in [("cities", cities()), ("countries", countries())].into_iter().chain(public) {
        let database = Database::of(bytes).expect("a database");
        // All are known, in an order that no cache expects.
        let mut next = 0_u32;
        let mut random = move || {
            next = next.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            IpAddr::from(address(next >> 5))
        };
        group.bench_function(name, |b| b.iter(|| database.find(black_box(random()))));
    }
    group.finish();
}

criterion_group!(benches, places);
criterion_main!(benches);
