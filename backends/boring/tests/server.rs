//! A server of corelane on BoringSSL.

use std::{
    convert::Infallible,
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use boring::ssl::{AlpnError, Ssl, SslContext, SslMethod, SslVersion};
use corelane::{
    Body, Handle, Server,
    http::{Request, Response},
    service_fn,
    tls::{Identity, TlsConfig, TlsVersion},
};
use corelane_backend_tests::client_config;
use corelane_boring::BoringAcceptor;
use rustls::{ClientConfig, NamedGroup, RootCertStore, crypto::aws_lc_rs};

/// How long a test may take: far more than it needs, so that only a hang meets it.
const DEADLINE: Duration = Duration::from_secs(60);

/// Answers with what the server knows of the connection.
async fn tell(request: Request<Body>) -> Result<Response<String>, Infallible> {
    let connection = request.body().connection();
    let negotiated = &connection.negotiated;
    Ok(Response::new(format!(
        "{} {:?} {:?}",
        connection.backend, negotiated.tls_version, negotiated.key_exchange_group
    )))
}

fn serve(acceptor: BoringAcceptor) -> (Handle, SocketAddr) {
    let server = Server::builder(acceptor).listen("127.0.0.1:0").workers(1);
    let server = server.bind().expect("a free port");
    let handle = server.serve(|_| service_fn(tell)).expect("started");
    let addr = handle.local_addrs()[0];
    (handle, addr)
}

fn certificate() -> rcgen::CertifiedKey<rcgen::KeyPair> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]);
    made.expect("a certificate")
}

/// The group of the connection, and the response's body.
fn get(addr: SocketAddr, config: ClientConfig) -> (Option<NamedGroup>, String) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let work = async {
        let tcp = tokio::net::TcpStream::connect(addr)
            .await
            .expect("connects");
        let name = "localhost".try_into().expect("a name");
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let tls = connector.connect(name, tcp).await.expect("a handshake");
        let group = tls.get_ref().1.negotiated_key_exchange_group();
        let (mut requests, connection) = h2::client::handshake(tls).await.expect("HTTP/2");
        let connection = tokio::spawn(connection);
        let request = Request::get("https://localhost/").body(());
        let sent = requests.send_request(request.expect("a request"), true);
        let response = sent.expect("sent").0.await.expect("a response");
        assert_eq!(response.status(), 200);
        let mut body = response.into_body();
        let mut text = Vec::new();
        while let Some(data) = body.data().await {
            text.extend_from_slice(&data.expect("a body"));
        }
        drop((requests, body));
        connection.await.expect("no panic").expect("no error");
        let text = String::from_utf8(text).expect("text");
        (group.map(|it| it.name()), text)
    };
    let work = async { tokio::time::timeout(DEADLINE, work).await };
    runtime.expect("a runtime").block_on(work).expect("a hang")
}

/// A configuration, and a client that trusts its certificate and prefers these groups in this order.
fn config_and_client(
    groups: &[&'static dyn rustls::crypto::SupportedKxGroup],
) -> (TlsConfig, ClientConfig) {
    let made = certificate();
    let identity = Identity::from_pem(made.cert.pem(), made.signing_key.serialize_pem());
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).expect("a certificate");
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = groups.to_vec();
    let mut client = ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.alpn_protocols = vec![b"h2".to_vec()];
    (TlsConfig::new(identity.expect("PEM")), client)
}

#[test]
fn http2_is_served_with_x25519mlkem768() {
    use aws_lc_rs::kx_group::{X25519, X25519MLKEM768};
    let (config, client) = config_and_client(&[X25519MLKEM768, X25519]);
    let (handle, addr) = serve(BoringAcceptor::new(&config).expect("an acceptor"));
    let (group, text) = get(addr, client);
    assert_eq!(group, Some(NamedGroup::X25519MLKEM768));
    assert_eq!(text, "boring Some(TLS 1.3) Some(X25519MLKEM768)");
    // It does not exist in TLS 1.2.
    let (group, text) = get(addr, client_config(TlsVersion::TLS_1_2, &[b"h2"]));
    assert_eq!(group, Some(NamedGroup::X25519));
    assert_eq!(text, "boring Some(TLS 1.2) Some(x25519)");
    handle.shutdown(DEADLINE);
    handle.wait().expect("no worker panicked");
}

#[test]
fn groups_are_chosen_in_the_order_of_the_configuration() {
    use aws_lc_rs::kx_group::{SECP256R1, X25519, X25519MLKEM768};
    use corelane::tls::NamedGroup as Group;
    let (config, client) = config_and_client(&[SECP256R1, X25519, X25519MLKEM768]);
    for (groups, used) in [
        (&[][..], NamedGroup::secp256r1),
        (
            &[Group::X25519MLKEM768, Group::SECP256R1],
            NamedGroup::X25519MLKEM768,
        ),
        (
            &[Group::SECP384R1, Group::X25519, Group::SECP256R1],
            NamedGroup::X25519,
        ),
    ] {
        let config = config.clone().groups(groups.iter().copied());
        let (handle, addr) = serve(BoringAcceptor::new(&config).expect("an acceptor"));
        assert_eq!(get(addr, client.clone()).0, Some(used));
        handle.shutdown(DEADLINE);
        handle.wait().expect("no worker panicked");
    }
    for (groups, why) in [
        (vec![Group::X25519MLKEM768], "TLS 1.2 has none"),
        (vec![Group::X25519, Group::X25519], "listed twice"),
    ] {
        let error = BoringAcceptor::new(&config.clone().groups(groups));
        let error = error.expect_err("refused").to_string();
        assert!(error.contains(why), "{error}");
    }
    let tls_1_3 = config.min_version(TlsVersion::TLS_1_3);
    BoringAcceptor::new(&tls_1_3.groups([Group::X25519MLKEM768])).expect("TLS 1.3 has it");
}

#[test]
fn a_context_of_the_user_is_served_unchanged() {
    let made = certificate();
    let key = boring::pkey::PKey::private_key_from_der(&made.signing_key.serialize_der());
    let certificate = boring::x509::X509::from_der(made.cert.der()).expect("a certificate");
    let mut context = SslContext::builder(SslMethod::tls()).expect("a context");
    context.set_certificate(&certificate).expect("set");
    context.set_private_key(&key.expect("a key")).expect("set");
    context
        .set_max_proto_version(Some(SslVersion::TLS1_2))
        .expect("set");
    context.set_curves_list("P-384").expect("set");
    context.set_alpn_select_callback(|_, offered| match offered {
        [2, name @ ..] if name == b"h2" => Ok(name),
        _ => Err(AlpnError::ALERT_FATAL),
    });
    let (handle, addr) = serve(context.build().into());
    let (_, text) = get(addr, client_config(TlsVersion::TLS_1_2, &[b"h2"]));
    assert_eq!(text, "boring Some(TLS 1.2) Some(secp384r1)");
    handle.shutdown(DEADLINE);
    handle.wait().expect("no worker panicked");
}

/// An element of DER: its tag, its length of less than 2^16, its content.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = u16::try_from(content.len()).expect("short");
    let [high, low] = length.to_be_bytes();
    match length {
        0..=127 => [&[tag, low], &*content].concat(),
        128..=255 => [&[tag, 0x81, low], &*content].concat(),
        _ => [&[tag, 0x82, high, low], &*content].concat(),
    }
}

/// The response that the certificate of this serial number is good, between two years (RFC 6960 section
/// 4.2.1). A build without a hash function compares no more than the number.
fn ocsp_response(serial: u8, this_update: u16, next_update: u16) -> Vec<u8> {
    const SHA1: &[u8] = &[6, 5, 0x2b, 14, 3, 2, 26];
    const ED25519: &[u8] = &[6, 3, 0x2b, 0x65, 0x70];
    const BASIC: &[u8] = &[6, 9, 0x2b, 6, 1, 5, 5, 7, 48, 1, 1];
    let time = |year: u16| der(0x18, &[format!("{year}0101000000Z").as_bytes()]);
    let hash = der(4, &[&[7; 20]]);
    let id = der(
        0x30,
        &[&der(0x30, &[SHA1]), &hash, &hash, &der(2, &[&[serial]])],
    );
    let next = der(0xa0, &[&time(next_update)]);
    let single = der(0x30, &[&id, &der(0x80, &[]), &time(this_update), &next]);
    let responder = der(0xa2, &[&hash]);
    let responses = der(0x30, &[&single]);
    let data = der(0x30, &[&responder, &time(this_update), &responses]);
    let signature = der(3, &[&[0; 65]]);
    let basic = der(0x30, &[&data, &der(0x30, &[ED25519]), &signature]);
    let bytes = der(0x30, &[BASIC, &der(4, &[&basic])]);
    der(0x30, &[&der(10, &[&[0]]), &der(0xa0, &[&bytes])])
}

/// The response that a client of BoringSSL gets if it asks for one.
fn stapled(addr: SocketAddr, version: SslVersion) -> Option<Vec<u8>> {
    let mut client = SslContext::builder(SslMethod::tls()).expect("a context");
    client.set_max_proto_version(Some(version)).expect("set");
    client.set_alpn_protos(b"\x02h2").expect("set");
    client.enable_ocsp_stapling();
    let ssl = Ssl::new(&client.build()).expect("a session");
    let tcp = TcpStream::connect(addr).expect("connects");
    tcp.set_read_timeout(Some(DEADLINE)).expect("a time-out");
    let tls = ssl.connect(tcp).expect("a handshake");
    tls.ssl().ocsp_status().map(<[u8]>::to_vec)
}

#[test]
fn clients_that_ask_get_the_ocsp_response_while_it_is_valid() {
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).expect("a name");
    params.serial_number = Some(rcgen::SerialNumber::from(77));
    let certificate = params.self_signed(&key).expect("signed");
    let identity = Identity::from_pem(certificate.pem(), key.serialize_pem()).expect("PEM");
    let other = identity
        .clone()
        .with_ocsp_response(ocsp_response(78, 2020, 2120));
    assert!(other.expect_err("another number").is_config());
    for (end, is_sent) in [(2120, true), (2021, false)] {
        let response = ocsp_response(77, 2020, end);
        let identity = identity.clone().with_ocsp_response(&response);
        let config = TlsConfig::new(identity.expect("about this certificate"));
        let (handle, addr) = serve(BoringAcceptor::new(&config).expect("an acceptor"));
        for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
            let expected = is_sent.then(|| response.clone());
            assert_eq!(stapled(addr, version), expected, "{version:?}");
        }
        handle.shutdown(DEADLINE);
        handle.wait().expect("no worker panicked");
    }
}
