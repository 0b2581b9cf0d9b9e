//! What is read besides the body: the sender's address behind proxies, and its version.
//!
//! The first line is the version, the second the other end of the connection; the others are headers: `f` and the rest
//! of the line a `Forwarded`, anything else an `X-Forwarded-For`.

#![no_main]

use std::{net::IpAddr, sync::LazyLock};

use http::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;
use libfuzzer_sys::fuzz_target;
use nutritionfacts::{
    domain::version::{RELEASE_LINES, Version},
    http::client_ip::client_ip,
};

/// What no header can forge: the address that a trusted proxy adds at the right.
const SEEN: &str = "198.51.100.7";
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED: HeaderName = HeaderName::from_static("forwarded");

static TRUSTED: LazyLock<Vec<IpNet>> = LazyLock::new(|| {
    ["10.0.0.0/8", "127.0.0.0/8", "fd00::/8", "::1/128"].map(|network| network.parse().expect("a network")).into()
});

fuzz_target!(|input: &[u8]| {
    let mut lines = input.split(|byte| *byte == b'\n');
    let mut text = || lines.next().map(String::from_utf8_lossy).unwrap_or_default();
    version(&text());
    let peer: IpAddr = text().parse().unwrap_or([10, 0, 0, 1].into());
    let mut headers = HeaderMap::new();
    for line in lines.take(20) {
        let (name, value) = match line.split_first() {
            Some((b'f', value)) => (FORWARDED, value),
            _ => (X_FORWARDED_FOR, line),
        };
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(name, value);
        }
    }
    address(peer, headers);
});

fn address(peer: IpAddr, mut headers: HeaderMap) {
    let trusts = |address: IpAddr| TRUSTED.iter().any(|network| network.contains(&address));
    let canonical = peer.to_canonical();
    assert_eq!(client_ip(peer, &headers, &[]), canonical, "no proxy is trusted");
    let client = client_ip(peer, &headers, &TRUSTED);
    assert_eq!(client, client.to_canonical());
    if !trusts(canonical) {
        assert_eq!(client, canonical, "the other end is no trusted proxy");
        return;
    }
    assert!(client == canonical || is_named(client, &headers), "{client} stands nowhere in {headers:?}");
    // Whatever the sender wrote, the address that a trusted proxy saw and appended is the one that counts.
    let (name, value) = if headers.contains_key(X_FORWARDED_FOR) || headers.is_empty() {
        (X_FORWARDED_FOR, SEEN.to_owned())
    } else {
        (FORWARDED, format!("for=\"{SEEN}:4711\";proto=https"))
    };
    let seen: IpAddr = SEEN.parse().expect("an address");
    let mut appended = headers.clone();
    if let Some(last) = headers.get_all(&name).iter().next_back() {
        // In the same line, where the line is the only one.
        if headers.get_all(&name).iter().count() == 1
            && let Ok(line) = HeaderValue::from_bytes(&[last.as_bytes(), b", ", value.as_bytes()].concat())
        {
            appended.insert(&name, line);
            assert_eq!(client_ip(peer, &appended, &TRUSTED), seen, "{appended:?}");
        }
    }
    headers.append(name, HeaderValue::from_str(&value).expect("a header's value"));
    assert_eq!(client_ip(peer, &headers, &TRUSTED), seen, "{headers:?}");
}

/// Whether an address stands somewhere in a header.
fn is_named(address: IpAddr, headers: &HeaderMap) -> bool {
    let is_of_address = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
    headers.values().flat_map(|value| value.as_bytes().split(|byte| !is_of_address(byte))).any(|word| {
        let word = std::str::from_utf8(word).unwrap_or_default();
        let without_port = word.rsplit_once(':').map_or(word, |(address, _)| address);
        [word, without_port].iter().any(|text| text.parse().is_ok_and(|named: IpAddr| named.to_canonical() == address))
    })
}

fn version(text: &str) {
    let version = Version::read(text);
    let numbers = numbers(text);
    assert_eq!(version.is_some(), numbers.is_some(), "{text}");
    let (Some(version), Some(numbers)) = (version, numbers) else { return };
    match numbers.cmp(&[0, 11, 0]) {
        std::cmp::Ordering::Less => assert!(!version.takes_json(), "{text}"),
        // Only the suffix decides, and an unreadable one does not count.
        std::cmp::Ordering::Equal => {
            assert!(version.takes_json() || text.contains(['a', 'b', 'A', 'B']), "{text}");
        }
        std::cmp::Ordering::Greater => assert!(version.takes_json(), "{text}"),
    }
    let line = usize::try_from(numbers[1]).ok().filter(|line| numbers[0] == 0 && *line < RELEASE_LINES);
    assert_eq!(version.release_line(), line, "{text}");
}

/// The three leading numbers.
fn numbers(text: &str) -> Option<[u64; 3]> {
    let mut parts = text.splitn(3, '.');
    let mut whole = || parts.next().filter(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    let (major, minor) = (whole()?, whole()?);
    let patch = parts.next()?;
    let end = patch.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(patch.len());
    let number = |digits: &str| digits.parse().unwrap_or(u64::MAX);
    (end > 0).then(|| [number(major), number(minor), number(&patch[..end])])
}
