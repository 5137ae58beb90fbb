//! Requests that ask for an upgrade (RFC 9110 sections 7.8 and 9.3.6), and the responses that accept one.

use http::{
    HeaderMap, HeaderValue, Method, Response, StatusCode, Version,
    header::{CONNECTION, HeaderName, UPGRADE},
    request::Parts,
    response,
};

use super::context::ConnectionContext;
use crate::{
    response::remove_framing,
    upgrade::{Means, Offer},
};

/// Offers the upgrade that a request asks for. Call it for requests without a body: the other protocol
/// would begin behind the body, and a server may ignore the field.
pub(super) fn offer(head: &mut Parts, context: &ConnectionContext) -> Option<Offer> {
    let (means, protocol) = if head.method == Method::CONNECT {
        // `validate` refuses it unless it is allowed.
        (Means::Connect, String::new())
    } else if context.upgrades.upgrades && head.version == Version::HTTP_11 {
        (Means::Field, protocol(&head.headers)?)
    } else {
        return None;
    };
    Offer::new(means, &protocol, &mut head.extensions, &context.counters)
}

/// The first protocol of the field `upgrade`, if `connection` names that field. `h2c` is none: RFC 9113
/// section 3.1 has removed it.
fn protocol(headers: &HeaderMap) -> Option<String> {
    let mut protocols = tokens(headers, &UPGRADE);
    let protocol = protocols.find(|token| !token.eq_ignore_ascii_case("h2c"))?;
    let mut wanted = tokens(headers, &CONNECTION);
    let is_wanted = wanted.any(|token| token.eq_ignore_ascii_case("upgrade"));
    is_wanted.then(|| protocol.to_owned())
}

fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).into_iter();
    let values = values.filter_map(|value| value.to_str().ok());
    let tokens = values.flat_map(|value| value.split(','));
    tokens.map(str::trim).filter(|token| !token.is_empty())
}

/// The head of a response that accepts an upgrade, as hyper sends it. Its fields stay as the handler has set
/// them, without those of a body; `connection` has to name `upgrade`.
pub(super) fn accepted(mut head: response::Parts, context: &ConnectionContext) -> Response<()> {
    let protocol = head.headers.remove(UPGRADE);
    remove_framing(&mut head.headers);
    if head.status == StatusCode::SWITCHING_PROTOCOLS {
        head.headers
            .insert(CONNECTION, HeaderValue::from_static("upgrade"));
        if let Some(protocol) = protocol {
            head.headers.insert(UPGRADE, protocol);
        }
    }
    head.version = Version::HTTP_11;
    context.counters.response(head.status.as_u16());
    Response::from_parts(head, ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_protocol_but_h2c_is_offered() {
        for (connection, upgrade, expected) in [
            ("upgrade", "websocket", Some("websocket")),
            ("keep-alive, Upgrade", "WebSocket", Some("WebSocket")),
            ("upgrade", "h2c, , foo/2, bar", Some("foo/2")),
            ("upgrade", "h2c", None),
            ("upgrade", "", None),
            ("keep-alive", "websocket", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONNECTION, HeaderValue::from_static(connection));
            headers.insert(UPGRADE, HeaderValue::from_static(upgrade));
            assert_eq!(protocol(&headers).as_deref(), expected, "{upgrade}");
        }
        assert_eq!(protocol(&HeaderMap::new()), None);
    }
}
