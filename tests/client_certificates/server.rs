//! Servers that ask for client certificates, and their answers.

use std::{net::SocketAddr, sync::Arc};

use corelane::{
    Driver, Error,
    tls::{ClientAuth, TicketKeys, TlsAcceptor, TlsConfig},
};
use corelane_test_support::{
    Backend, TestServer,
    certs::identity,
    client::{deadline, server_name},
    visit::register,
};
use rustls::{AlertDescription, ClientConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Every acceptor uses the same ticket key.
pub fn make(backend: Backend, auth: Option<ClientAuth>) -> Result<Arc<dyn TlsAcceptor>, Error> {
    let mut config = TlsConfig::new(identity()).client_auth(auth);
    if backend.name != "native-tls" {
        let key = *b"the key of all servers of a test";
        config.ticket_keys = Some(TicketKeys::from_bytes(&[key]).expect("a key"));
    }
    (backend.make)(&config)
}

/// `None` if the backend does not support client certificates and says so.
pub fn serve(backend: Backend, auth: ClientAuth) -> Option<TestServer> {
    let made = make(backend, Some(auth));
    if backend.name != "native-tls" {
        let acceptor = made.expect("an acceptor");
        return Some(TestServer::start(acceptor, Driver::Epoll, register));
    }
    let error = made.err().expect("native-tls cannot ask");
    assert!(error.is_unsupported(), "{error}");
    assert!(error.to_string().contains("client certificates"), "{error}");
    None
}

/// The alert that ends the connection, during or after the handshake. `None` if the client is served.
pub fn outcome(addr: SocketAddr, config: &Arc<ClientConfig>) -> Option<AlertDescription> {
    deadline(async {
        let tcp = tokio::net::TcpStream::connect(addr)
            .await
            .expect("connects");
        let connector = tokio_rustls::TlsConnector::from(Arc::clone(config));
        let error = match connector.connect(server_name(), tcp).await {
            Err(error) => error,
            Ok(mut tls) => {
                const OPENING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
                // Under TLS 1.3, the server may have refused the client by now.
                let _ = tls.write_all(OPENING).await;
                match tls.read(&mut [0; 100]).await {
                    Ok(read) => {
                        assert_ne!(read, 0, "closed");
                        return None;
                    }
                    Err(error) => error,
                }
            }
        };
        let alert = error.get_ref().and_then(|inner| inner.downcast_ref());
        match alert {
            Some(rustls::Error::AlertReceived(alert)) => Some(*alert),
            _ => panic!("no alert: {error}"),
        }
    })
}

pub fn alert(addr: SocketAddr, config: &Arc<ClientConfig>) -> AlertDescription {
    outcome(addr, config).expect("refused")
}
