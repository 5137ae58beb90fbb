//! Tests `TlsConfig::rustls` and `TlsConfig::openssl`, which change what the other options made.
#![cfg(any(feature = "rustls", feature = "openssl"))]

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex},
};

use corelane::{
    Error, ProtocolName,
    tls::{TlsAcceptor, TlsConfig},
};
use corelane_test_support::{
    Backend,
    certs::identity,
    client::{Tls, rustls_config},
    for_each_tls_backend,
    reporter::Reporter,
};

for_each_tls_backend!(
    change_applies_to_its_backend_and_loses_nothing,
    changes_apply_in_order_after_all_options,
    early_data_is_an_error,
    panic_of_a_change_reaches_the_caller,
);

/// The backends that called a change, in order.
type Calls = Arc<Mutex<Vec<&'static str>>>;

/// Turns the tickets of TLS 1.3 off.
fn without_tickets(config: TlsConfig, calls: &Calls) -> TlsConfig {
    #[cfg(feature = "rustls")]
    let config = config.rustls({
        let calls = Arc::clone(calls);
        move |rustls| {
            calls.lock().expect("whole").push("rustls");
            assert_eq!(rustls.send_tls13_tickets, 2);
            rustls.send_tls13_tickets = 0;
        }
    });
    #[cfg(feature = "openssl")]
    let config = config.openssl({
        let calls = Arc::clone(calls);
        move |context| {
            calls.lock().expect("whole").push("openssl");
            context.set_num_tickets(0)
        }
    });
    config
}

fn change_applies_to_its_backend_and_loses_nothing(backend: Backend) {
    let calls = Calls::default();
    let config = without_tickets(TlsConfig::new(identity()), &calls);
    let acceptor = (backend.make)(&config).expect("an acceptor");
    acceptor.check().expect("a server can use it");
    let changed = backend.name != "native-tls";
    let called = [backend.name];
    assert_eq!(
        *calls.lock().expect("whole"),
        &called[usize::from(!changed)..]
    );
    let server = Reporter::start(acceptor);
    for &tls in Tls::of(backend) {
        let client = rustls_config(tls, &[b"h2"]);
        for again in [false, true] {
            let mut tls_client = server.rustls(&client);
            let negotiated = server.ask(&mut tls_client).expect("served");
            assert_eq!(negotiated.alpn_protocol, Some(ProtocolName::H2));
            let resumes = tls == Tls::V1_2;
            assert_eq!(negotiated.resumed, Some(again && resumes), "{tls:?}");
        }
    }
}

fn changes_apply_in_order_after_all_options(backend: Backend) {
    let order: Arc<Mutex<Vec<u8>>> = Arc::default();
    let mut config = TlsConfig::new(identity());
    for number in [1, 2] {
        let push = {
            let order = Arc::clone(&order);
            move || order.lock().expect("whole").push(number)
        };
        #[cfg(feature = "rustls")]
        {
            let push = push.clone();
            config = config.rustls(move |_| push());
        }
        #[cfg(feature = "openssl")]
        {
            config = config.openssl(move |_| {
                push();
                Ok(())
            });
        }
    }
    // Set after the changes were given, and not lost.
    config = config.session_resumption(true);
    (backend.make)(&config).expect("an acceptor");
    let expected: &[u8] = if backend.name == "native-tls" {
        &[]
    } else {
        &[1, 2]
    };
    assert_eq!(*order.lock().expect("whole"), expected);
}

fn early_data_is_an_error(backend: Backend) {
    let config = TlsConfig::new(identity());
    #[cfg(feature = "rustls")]
    let config = config.rustls(|rustls| rustls.max_early_data_size = 1024);
    #[cfg(feature = "openssl")]
    let config = config.openssl(|context| context.set_max_early_data(1024));
    if let Some(error) = refusal(backend, &config) {
        assert!(error.is_unsupported(), "{error}");
        assert!(error.to_string().contains("early data"), "{error}");
        assert!(error.to_string().contains("1024"), "{error}");
    }
}

/// The error of the constructor; `None` for a backend that has no changes.
fn refusal(backend: Backend, config: &TlsConfig) -> Option<Error> {
    let error = (backend.make)(config).err();
    assert_eq!(error.is_some(), backend.name != "native-tls");
    error
}

fn panic_of_a_change_reaches_the_caller(backend: Backend) {
    let config = TlsConfig::new(identity());
    #[cfg(feature = "rustls")]
    let config = config.rustls(|_| panic!("not like this"));
    #[cfg(feature = "openssl")]
    let config = config.openssl(|_| panic!("not like this"));
    let made = catch_unwind(AssertUnwindSafe(|| (backend.make)(&config).is_ok()));
    match made {
        Ok(made) => assert!(made && backend.name == "native-tls"),
        Err(panic) => assert_eq!(panic.downcast_ref(), Some(&"not like this")),
    }
}

#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod rustls {
    use corelane::tls::{NamedGroup, RustlsAcceptor};
    use corelane_test_support::backends::RUSTLS;

    use super::*;

    #[test]
    fn replaced_first_protocol_is_an_error() {
        for protocols in [vec![], vec![b"http/1.1".to_vec(), b"h2".to_vec()]] {
            let config = TlsConfig::new(identity());
            let config = config.rustls(move |rustls| rustls.alpn_protocols = protocols.clone());
            let error = refusal(RUSTLS, &config).expect("another protocol");
            assert!(error.is_config(), "{error}");
            assert!(error.to_string().contains("alpn_protocols"), "{error}");
        }
        let config = TlsConfig::new(identity());
        let config = config.rustls(|rustls| rustls.alpn_protocols.push(b"more".to_vec()));
        let acceptor = RustlsAcceptor::new(&config).expect("h2 is the first");
        assert_eq!(acceptor.alpn_protocols().map(|names| names.len()), Some(2));
    }

    #[test]
    fn each_group_has_a_changed_configuration() {
        let calls = Calls::default();
        let config = TlsConfig::new(identity()).groups([NamedGroup::SECP256R1, NamedGroup::X25519]);
        let config = without_tickets(config, &calls);
        let server = Reporter::start((RUSTLS.make)(&config).expect("an acceptor"));
        assert_eq!(*calls.lock().expect("whole"), ["rustls"; 3]);
        let client = rustls_config(Tls::V1_3, &[b"h2"]);
        for _ in 0..2 {
            let negotiated = server.ask(server.rustls(&client)).expect("served");
            assert_eq!(negotiated.resumed, Some(false));
        }
    }
}

#[cfg(feature = "openssl")]
mod openssl {
    use corelane::{
        Chain,
        openssl::{
            error::ErrorStack,
            ssl::{AlpnError, SslVersion},
        },
    };
    use corelane_test_support::backends::OPENSSL;

    use super::*;

    #[test]
    fn error_of_a_change_is_one_of_the_configuration() {
        let config = TlsConfig::new(identity());
        let config = config.openssl(|context| context.set_cipher_list("no such suite"));
        let error = refusal(OPENSSL, &config).expect("it failed");
        assert!(error.is_config(), "{error}");
        let text = Chain(&error).to_string();
        assert!(text.contains("TlsConfig::openssl"), "{text}");
        assert!(text.contains("no cipher match"), "{text}");
    }

    #[test]
    fn lowered_minimum_version_is_an_error() {
        for version in [Some(SslVersion::TLS1_1), None] {
            let config = TlsConfig::new(identity());
            let config = config.openssl(move |context| context.set_min_proto_version(version));
            let error = refusal(OPENSSL, &config).expect("too low");
            assert!(error.is_config(), "{error}");
            assert!(error.to_string().contains("min_version"), "{error}");
        }
        let config = TlsConfig::new(identity());
        let config =
            config.openssl(|context| context.set_min_proto_version(Some(SslVersion::TLS1_3)));
        let server = Reporter::start((OPENSSL.make)(&config).expect("a higher one"));
        let old = server.rustls(&rustls_config(Tls::V1_2, &[b"h2"]));
        assert!(server.ask(old).is_err());
        let new = server.rustls(&rustls_config(Tls::V1_3, &[b"h2"]));
        server.ask(new).expect("served");
    }

    #[test]
    fn alpn_stays_that_of_the_configuration() {
        let config = TlsConfig::new(identity());
        let config = config.openssl(|context| {
            context.set_alpn_select_callback(|_, _| Err(AlpnError::NOACK));
            Ok::<(), ErrorStack>(())
        });
        let server = Reporter::start((OPENSSL.make)(&config).expect("an acceptor"));
        let client = server.rustls(&rustls_config(Tls::V1_3, &[b"h2"]));
        let negotiated = server.ask(client).expect("served");
        assert_eq!(negotiated.alpn_protocol, Some(ProtocolName::H2));
    }
}
