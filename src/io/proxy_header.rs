//! The PROXY protocol's header, version 1 or 2: what a proxy says of its client, before anything that
//! the client sends.
//!
//! The protocol is haproxy's: <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>.

use std::net::{IpAddr, SocketAddr};

use ppp::{PartialResult, v1, v2};
use tokio::io::AsyncRead;

use super::handshake::read_at_most;
use crate::{
    config::MAX_PROXY_HEADER,
    error::{Error, Kind},
};

/// What has been read when the header is there.
#[derive(Debug, Default)]
pub(crate) struct ProxyHeader {
    /// Whom the proxy connects; `None`: it speaks for itself, as to see whether anybody is here, or
    /// for a client that has no address of TCP.
    pub(crate) client: Option<SocketAddr>,
    /// What came behind the header, in the same reads.
    pub(crate) behind: Vec<u8>,
}

/// Reads the header, which has to be there, and [`MAX_PROXY_HEADER`] bytes at most to find it.
pub(crate) async fn read_proxy_header<IO>(io: &mut IO) -> Result<ProxyHeader, Error>
where
    IO: AsyncRead + Unpin,
{
    let mut received = Vec::new();
    loop {
        let room = MAX_PROXY_HEADER - received.len();
        read_at_most(io, &mut received, room).await?;
        if let Some((client, length)) = parse(&received)? {
            received.drain(..length);
            return Ok(ProxyHeader {
                client,
                behind: received,
            });
        }
    }
}

/// What version 2 begins with: nothing that anybody else would say.
const SIGNATURE: &[u8] = v2::PROTOCOL_PREFIX;

/// Signature, version and command, family, length.
const FIXED_PART: usize = 16;

/// What version 1 begins with.
const WORD: &[u8] = b"PROXY ";

/// The longest line of version 1, with its CR LF.
const LONGEST_LINE: usize = 107;

/// The client's address and the header's length, or `None` where more has to come. More bytes never
/// change an answer, and `MAX_PROXY_HEADER` of them always get one.
pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(Option<SocketAddr>, usize)>, Error> {
    let begins = |with: &[u8]| bytes.starts_with(with) || with.starts_with(bytes);
    if begins(SIGNATURE) {
        version_2(bytes)
    } else if begins(WORD) {
        version_1(bytes)
    } else {
        Err(Error::new(
            Kind::ProxyHeader,
            "the connection does not begin with a PROXY header: have the proxy send one, or take its \
             address from the networks of proxies",
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
            "it has {length} bytes, {MAX_PROXY_HEADER} are allowed"
        )));
    }
    let header = v2::Header::try_from(bytes);
    if header.is_incomplete() {
        return Ok(None);
    }
    let header = header.map_err(|error| wrong("version 2").with(error))?;
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

/// Looked at as a line only, since a line that is cut in two is no other to crate ppp than one that
/// is wrong.
fn version_1(bytes: &[u8]) -> Result<Option<(Option<SocketAddr>, usize)>, Error> {
    let line = &bytes[..bytes.len().min(LONGEST_LINE)];
    let Some(end) = line.windows(2).position(|pair| pair == b"\r\n") else {
        return match line.len() {
            LONGEST_LINE => Err(wrong("its line does not end")),
            _ => Ok(None),
        };
    };
    let line = &line[..end + 2];
    let header = v1::Header::try_from(line).map_err(|error| wrong("version 1").with(error))?;
    let client = match header.addresses {
        v1::Addresses::Tcp4(ip) => Some(client(ip.source_address.into(), ip.source_port)),
        v1::Addresses::Tcp6(ip) => Some(client(ip.source_address.into(), ip.source_port)),
        v1::Addresses::Unknown => None,
    };
    Ok(Some((client, line.len())))
}

/// A proxy between an IPv4 client and an IPv6 listener, or the other way round, has to write both
/// in one family.
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
