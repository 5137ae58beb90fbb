//! A request for another protocol, such as WebSocket (RFC 6455), and the stream that it becomes.

use std::{future::Future, io::Cursor, rc::Rc};

use bytes::Bytes;
use corelane::{
    Body, Error, Upgrade, Upgraded,
    tokio::io::{AsyncReadExt as _, copy_bidirectional_with_sizes, join, split},
};
use data_encoding::BASE64;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response,
    header::{
        CONTENT_LENGTH, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
    },
    response::Parts,
};
use sha1::{Digest as _, Sha1};

use super::{connect::Socket, failure::Failure, response_head, spawn::spawn, upstream::Upstream};
use crate::body::ResponseBody;

/// How much of each direction waits in the proxy for a slow receiver, bytes: an idle stream keeps both.
const BUFFER: usize = 8 * 1024;

/// What a client asks for by the field `upgrade` of HTTP/1.1, or by extended CONNECT of HTTP/2 (RFC 8441).
/// The upstream is asked by the field.
pub(super) struct Handshake {
    upgrade: Upgrade,
    protocol: HeaderValue,
    is_connect: bool,
    /// WebSocket over HTTP/2 has no key (RFC 8441 section 5.1): this is the proxy's.
    key: Option<HeaderValue>,
}

impl Handshake {
    /// `None` if a request asks for no upgrade, or for one that is not forwarded. Extended CONNECT becomes
    /// a GET.
    pub(super) fn take(request: &mut Request<Body>) -> Option<Self> {
        let upgrade = Upgrade::take(request)?;
        let protocol = upgrade.protocol();
        if !is_forwarded(protocol) {
            return None;
        }
        let is_connect = request.method() == Method::CONNECT;
        let is_websocket = protocol.eq_ignore_ascii_case("websocket");
        let handshake = Self {
            protocol: HeaderValue::from_str(protocol).ok()?,
            key: (is_connect && is_websocket).then(new_key),
            is_connect,
            upgrade,
        };
        if is_connect {
            *request.method_mut() = Method::GET;
        }
        if let Some(key) = &handshake.key {
            let headers = request.headers_mut();
            headers.insert(SEC_WEBSOCKET_KEY, key.clone());
            let version = headers.entry(SEC_WEBSOCKET_VERSION);
            version.or_insert(HeaderValue::from_static("13"));
        }
        Some(handshake)
    }

    /// Whether the client takes every 2xx for the other protocol.
    pub(super) fn is_connect(&self) -> bool {
        self.is_connect
    }

    /// The value of `upgrade` for the upstream.
    pub(super) fn protocol(&self) -> &HeaderValue {
        &self.protocol
    }

    /// Turns the upstream's 101 into the response to the client, and joins the streams.
    pub(super) fn accept(
        &self,
        mut head: Parts,
        (socket, read_ahead): (Socket, Bytes),
        upstream: &Rc<Upstream>,
    ) -> Result<Response<ResponseBody>, Failure> {
        self.check(&head.headers)?;
        let (accepted, upgraded) = self.upgrade.clone().accept();
        let (accepted, ()) = accepted.into_parts();
        response_head::clean(&mut head);
        head.headers.remove(CONTENT_LENGTH);
        if self.key.is_some() {
            head.headers.remove(SEC_WEBSOCKET_ACCEPT);
        }
        head.status = accepted.status;
        head.headers.extend(accepted.headers);
        spawn(forward(upgraded, socket, read_ahead, Rc::clone(upstream)));
        Ok(Response::from_parts(head, ResponseBody::empty()))
    }

    fn check(&self, headers: &HeaderMap) -> Result<(), Failure> {
        let is_asked_for = |value: &HeaderValue| {
            let protocol = self.protocol.as_bytes();
            value.as_bytes().eq_ignore_ascii_case(protocol)
        };
        if !headers.get(UPGRADE).is_some_and(is_asked_for) {
            let why = "the upstream switches to another protocol than was asked for";
            return Err(Failure::Malformed(why));
        }
        let accept = self.key.as_ref().map(accept_of);
        if accept.is_some_and(|accept| headers.get(SEC_WEBSOCKET_ACCEPT) != Some(&accept)) {
            let why = "sec-websocket-accept does not fit to the key";
            return Err(Failure::Malformed(why));
        }
        Ok(())
    }
}

/// Other versions of HTTP would pass requests that the proxy, its routes and its log do not see ("h2c
/// smuggling"), and TLS is the server's. A tunnel by CONNECT has no protocol.
fn is_forwarded(protocol: &str) -> bool {
    let name = protocol.split('/').next().unwrap_or_default();
    let others = ["", "h2c", "h2", "http", "tls"];
    !others.iter().any(|other| name.eq_ignore_ascii_case(other))
}

/// RFC 6455 section 4.1: 16 random bytes for each connection.
fn new_key() -> HeaderValue {
    let key: [u8; 16] = std::array::from_fn(|_| fastrand::u8(..));
    base64(&key)
}

/// RFC 6455 section 4.2.2.
fn accept_of(key: &HeaderValue) -> HeaderValue {
    const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    let hash = Sha1::new().chain_update(key).chain_update(GUID);
    base64(&hash.finalize())
}

fn base64(bytes: &[u8]) -> HeaderValue {
    let text = BASE64.encode(bytes);
    // Base64 has only characters that a field may have.
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}

/// Copies in both directions until both have ended. When the server shuts down, the client's side ends.
async fn forward(
    upgraded: impl Future<Output = Result<Upgraded, Error>>,
    socket: Socket,
    read_ahead: Bytes,
    upstream: Rc<Upstream>,
) {
    let copied = async {
        let mut client = upgraded.await.map_err(std::io::Error::other)?;
        let (read, write) = split(socket);
        let mut server = join(Cursor::new(read_ahead).chain(read), write);
        copy_bidirectional_with_sizes(&mut client, &mut server, BUFFER, BUFFER).await
    };
    match copied.await {
        Ok((sent, received)) => {
            tracing::debug!(%upstream, sent, received, "an upgraded connection has ended");
        }
        Err(error) => {
            let error = corelane::Chain(&error);
            tracing::debug!(%upstream, %error, "an upgraded connection has failed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_is_that_of_the_example_of_the_rfc() {
        let key = HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(accept_of(&key), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn keys_are_of_16_bytes_and_differ() {
        let keys = [new_key(), new_key()];
        for key in &keys {
            let bytes = BASE64.decode(key.as_bytes()).expect("base64");
            assert_eq!(bytes.len(), 16);
        }
        assert_ne!(keys[0], keys[1]);
    }

    #[test]
    fn other_versions_of_http_are_not_forwarded() {
        for protocol in ["", "h2c", "H2C", "h2", "HTTP/2.0", "TLS/1.0"] {
            assert!(!is_forwarded(protocol), "{protocol}");
        }
        for protocol in ["websocket", "WebSocket", "connect-udp", "x-own/1"] {
            assert!(is_forwarded(protocol), "{protocol}");
        }
    }
}
