//! ALPN (RFC 7301).

use std::io::ErrorKind;

use corelane::ProtocolName;

use super::alerts::alert;
use crate::{
    backend::Backend,
    client::client_config,
    session::{Client, Pair},
};

const NO_APPLICATION_PROTOCOL: u8 = 120;

/// The first of the server's list that the client offers, as the server decides before it starts the
/// session.
pub(super) fn alpn_is_the_servers_first_that_the_client_offers(backend: &Backend) {
    let long = "x".repeat(255);
    let servers: [&[&str]; 3] = [
        &["h2"],
        &["h2", "http/1.1"],
        &["http/1.1", "acme-tls/1", "h2"],
    ];
    let clients: [&[&str]; 7] = [
        &[],
        &["h2"],
        &["http/1.1"],
        &["http/1.1", "h2"],
        &["h2", "http/1.1"],
        &["x", &long, "acme-tls/1", "h2"],
        &["h2c", "h3", "H2"],
    ];
    for server in servers {
        let names = server
            .iter()
            .map(|name| ProtocolName::new(*name).expect("a name"));
        let names: Vec<_> = names.collect();
        let config = Backend::config().alpn_protocols(names.iter().cloned());
        let acceptor = backend.acceptor_of(&config);
        if let Some(reported) = acceptor.alpn_protocols() {
            assert_eq!(reported, names, "alpn_protocols is the configured list");
        }
        for version in backend.versions() {
            for client in clients {
                let offer: Vec<_> = client.iter().map(|name| name.as_bytes()).collect();
                let config = client_config(version, &offer);
                let mut pair = Pair::begin(&*acceptor, Client::with(config));
                let what = format!("{version}: {client:?} to a server of {server:?}");
                let chosen = server.iter().find(|name| client.contains(name));
                if chosen.is_none() && !client.is_empty() {
                    refused(&mut pair, &what);
                    continue;
                }
                pair.shake_hands();
                let reported = pair.session.negotiated().alpn_protocol;
                let reported = reported.as_ref().map(ProtocolName::as_bytes);
                let chosen = chosen.map(|name| name.as_bytes());
                assert_eq!(reported, chosen, "the session reports, {what}");
                let told = pair.client.connection().alpn_protocol();
                assert_eq!(told, chosen, "the client is told, {what}");
            }
        }
    }
}

/// Nothing in common: the server refuses it before it starts a session. One that starts anyway may
/// refuse it, or choose nothing.
fn refused(pair: &mut Pair, what: &str) {
    for _ in 0..10 {
        match pair.handshake() {
            Ok(()) => {
                assert_eq!(pair.session.negotiated().alpn_protocol, None, "{what}");
                return;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                pair.client.turn(&mut pair.wire);
            }
            Err(_) => {
                pair.flush();
                assert_eq!(alert(&pair.client), Some(NO_APPLICATION_PROTOCOL), "{what}");
                return;
            }
        }
    }
    panic!("no end of the handshake: {what}");
}
