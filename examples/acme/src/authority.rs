//! An ACME authority (RFC 8555) for one order of one name, as far as rustls-acme asks it. It does not check
//! the signatures of requests.

use std::{
    convert::Infallible,
    io::Read,
    net::SocketAddr,
    sync::{Arc, Mutex, OnceLock},
};

use aws_lc_rs::digest::{Digest, SHA256, digest};
use corelane::{
    Body, Handle, ProtocolName, Server,
    rustls::{ClientConfig, RootCertStore, crypto, pki_types::CertificateDer},
    service_fn,
    tls::{Identity, RustlsAcceptor, TlsConfig},
};
use data_encoding::BASE64URL_NOPAD;
use http::{Request, Response, header::LOCATION};
use http_body_util::BodyExt;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, CertifiedIssuer, IsCa,
    KeyPair,
};
use rustls_acme::acme::ACME_TLS_ALPN_NAME;
use serde_json::{Value, json};
use x509_parser::{oid_registry::Oid, parse_x509_certificate};

use crate::client::connect;

const TOKEN: &str = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA";

pub struct Authority {
    name: &'static str,
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// Where it looks for the name.
    target: OnceLock<SocketAddr>,
    order: Mutex<Order>,
    server: OnceLock<Handle>,
}

#[derive(Default)]
struct Order {
    /// SHA-256 of the account's key (RFC 7638), in base64url.
    thumbprint: String,
    validations: usize,
    is_valid: bool,
    certificate: Option<(CertificateDer<'static>, String)>,
}

impl Authority {
    /// The authority, and the address of its directory.
    pub fn start(name: &'static str) -> (Arc<Self>, String) {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("an authority");
        let key = KeyPair::generate().expect("a key");
        let own = CertificateParams::new(["localhost".to_owned()]).expect("a name");
        let own = own.signed_by(&key, &issuer).expect("a certificate");
        let identity = Identity::from_pem(own.pem(), key.serialize_pem()).expect("a pair");
        let protocols = || [ProtocolName::HTTP_1_1];
        let config = TlsConfig::new(identity).alpn_protocols(protocols());
        let server = Server::builder(RustlsAcceptor::new(&config).expect("an acceptor"))
            .listen("127.0.0.1:0")
            .workers(1)
            .protocols(protocols())
            .bind()
            .expect("loopback");
        let url = format!("https://localhost:{}", server.local_addrs()[0].port());
        let directory = format!("{url}/directory");
        let authority = Arc::new(Self {
            name,
            issuer,
            target: OnceLock::new(),
            order: Mutex::default(),
            server: OnceLock::new(),
        });
        let shared = Arc::clone(&authority);
        let handle = server.serve(move |_worker| {
            let (authority, url) = (Arc::clone(&shared), url.clone());
            service_fn(move |request| {
                let (authority, url) = (Arc::clone(&authority), url.clone());
                async move { Ok::<_, Infallible>(authority.answer(&url, request).await) }
            })
        });
        let _ = authority.server.set(handle.expect("a worker"));
        (authority, directory)
    }

    /// The configuration of a client that trusts it.
    pub fn trusting_client(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots
            .add(self.issuer.der().clone())
            .expect("a certificate of an authority");
        let provider = Arc::new(crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has them")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Arc::new(config)
    }

    pub fn validate_at(&self, target: SocketAddr) {
        self.target.set(target).expect("called once");
    }

    pub fn validations(&self) -> usize {
        self.order.lock().expect("no panic").validations
    }

    pub fn certificate(&self) -> Option<CertificateDer<'static>> {
        let order = self.order.lock().expect("no panic");
        order.certificate.as_ref().map(|(der, _)| der.clone())
    }

    async fn answer(&self, url: &str, request: Request<Body>) -> Response<String> {
        let path = request.uri().path().to_owned();
        let body = request.into_body().collect().await.expect("a body");
        let body: Value = serde_json::from_slice(&body.to_bytes()).unwrap_or_default();
        let part = |name: &str| -> Value {
            let text = body[name].as_str().unwrap_or_default();
            let json = BASE64URL_NOPAD.decode(text.as_bytes()).expect("base64url");
            serde_json::from_slice(&json).unwrap_or_default()
        };
        let mut order = self.order.lock().expect("no panic");
        let answer = match &*path {
            "/directory" => json!({
                "newNonce": format!("{url}/nonce"),
                "newAccount": format!("{url}/account"),
                "newOrder": format!("{url}/order"),
            }),
            "/account" => {
                let [x, y] = ["x", "y"].map(|name| part("protected")["jwk"][name].clone());
                let key = format!(r#"{{"crv":"P-256","kty":"EC","x":{x},"y":{y}}}"#);
                order.thumbprint = BASE64URL_NOPAD.encode(sha256(&key).as_ref());
                json!({"status": "valid"})
            }
            "/authorization" => json!({
                "status": if order.is_valid { "valid" } else { "pending" },
                "identifier": {"type": "dns", "value": self.name},
                "challenges": [self.challenge(url)],
            }),
            "/challenge" => {
                order.validations += 1;
                order.is_valid = self.is_passed(&order.thumbprint);
                self.challenge(url)
            }
            "/finalize" => {
                assert!(order.is_valid, "nothing is issued before the challenge");
                let csr = part("payload")["csr"].clone();
                order.certificate = Some(self.issue(csr.as_str().expect("a request")));
                order_json(url, &order)
            }
            "/certificate" => {
                let pem = order.certificate.as_ref().map(|(_, pem)| pem.clone());
                return Response::new(pem.expect("issued"));
            }
            "/order" => order_json(url, &order),
            // A nonce.
            _ => Value::Null,
        };
        // rustls-acme would wait for the body that `content-length` announces in the response to HEAD.
        let text = match answer {
            Value::Null => String::new(),
            answer => answer.to_string(),
        };
        Response::builder()
            .header(LOCATION, format!("{url}{path}"))
            .header("replay-nonce", "not checked")
            .body(text)
            .expect("valid fields")
    }

    fn challenge(&self, url: &str) -> Value {
        json!({
            "type": "tls-alpn-01",
            "status": "processing",
            "url": format!("{url}/challenge"),
            "token": TOKEN,
        })
    }

    /// RFC 8737 section 3: the checks of the authority, in the order of its list.
    fn is_passed(&self, thumbprint: &str) -> bool {
        let target = *self.target.get().expect("set before");
        let mut stream = connect(target, self.name, &[ACME_TLS_ALPN_NAME]).expect("a handshake");
        assert_eq!(stream.conn.alpn_protocol(), Some(ACME_TLS_ALPN_NAME));
        let shown = stream.conn.peer_certificates().expect("a certificate");
        assert_eq!(shown.len(), 1);
        let (_, certificate) = parse_x509_certificate(&shown[0]).expect("X.509");
        let names = certificate.subject_alternative_name().expect("one");
        let names = &names.expect("one").value.general_names;
        assert_eq!(format!("{names:?}"), format!("[DNSName({:?})]", self.name));
        // id-pe-acmeIdentifier, an OCTET STRING of 32 bytes in DER.
        let oid = Oid::from(&[1, 3, 6, 1, 5, 5, 7, 1, 31]).expect("an identifier");
        let extension = certificate.get_extension_unique(&oid).expect("one");
        let extension = extension.expect("one");
        assert!(extension.critical);
        let expected = sha256(&format!("{TOKEN}.{thumbprint}"));
        assert_eq!(extension.value, [&[4, 32], expected.as_ref()].concat());
        // The server closes in order, and sends nothing.
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).expect("close_notify");
        rest.is_empty()
    }

    fn issue(&self, csr: &str) -> (CertificateDer<'static>, String) {
        let der = BASE64URL_NOPAD.decode(csr.as_bytes()).expect("base64url");
        let csr = CertificateSigningRequestParams::from_der(&der.into()).expect("a request");
        let certificate = csr.signed_by(&self.issuer).expect("a certificate");
        (certificate.der().clone(), certificate.pem())
    }
}

fn order_json(url: &str, order: &Order) -> Value {
    let status = match (&order.certificate, order.is_valid) {
        (Some(_), _) => "valid",
        (None, true) => "ready",
        (None, false) => "pending",
    };
    json!({
        "status": status,
        "authorizations": [format!("{url}/authorization")],
        "finalize": format!("{url}/finalize"),
        "certificate": format!("{url}/certificate"),
    })
}

fn sha256(text: &str) -> Digest {
    digest(&SHA256, text.as_bytes())
}
