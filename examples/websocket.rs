//! WebSockets by crate tokio-tungstenite, over HTTP/2 (RFC 8441) and HTTP/1.1 (RFC 6455) by one handler:
//! `cargo run --features http1,upgrade --example websocket`, then open <https://localhost:8443/> in a browser.
//! It sends each message back. A router of axum uses its extractor `WebSocketUpgrade` instead.

use std::{convert::Infallible, error::Error};

use corelane::{
    Body, Builder, ProtocolName, Server, Upgrade, Upgraded, service_fn,
    tls::{Identity, RustlsAcceptor, TlsConfig},
};
use futures_util::{SinkExt, StreamExt};
use http::{
    HeaderMap, HeaderValue, Request, Response, StatusCode,
    header::{CONTENT_TYPE, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION},
};
use tokio::{runtime::Runtime, select};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        self,
        handshake::derive_accept_key,
        protocol::{CloseFrame, Role, frame::coding::CloseCode},
    },
};

const PAGE: &str = "<script>
    const socket = new WebSocket('wss://' + location.host);
    socket.onopen = () => socket.send('hello');
    socket.onmessage = (message) => document.body.append(message.data);
</script><body>";

async fn serve(mut request: Request<Body>) -> Result<Response<String>, Infallible> {
    let upgrade = Upgrade::take(&mut request);
    let upgrade = upgrade.filter(|upgrade| upgrade.protocol().eq_ignore_ascii_case("websocket"));
    let Some(upgrade) = upgrade else {
        let mut page = Response::new(PAGE.to_owned());
        let html = HeaderValue::from_static("text/html");
        page.headers_mut().insert(CONTENT_TYPE, html);
        return Ok(page);
    };
    let (mut response, upgraded) = upgrade.accept();
    if let Err(status) = accept(request.headers(), &mut response) {
        let mut refusal = Response::new(String::new());
        *refusal.status_mut() = status;
        return Ok(refusal);
    }
    tokio::spawn(async {
        let result = match upgraded.await {
            Ok(stream) => echo(stream).await,
            Err(error) => return eprintln!("{error}"),
        };
        if let Err(error) = result {
            eprintln!("the WebSocket has ended: {error}");
        }
    });
    Ok(response.map(|()| String::new()))
}

/// Does what the opening handshake of RFC 6455 section 4.2 wants. RFC 8441 section 5 leaves the key out.
fn accept(request: &HeaderMap, response: &mut Response<()>) -> Result<(), StatusCode> {
    let version = request.get(SEC_WEBSOCKET_VERSION);
    if version.is_none_or(|version| version != "13") {
        return Err(StatusCode::BAD_REQUEST);
    }
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let key = request.get(SEC_WEBSOCKET_KEY);
        let key = derive_accept_key(key.ok_or(StatusCode::BAD_REQUEST)?.as_bytes());
        let key = HeaderValue::try_from(key).map_err(|_invalid| StatusCode::BAD_REQUEST)?;
        response.headers_mut().insert(SEC_WEBSOCKET_ACCEPT, key);
    }
    Ok(())
}

/// Ends with the client, or with the server.
async fn echo(stream: Upgraded) -> Result<(), tungstenite::Error> {
    let mut shutdown = std::pin::pin!(stream.server_shutdown());
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
    loop {
        let message = select! {
            biased;
            () = &mut shutdown => {
                let code = CloseCode::Away;
                let reason = "the server shuts down".into();
                return socket.close(Some(CloseFrame { code, reason })).await;
            }
            message = socket.next() => message,
        };
        match message.transpose()? {
            Some(message) if message.is_text() || message.is_binary() => {
                socket.send(message).await?;
            }
            Some(_) => {}
            None => return Ok(()),
        }
    }
}

fn builder(identity: Identity) -> Result<Builder, corelane::Error> {
    let names = [ProtocolName::H2, ProtocolName::HTTP_1_1];
    let config = TlsConfig::new(identity).alpn_protocols(names.clone());
    let builder = Server::builder(RustlsAcceptor::new(&config)?);
    Ok(builder.protocols(names).upgrades(true))
}

fn main() -> Result<(), Box<dyn Error>> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let identity = Identity::from_pem(made.cert.pem(), made.signing_key.serialize_pem())?;
    let runtime = Runtime::new()?;
    let builder = builder(identity)?.tokio(runtime.handle().clone());
    let server = builder.listen("127.0.0.1:8443").bind()?;
    Ok(server.serve(|_worker| service_fn(serve))?.wait()?)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use corelane_test_support::{
        backends::RUSTLS,
        certs::identity,
        deadline,
        upgrade::{Version, upgrade},
    };
    use tungstenite::Message;

    use super::*;

    #[test]
    fn messages_come_back_until_the_shutdown() {
        let runtime = Runtime::new().expect("a runtime");
        let server = builder(identity()).expect("an acceptor");
        let server = server
            .listen("127.0.0.1:0")
            .workers(1)
            .tokio(runtime.handle().clone())
            .bind()
            .expect("loopback");
        let addr = server.local_addrs()[0];
        let handle = server.serve(|_worker| service_fn(serve)).expect("a worker");
        deadline(async {
            let mut sockets = Vec::new();
            for version in Version::ALL {
                let mut fields = vec![("sec-websocket-version", "13")];
                if version == Version::Http1 {
                    // That of RFC 6455 section 1.3.
                    fields.push(("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="));
                }
                let answer = upgrade(version, RUSTLS, addr, "/", "websocket", &fields).await;
                if version == Version::Http1 {
                    let accept = &answer.headers[SEC_WEBSOCKET_ACCEPT];
                    assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
                }
                let stream = answer.accepted();
                let socket = WebSocketStream::from_raw_socket(stream, Role::Client, None);
                let mut socket = socket.await;
                for message in [Message::text("hello"), Message::binary(vec![7; 100_000])] {
                    socket.send(message.clone()).await.expect("sent");
                    let echo = socket.next().await.expect("a message");
                    assert_eq!(echo.expect("valid"), message);
                }
                sockets.push(socket);
            }
            handle.shutdown(Duration::from_secs(3600));
            for mut socket in sockets {
                let message = socket.next().await.expect("a message");
                let Message::Close(Some(close)) = message.expect("valid") else {
                    panic!("it closes");
                };
                assert_eq!(close.code, CloseCode::Away);
            }
        });
        handle.wait().expect("no worker panicked");
    }
}
