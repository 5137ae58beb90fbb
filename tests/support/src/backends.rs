//! The list of backends that every backend test runs over.

use std::sync::Arc;

use corelane::{
    Error,
    tls::{Cleartext, TlsAcceptor, TlsConfig},
};

use crate::certs::identity;

/// A backend under test.
#[derive(Clone, Copy)]
pub struct Backend {
    pub name: &'static str,
    pub tls: bool,
    pub tls_1_3: bool,
    pub make: fn(&TlsConfig) -> Result<Arc<dyn TlsAcceptor>, Error>,
}

impl Backend {
    pub fn acceptor(&self) -> Arc<dyn TlsAcceptor> {
        (self.make)(&TlsConfig::new(identity())).expect("an acceptor")
    }
}

pub const NONE: Backend = Backend {
    name: "none",
    tls: false,
    tls_1_3: false,
    make: |_| Ok(Arc::new(Cleartext)),
};

#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
pub const RUSTLS: Backend = Backend {
    name: "rustls",
    tls: true,
    tls_1_3: true,
    make: |config| Ok(Arc::new(corelane::tls::RustlsAcceptor::new(config)?)),
};

#[cfg(feature = "native-tls")]
pub const NATIVE_TLS: Backend = Backend {
    name: "native-tls",
    tls: true,
    tls_1_3: false,
    make: |config| Ok(Arc::new(corelane::tls::NativeTlsAcceptor::new(config)?)),
};

#[cfg(feature = "openssl")]
pub const OPENSSL: Backend = Backend {
    name: "openssl",
    tls: true,
    tls_1_3: true,
    make: |config| Ok(Arc::new(corelane::tls::OpensslAcceptor::new(config)?)),
};

/// The first that is compiled in, [`NONE`] if no TLS library is: for tests of what does not depend on the backend.
pub const FIRST: Backend = [
    #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
    RUSTLS,
    #[cfg(feature = "native-tls")]
    NATIVE_TLS,
    #[cfg(feature = "openssl")]
    OPENSSL,
    NONE,
][0];

/// Runs test bodies, `fn(Backend)`, once for each TLS backend that is compiled in.
///
/// A new backend gets one line here.
#[macro_export]
macro_rules! for_each_tls_backend {
    ($($test:ident),* $(,)?) => {
        // Type-checks the bodies if no backend is compiled in.
        const _: &[fn($crate::Backend)] = &[$($test),*];
        #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
        $crate::backend_tests!(on_rustls, RUSTLS, $($test),*);
        #[cfg(feature = "native-tls")]
        $crate::backend_tests!(on_native_tls, NATIVE_TLS, $($test),*);
        #[cfg(feature = "openssl")]
        $crate::backend_tests!(on_openssl, OPENSSL, $($test),*);
    };
}

/// The same, and without TLS too.
#[macro_export]
macro_rules! for_each_backend {
    ($($test:ident),* $(,)?) => {
        $crate::for_each_tls_backend!($($test),*);
        $crate::backend_tests!(on_none, NONE, $($test),*);
    };
}

#[macro_export]
macro_rules! backend_tests {
    ($module:ident, $backend:ident, $($test:ident),*) => {
        mod $module {
            $(#[test]
            fn $test() {
                super::$test($crate::backends::$backend);
            })*
        }
    };
}
