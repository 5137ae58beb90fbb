//! The header of the PROXY protocol, version 1 or 2, in which a proxy names its client before it
//! forwards the first byte.
//!
//! Specification: <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>.

use std::net::{IpAddr, SocketAddr};

use ppp::{PartialResult, v1, v2};
use tokio::io::AsyncRead;

use super::receive::receive;
use crate::{
    config::MAX_PROXY_HEADER,
    error::{Error, Kind},
};

/// Reads the header of a connection and returns the address of the client. `None`: the proxy speaks
/// for itself, for example to check the health of the server, or for a client without a TCP address.
///
/// `received` is empty before, and holds the bytes after the header then. At most
/// [`MAX_PROXY_HEADER`] bytes are read.
pub(crate) async fn read_proxy_header<IO>(
    io: &mut IO,
    received: &mut Vec<u8>,
) -> Result<Option<SocketAddr>, Error>
where
    IO: AsyncRead + Unpin,
{
    loop {
        // `parse` decides on this many bytes at the latest, so there is always room for more.
        let room = MAX_PROXY_HEADER - received.len();
        let begun = !received.is_empty();
        receive(io, received, room, begun).await?;
        if let Some((client, length)) = parse(received)? {
            received.drain(..length);
            return Ok(client);
        }
    }
}

/// The beginning of version 2.
const SIGNATURE: &[u8] = v2::PROTOCOL_PREFIX;

/// The part of version 2 before the addresses, bytes: signature, version and command, family, length.
const FIXED_PART: usize = 16;

/// The beginning of version 1.
const WORD: &[u8] = b"PROXY ";

/// The longest line of version 1 with its CR LF, bytes.
const LONGEST_LINE: usize = 107;

/// The address of the client and the length of the header, or `None` if more bytes are needed. More
/// bytes never change an answer, and [`MAX_PROXY_HEADER`] bytes always get one.
pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(Option<SocketAddr>, usize)>, Error> {
    let begins = |with: &[u8]| bytes.starts_with(with) || with.starts_with(bytes);
    if begins(SIGNATURE) {
        version_2(bytes)
    } else if begins(WORD) {
        version_1(bytes)
    } else {
        Err(Error::new(
            Kind::ProxyHeader,
            "the connection does not begin with a PROXY header: configure the proxy to send one, or \
             remove its address from the networks of proxies",
        ))
    }
}

fn version_2(bytes: &[u8]) -> Result<Option<(Option<SocketAddr>, usize)>, Error> {
    let Some(&[.., high, low]) = bytes.get(..FIXED_PART) else {
        return Ok(None);
    };
    let length = FIXED_PART + usize::from(u16::from_be_bytes([high, low]));
    if length > MAX_PROXY_HEADER {
        return Err(wrong(&format!(
            "it has {length} bytes, and {MAX_PROXY_HEADER} are allowed"
        )));
    }
    let header = v2::Header::try_from(bytes);
    if header.is_incomplete() {
        return Ok(None);
    }
    let header = header.map_err(|error| wrong("version 2").with_source(error))?;
    let client = match (header.command, header.protocol, header.addresses) {
        (v2::Command::Proxy, v2::Protocol::Stream, v2::Addresses::IPv4(ip)) => {
            Some(client(ip.source_address.into(), ip.source_port))
        }
        (v2::Command::Proxy, v2::Protocol::Stream, v2::Addresses::IPv6(ip)) => {
            Some(client(ip.source_address.into(), ip.source_port))
        }
        _ => None,
    };
    Ok(Some((client, length)))
}

/// Parses complete lines only: crate ppp does not tell an incomplete line from a wrong one.
fn version_1(bytes: &[u8]) -> Result<Option<(Option<SocketAddr>, usize)>, Error> {
    let line = &bytes[..bytes.len().min(LONGEST_LINE)];
    let Some(end) = line.windows(2).position(|pair| pair == b"\r\n") else {
        return match line.len() {
            LONGEST_LINE => Err(wrong("its line has no end")),
            _ => Ok(None),
        };
    };
    let line = &line[..end + 2];
    let header =
        v1::Header::try_from(line).map_err(|error| wrong("version 1").with_source(error))?;
    let client = match header.addresses {
        v1::Addresses::Tcp4(ip) => Some(client(ip.source_address.into(), ip.source_port)),
        v1::Addresses::Tcp6(ip) => Some(client(ip.source_address.into(), ip.source_port)),
        v1::Addresses::Unknown => None,
    };
    Ok(Some((client, line.len())))
}

/// A proxy writes both addresses in one family, so an IPv4 client of an IPv6 listener may come in IPv6
/// form.
fn client(ip: IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(ip.to_canonical(), port)
}

fn wrong(what: &str) -> Error {
    Error::new(
        Kind::ProxyHeader,
        format!("the PROXY header cannot be used: {what}"),
    )
}

#[cfg(test)]
mod tests;
