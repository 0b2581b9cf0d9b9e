//! Writes small MMDB files, by the format's specification: <https://maxmind.github.io/MaxMind-DB/>.
//!
//! It needs nothing of the other modules: unit tests and benchmarks include it as well.

use std::{collections::BTreeMap, net::IpAddr};

use serde_json::{Value, json};

/// A file to be written.
#[derive(Clone)]
pub struct Mmdb {
    ip_version: u8,
    record_size: u8,
    kind: String,
    built: u64,
    networks: Vec<(String, Value)>,
    aliases: Vec<String>,
}

/// Where a branch of a node leads.
#[derive(Clone, Copy)]
enum Branch {
    Nothing,
    Node(usize),
    Data(usize),
}

impl Mmdb {
    /// With IPv4 and IPv6.
    pub fn new() -> Self {
        Self {
            ip_version: 6,
            record_size: 28,
            kind: "Test".into(),
            built: 1_790_000_000,
            networks: vec![],
            aliases: vec![],
        }
    }

    /// With IPv4 only.
    pub fn of_ipv4() -> Self {
        Self { ip_version: 4, ..Self::new() }
    }

    /// Bits of a branch: 24, 28 or 32.
    pub fn record_size(mut self, bits: u8) -> Self {
        self.record_size = bits;
        self
    }

    /// What its makers call it.
    pub fn kind(mut self, kind: &str) -> Self {
        self.kind = kind.into();
        self
    }

    /// When it was built, in seconds since 1970.
    pub fn built(mut self, seconds: u64) -> Self {
        self.built = seconds;
        self
    }

    /// The record of a network such as `41.59.0.0/16`; the later of two that overlap wins.
    pub fn network(mut self, network: &str, record: Value) -> Self {
        self.networks.push((network.to_owned(), record));
        self
    }

    /// A network, such as `2002::/16`, in which IPv4 addresses follow the prefix.
    pub fn alias(mut self, network: &str) -> Self {
        self.aliases.push(network.to_owned());
        self
    }

    /// The record of a database of cities, with the fields that are not looked at.
    pub fn city(country: &str, subdivision: &str) -> Value {
        let names = json!({"de": "Ort", "en": "Place", "es": "Lugar", "fr": "Lieu", "ja": "場所", "pt-BR": "Lugar",
            "ru": "Место", "zh-CN": "地方"});
        json!({
            "city": {"geoname_id": 160_196, "names": names},
            "continent": {"code": "AF", "geoname_id": 6_255_146, "names": names},
            "country": {"geoname_id": 149_590, "is_in_european_union": false, "iso_code": country, "names": names},
            "location": {"accuracy_radius": 20, "latitude": -6.17, "longitude": 35.74, "time_zone": "Africa/Dar_es_Salaam"},
            "registered_country": {"geoname_id": 149_590, "iso_code": "GB", "names": names},
            "subdivisions": [
                {"geoname_id": 160_192, "iso_code": subdivision, "names": names},
                {"geoname_id": 160_193, "iso_code": "99", "names": names},
            ],
        })
    }

    /// The record of a flat database of countries.
    pub fn flat(country: &str) -> Value {
        json!({"country_code": country})
    }

    /// The bytes of the file.
    pub fn bytes(&self) -> Vec<u8> {
        let mut data = Data::default();
        let mut tree = Tree { nodes: vec![[Branch::Nothing; 2]], is_ipv6: self.ip_version == 6 };
        for (network, record) in &self.networks {
            let record = data.record(record);
            tree.insert(network, Branch::Data(record));
        }
        if let Some(root) = tree.ipv4_root() {
            for alias in &self.aliases {
                tree.insert(alias, Branch::Node(root));
            }
        }
        let mut file = tree.bytes(self.record_size);
        file.extend([0; 16]);
        file.extend(&data.bytes);
        file.extend(b"\xab\xcd\xefMaxMind.com");
        file.extend(self.metadata(tree.nodes.len()));
        file
    }

    fn metadata(&self, nodes: usize) -> Vec<u8> {
        let mut bytes = vec![];
        header(&mut bytes, MAP, 9);
        let mut entry = |key: &str, kind: u8, number: u64| {
            text(&mut bytes, key);
            unsigned(&mut bytes, kind, number);
        };
        entry("binary_format_major_version", UINT16, 2);
        entry("binary_format_minor_version", UINT16, 0);
        entry("build_epoch", UINT64, self.built);
        entry("ip_version", UINT16, self.ip_version.into());
        entry("node_count", UINT32, nodes as u64);
        entry("record_size", UINT16, self.record_size.into());
        text(&mut bytes, "database_type");
        text(&mut bytes, &self.kind);
        text(&mut bytes, "description");
        header(&mut bytes, MAP, 0);
        text(&mut bytes, "languages");
        header(&mut bytes, ARRAY, 0);
        bytes
    }
}

struct Tree {
    nodes: Vec<[Branch; 2]>,
    is_ipv6: bool,
}

impl Tree {
    fn insert(&mut self, network: &str, value: Branch) {
        let (address, length) = network.split_once('/').expect("a network");
        let (bits, mut length): (u128, u8) = match (address.parse().expect("an address"), self.is_ipv6) {
            (IpAddr::V4(address), false) => (u128::from(u32::from(address)) << 96, length.parse().unwrap()),
            (IpAddr::V4(address), true) => (u32::from(address).into(), length.parse::<u8>().unwrap() + 96),
            (IpAddr::V6(address), true) => (address.into(), length.parse().unwrap()),
            (IpAddr::V6(_), false) => panic!("{network} in a file of IPv4"),
        };
        let (mut node, mut depth) = (0, 0);
        let bit = |depth: u8| usize::from(bits >> (127 - depth) & 1 == 1);
        length -= 1;
        while depth < length {
            let branch = self.nodes[node][bit(depth)];
            node = if let Branch::Node(next) = branch {
                next
            } else {
                // What held for the whole network holds for both halves.
                self.nodes.push([branch; 2]);
                let new = self.nodes.len() - 1;
                self.nodes[node][bit(depth)] = Branch::Node(new);
                new
            };
            depth += 1;
        }
        self.nodes[node][bit(length)] = value;
    }

    /// The node of `::/96`.
    fn ipv4_root(&self) -> Option<usize> {
        let mut node = 0;
        for _ in 0..96 {
            let Branch::Node(next) = self.nodes[node][0] else { return None };
            node = next;
        }
        Some(node)
    }

    fn bytes(&self, record_size: u8) -> Vec<u8> {
        let count = self.nodes.len();
        let number = |branch| match branch {
            Branch::Nothing => count,
            Branch::Node(node) => node,
            Branch::Data(offset) => count + 16 + offset,
        };
        let mut bytes = vec![];
        for node in &self.nodes {
            let [left, right] = node.map(|branch| u32::try_from(number(branch)).unwrap().to_be_bytes());
            match record_size {
                24 => bytes.extend([&left[1..], &right[1..]].concat()),
                28 => bytes.extend([&left[1..], &[left[0] << 4 | right[0]], &right[1..]].concat()),
                _ => bytes.extend([left, right].concat()),
            }
        }
        bytes
    }
}

const POINTER: u8 = 1;
const TEXT: u8 = 2;
const DOUBLE: u8 = 3;
const UINT16: u8 = 5;
const UINT32: u8 = 6;
const MAP: u8 = 7;
const UINT64: u8 = 9;
const ARRAY: u8 = 11;
const BOOLEAN: u8 = 14;

/// The section of records, in which a text or a record that was written before is a pointer.
#[derive(Default)]
struct Data {
    bytes: Vec<u8>,
    texts: BTreeMap<String, usize>,
    records: BTreeMap<String, usize>,
}

impl Data {
    fn record(&mut self, record: &Value) -> usize {
        let key = record.to_string();
        if let Some(offset) = self.records.get(&key) {
            return *offset;
        }
        let offset = self.bytes.len();
        self.records.insert(key, offset);
        self.value(record);
        offset
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Null => panic!("the format has no null"),
            Value::Bool(value) => header(&mut self.bytes, BOOLEAN, usize::from(*value)),
            Value::Number(number) => {
                if let Some(number) = number.as_u64() {
                    unsigned(&mut self.bytes, UINT32, number);
                } else {
                    header(&mut self.bytes, DOUBLE, 8);
                    self.bytes.extend(number.as_f64().unwrap().to_be_bytes());
                }
            }
            Value::String(value) => self.text(value),
            Value::Array(list) => {
                header(&mut self.bytes, ARRAY, list.len());
                for value in list {
                    self.value(value);
                }
            }
            Value::Object(map) => {
                header(&mut self.bytes, MAP, map.len());
                for (key, value) in map {
                    self.text(key);
                    self.value(value);
                }
            }
        }
    }

    fn text(&mut self, value: &str) {
        if let Some(offset) = self.texts.get(value) {
            self.bytes.push(POINTER << 5 | 0b11 << 3);
            self.bytes.extend(u32::try_from(*offset).unwrap().to_be_bytes());
        } else {
            self.texts.insert(value.to_owned(), self.bytes.len());
            text(&mut self.bytes, value);
        }
    }
}

fn text(bytes: &mut Vec<u8>, value: &str) {
    header(bytes, TEXT, value.len());
    bytes.extend(value.as_bytes());
}

fn unsigned(bytes: &mut Vec<u8>, kind: u8, number: u64) {
    let number: Vec<u8> = number.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
    header(bytes, kind, number.len());
    bytes.extend(number);
}

/// Type and size of a value.
fn header(bytes: &mut Vec<u8>, kind: u8, size: usize) {
    let (short, more): (u8, &[u8]) = match size {
        0..29 => (u8::try_from(size).unwrap(), &[]),
        29..285 => (29, &[u8::try_from(size - 29).unwrap()]),
        _ => panic!("longer than any value of a test: {size}"),
    };
    if kind < 8 {
        bytes.push(kind << 5 | short);
    } else {
        bytes.extend([short, kind - 7]);
    }
    bytes.extend(more);
}
