//! The address of a client behind proxies: headers are trusted only from `http.trusted_proxies`.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;
use ipnet::IpNet;

/// The nearest address that is not a trusted proxy, from the connection to the left of the header.
///
/// `X-Forwarded-For` is read if present, otherwise `Forwarded` (RFC 7239): nearly all proxies append to the former and
/// pass the latter on unchanged. An entry that is not an address ends the search at the last one that was; empty entries
/// are skipped (RFC 9110, 5.6.1).
#[must_use]
pub fn client_ip(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
    let peer = peer.to_canonical();
    if !is_trusted(&peer) {
        return peer;
    }
    let name = if headers.contains_key("x-forwarded-for") { "x-forwarded-for" } else { "forwarded" };
    let mut client = peer;
    for line in headers.get_all(name).iter().rev() {
        // Bytes that are not text invalidate their own entry, not those that a proxy has appended.
        for entry in line.as_bytes().rsplit(|byte| *byte == b',') {
            if entry.trim_ascii().is_empty() {
                continue;
            }
            let entry = std::str::from_utf8(entry).unwrap_or_default();
            let node = if name == "forwarded" { forwarded_for(entry) } else { Some(entry.trim()) };
            let Some(address) = node.and_then(address) else { return client };
            client = address;
            if !is_trusted(&client) {
                return client;
            }
        }
    }
    client
}

/// The value of `for` in an element such as `for="[2001:db8::1]:4711";proto=https`.
fn forwarded_for(element: &str) -> Option<&str> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then(|| value.trim().trim_matches('"'))
    })
}

/// `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:4711`.
fn address(node: &str) -> Option<IpAddr> {
    let bare = node.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(node);
    let address = bare.parse().ok().or_else(|| node.parse::<SocketAddr>().ok().map(|socket| socket.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn client(peer: &str, headers: &[(&'static str, &'static str)]) -> String {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "2001:db8:ffff::/48".parse().unwrap()];
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        client_ip(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn only_headers_of_trusted_proxies_are_used() {
        assert_eq!(client("203.0.113.9", &[("x-forwarded-for", "192.0.2.1")]), "203.0.113.9");
        assert_eq!(client("10.0.0.1", &[("x-forwarded-for", "192.0.2.1")]), "192.0.2.1");
        assert_eq!(client("::ffff:10.0.0.1", &[("x-forwarded-for", "::ffff:192.0.2.1")]), "192.0.2.1");
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn addresses_are_read_from_the_right() {
        assert_eq!(client("10.0.0.1", &[("x-forwarded-for", "198.51.100.66, 192.0.2.1, 10.2.3.4")]), "192.0.2.1");
        assert_eq!(
            client("10.0.0.1", &[("x-forwarded-for", "192.0.2.1"), ("x-forwarded-for", "10.2.3.4")]),
            "192.0.2.1"
        );
        assert_eq!(client("10.0.0.1", &[("x-forwarded-for", "10.9.9.9, 10.2.3.4")]), "10.9.9.9");
        assert_eq!(client("10.0.0.1", &[("x-forwarded-for", "192.0.2.1, rubbish, 10.2.3.4")]), "10.2.3.4");
    }

    #[test]
    fn empty_entries_are_skipped() {
        for header in ["203.0.113.7, ", "203.0.113.7,", "203.0.113.7, , 10.0.0.1", ",203.0.113.7,,\t,10.0.0.1,"] {
            assert_eq!(client("10.0.0.1", &[("x-forwarded-for", header)]), "203.0.113.7", "{header}");
        }
        assert_eq!(client("10.0.0.1", &[("x-forwarded-for", "")]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &[("forwarded", "for=203.0.113.7, ")]), "203.0.113.7");
    }

    /// Found by the fuzz target `headers`: a client must not hide its address by what it writes before it.
    #[test]
    fn an_appended_address_is_used_whatever_precedes_it() {
        let peer = "10.0.0.1".parse().unwrap();
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        for name in ["x-forwarded-for", "forwarded"] {
            for forged in [&b"\xff"[..], b"\xc3\xa9", b"for=\"", b"\"", b"unknown", b"", b"10.0.0.2;\x80"] {
                let appended = if name == "forwarded" { &b", for=192.0.2.1"[..] } else { b", 192.0.2.1" };
                let value = HeaderValue::from_bytes(&[forged, appended].concat()).unwrap();
                let headers = [(HeaderName::from_static(name), value)].into_iter().collect();
                assert_eq!(client_ip(peer, &headers, &trusted).to_string(), "192.0.2.1", "{headers:?}");
            }
        }
    }

    #[test]
    fn all_notations_of_addresses_are_read() {
        for (header, address) in [
            ("192.0.2.1:4711", "192.0.2.1"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
        ] {
            assert_eq!(client("10.0.0.1", &[("x-forwarded-for", header)]), address);
        }
        for (header, address) in [
            ("for=192.0.2.1", "192.0.2.1"),
            ("For=\"[2001:db8::1]:4711\";proto=https", "2001:db8::1"),
            ("for=198.51.100.66, proto=http;for=192.0.2.1;by=10.0.0.1, for=10.0.0.2", "192.0.2.1"),
            ("for=unknown", "10.0.0.1"),
            ("for=_hidden, for=10.0.0.2", "10.0.0.2"),
        ] {
            assert_eq!(client("10.0.0.1", &[("forwarded", header)]), address, "{header}");
        }
        assert_eq!(
            client("10.0.0.1", &[("forwarded", "for=198.51.100.66"), ("x-forwarded-for", "192.0.2.1")]),
            "192.0.2.1"
        );
    }
}
