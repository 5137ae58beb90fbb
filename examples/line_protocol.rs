//! A protocol of one's own beside HTTP/2 on one port, chosen by ALPN: `cargo run --example
//! line_protocol`, then `openssl s_client -quiet -alpn lines/1 -connect localhost:8443`, which gets each
//! line back in upper case. `curl -k https://localhost:8443/` still speaks HTTP/2.

use std::{convert::Infallible, error::Error, io, sync::Arc};

use corelane::{
    Body, Builder, ConnectionInfo, ProtocolName, ProtocolStream, Server, service_fn,
    tls::{Identity, RustlsAcceptor, TlsConfig},
};
use http::{Request, Response};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufStream},
    select,
};

const LINES: ProtocolName = ProtocolName::from_static(b"lines/1");

async fn hello(_request: Request<Body>) -> Result<Response<String>, Infallible> {
    Ok(Response::new("hello over HTTP/2\n".into()))
}

/// Ends with the client, or with the server.
async fn lines(stream: ProtocolStream, client: Arc<ConnectionInfo>) -> io::Result<()> {
    let shutdown = stream.server_shutdown();
    let mut shutdown = std::pin::pin!(shutdown);
    let mut stream = BufStream::new(stream);
    let greeting = format!("hello from worker {}\n", client.worker);
    stream.write_all(greeting.as_bytes()).await?;
    stream.flush().await?;
    let mut line = String::new();
    loop {
        line.clear();
        select! {
            read = stream.read_line(&mut line) => if read? == 0 {
                return Ok(());
            },
            () = &mut shutdown => {
                stream.write_all(b"the server shuts down\n").await?;
                return stream.flush().await;
            }
        }
        stream.write_all(line.to_uppercase().as_bytes()).await?;
        stream.flush().await?;
    }
}

fn builder(identity: Identity) -> Result<Builder, corelane::Error> {
    let config = TlsConfig::new(identity).alpn_protocols([ProtocolName::H2, LINES]);
    Ok(Server::builder(RustlsAcceptor::new(&config)?).protocol(LINES, lines))
}

fn main() -> Result<(), Box<dyn Error>> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let identity = Identity::from_pem(made.cert.pem(), made.signing_key.serialize_pem())?;
    let server = builder(identity)?.listen("127.0.0.1:8443").bind()?;
    Ok(server.serve(|_worker| service_fn(hello))?.wait()?)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use corelane_test_support::{
        certs::identity,
        client::{Tls, rustls_config, server_name},
        deadline,
    };
    use tokio::{io::AsyncReadExt, net::TcpStream};

    use super::*;

    #[test]
    fn lines_come_back_in_upper_case_until_the_shutdown() {
        let server = builder(identity()).expect("an acceptor");
        let server = server
            .listen("127.0.0.1:0")
            .workers(1)
            .bind()
            .expect("loopback");
        let addr = server.local_addrs()[0];
        let handle = server.serve(|_worker| service_fn(hello)).expect("a worker");
        deadline(async {
            let connector =
                tokio_rustls::TlsConnector::from(rustls_config(Tls::Any, &[b"lines/1"]));
            let tcp = TcpStream::connect(addr).await.expect("connects");
            let tls = connector
                .connect(server_name(), tcp)
                .await
                .expect("a handshake");
            let mut client = BufStream::new(tls);
            client.write_all(b"one\n").await.expect("sent");
            client.flush().await.expect("sent");
            let mut lines = String::new();
            client.read_line(&mut lines).await.expect("the greeting");
            client.read_line(&mut lines).await.expect("an answer");
            assert!(lines.ends_with("\nONE\n"), "{lines}");
            handle.shutdown(Duration::from_secs(3600));
            let mut rest = String::new();
            client.read_to_string(&mut rest).await.expect("a clean end");
            assert_eq!(rest, "the server shuts down\n");
        });
        handle.wait().expect("no worker panicked");
    }
}
