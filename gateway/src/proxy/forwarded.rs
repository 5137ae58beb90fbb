//! Tells the upstream who the client is: `forwarded` (RFC 7239) and `x-forwarded-*`.

use std::{
    fmt::Write as _,
    net::{IpAddr, Ipv4Addr},
};

use bytes::Bytes;
use corelane::{ConnectionInfo, IpNet};
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{Entry, FORWARDED},
};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Whether a field tells who the client is. From a peer that is not trusted, it is removed.
pub(super) fn is_claim(name: &str) -> bool {
    name == "forwarded" || name == "x-real-ip" || name.starts_with("x-forwarded-")
}

pub(super) fn is_trusted(connection: &ConnectionInfo, trusted: &[IpNet]) -> bool {
    let peer = peer(connection);
    trusted.iter().any(|net| net.contains(&peer))
}

/// Adds the fields. From a trusted peer there may be some already: its lists are extended and its
/// other values are kept. If it sends a list in one of the two forms only, the other form is not
/// added, because there the proxy would look like the client.
pub(super) fn add(
    headers: &mut HeaderMap,
    connection: &ConnectionInfo,
    authority: Option<&HeaderValue>,
    trusted: bool,
) {
    let peer = peer(connection);
    let proto = match connection.backend {
        "none" => "http",
        _ => "https",
    };
    let has_forwarded = trusted && headers.contains_key(FORWARDED);
    let has_x_forwarded = trusted && headers.contains_key(X_FORWARDED_FOR);
    if has_x_forwarded || !has_forwarded {
        extend(headers, X_FORWARDED_FOR, peer.to_string());
        for (name, value) in [
            (X_FORWARDED_PROTO, Some(&HeaderValue::from_static(proto))),
            (X_FORWARDED_HOST, authority),
        ] {
            if let Some(value) = value
                && let Entry::Vacant(vacant) = headers.entry(name)
            {
                vacant.insert(value.clone());
            }
        }
    }
    if has_forwarded || !has_x_forwarded {
        extend(headers, FORWARDED, element(peer, authority, proto));
    }
}

/// One forwarded-element of RFC 7239 section 4.
fn element(peer: IpAddr, authority: Option<&HeaderValue>, proto: &str) -> String {
    let mut element = String::with_capacity(64 + authority.map_or(0, HeaderValue::len));
    // Writing to a string does not fail.
    let _ = match peer {
        IpAddr::V4(ip) => write!(element, "for={ip}"),
        // Section 6: the colons and brackets need quotes.
        IpAddr::V6(ip) => write!(element, "for=\"[{ip}]\""),
    };
    // The authority of a URI has no character that ends a quoted-string; section 4 asks for quotes
    // around a colon.
    if let Some(Ok(host)) = authority.map(HeaderValue::to_str) {
        element.push_str(";host=\"");
        element.push_str(host);
        element.push('"');
    }
    element.push_str(";proto=");
    element.push_str(proto);
    element
}

/// Appends to the list that the field is, in one field line.
fn extend(headers: &mut HeaderMap, name: HeaderName, item: String) {
    let list = if headers.contains_key(&name) {
        let mut list = Vec::with_capacity(64);
        for value in headers.get_all(&name) {
            list.extend_from_slice(value.as_bytes());
            list.extend_from_slice(b", ");
        }
        list.extend_from_slice(item.as_bytes());
        list
    } else {
        item.into_bytes()
    };
    // Values of fields and an address: all bytes are allowed.
    if let Ok(value) = HeaderValue::from_maybe_shared(Bytes::from(list)) {
        headers.insert(name, value);
    }
}

/// The client's address, without the form that IPv4 addresses have on a socket of IPv6. A client on a
/// Unix socket is on this host.
fn peer(connection: &ConnectionInfo) -> IpAddr {
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let addr = connection.peer_addr;
    addr.map_or(here, |addr| addr.ip().to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(peer: Option<&str>) -> HeaderMap {
        let mut connection = ConnectionInfo::default();
        connection.peer_addr = peer.map(|peer| peer.parse().expect("an address"));
        let mut headers = HeaderMap::new();
        let authority = HeaderValue::from_static("app.example:8443");
        add(&mut headers, &connection, Some(&authority), false);
        headers
    }

    /// RFC 7239 section 6.
    #[test]
    fn addresses_have_the_form_of_their_field() {
        for (peer, list, node) in [
            (Some("192.0.2.1:5"), "192.0.2.1", "192.0.2.1"),
            (Some("[::ffff:192.0.2.1]:5"), "192.0.2.1", "192.0.2.1"),
            (Some("[2001:db8::1]:5"), "2001:db8::1", "\"[2001:db8::1]\""),
            (None, "127.0.0.1", "127.0.0.1"),
        ] {
            let headers = added(peer);
            assert_eq!(headers[X_FORWARDED_FOR], list);
            let forwarded = format!("for={node};host=\"app.example:8443\";proto=http");
            assert_eq!(headers[FORWARDED], forwarded);
        }
    }

    #[test]
    fn unix_socket_is_trusted_as_this_host() {
        let mut connection = ConnectionInfo::default();
        connection.peer_addr = None;
        let nets = ["127.0.0.0/8", "10.0.0.0/8"].map(|net| [net.parse().expect("a network")]);
        assert!(is_trusted(&connection, &nets[0]));
        assert!(!is_trusted(&connection, &nets[1]));
        assert!(!is_trusted(&connection, &[]));
    }
}
