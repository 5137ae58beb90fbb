//! The rules: what each part of `src/` may import, and which crate may use which.
//! CONTRIBUTING.md has the same as a table.

/// Modules that import nothing but each other.
pub const LEAVES: &[&str] = &[
    "alert",
    "alpn",
    "buffer",
    "config",
    "connection_info",
    "counters",
    "error",
    "negotiated",
    "scratch",
    "time",
];

/// A layer of `src/`. The first one whose path is a prefix of the file's is the file's.
pub struct Layer {
    pub path: &'static str,
    /// Modules that the layer may import beside the leaves. `name::*` means everything below `name`.
    pub modules: &'static [&'static str],
    pub crates: &'static [&'static str],
}

/// Crates that every layer may use.
pub const VOCABULARY: &[&str] = &["bytes", "cfg_if", "tracing"];

pub const LAYERS: &[Layer] = &[
    Layer {
        path: "tls/rustls.rs",
        modules: &["tls::*"],
        crates: &["rustls"],
    },
    Layer {
        path: "tls/client_verifier.rs",
        modules: &["tls::*"],
        crates: &["rustls"],
    },
    Layer {
        path: "tls/session_age.rs",
        modules: &["tls::*"],
        crates: &["rustls"],
    },
    Layer {
        path: "tls/tickets.rs",
        modules: &["tls::*"],
        crates: &["rustls"],
    },
    Layer {
        path: "tls/no_tickets.rs",
        modules: &["tls::*"],
        crates: &["rustls"],
    },
    // The provider that seals tickets is chosen there.
    Layer {
        path: "tls/mod.rs",
        modules: &["tls::*"],
        crates: &["aws_lc_rs", "ring"],
    },
    Layer {
        path: "tls/native_tls.rs",
        modules: &["tls::*"],
        crates: &["native_tls", "openssl"],
    },
    Layer {
        path: "tls/certificate.rs",
        modules: &["tls::*"],
        crates: &["x509_parser"],
    },
    Layer {
        path: "tls/",
        modules: &["tls::*"],
        crates: &["tls_parser"],
    },
    Layer {
        path: "probe/rustls.rs",
        modules: &["probe::*", "tls::crypto_provider"],
        crates: &["rustls", "rustls_native_certs", "monoio_rustls"],
    },
    Layer {
        path: "probe/native_tls.rs",
        modules: &["probe::*"],
        crates: &["native_tls", "monoio_native_tls"],
    },
    Layer {
        path: "probe/",
        modules: &["probe::*", "tls::server_hello", "tls::client_hello"],
        crates: &["monoio", "h2", "http", "tokio", "tls_parser"],
    },
    Layer {
        path: "io/",
        modules: &["io::*", "tls::session", "tls::client_hello"],
        crates: &["ppp", "tokio"],
    },
    Layer {
        path: "http2/",
        modules: &["http2::*", "service"],
        crates: &[
            "h2",
            "http",
            "http_body",
            "httpdate",
            "futures_util",
            "futures_channel",
            "pin_project_lite",
            "tokio",
        ],
    },
    Layer {
        path: "service.rs",
        modules: &["http2::Body"],
        crates: &["http", "http_body", "tower_service"],
    },
    Layer {
        path: "server/",
        modules: &[
            "server::*",
            "http2",
            "http2::*",
            "io",
            "io::*",
            "service",
            "tls::TlsAcceptor",
        ],
        crates: &[
            "monoio",
            "tokio",
            "tokio_util",
            "futures_util",
            "socket2",
            "arc_swap",
            "ipnet",
            "core_affinity",
            "rlimit",
            "slab",
            "procfs",
            "io_uring",
            "nix",
        ],
    },
    Layer {
        path: "metrics.rs",
        modules: &["server::*"],
        crates: &["metrics"],
    },
    // The leaves.
    Layer {
        path: "",
        modules: &[],
        crates: &["tls_parser", "h2"],
    },
];

/// A package of this repository, and the other packages that its code may use. Tests may use more.
pub struct Package {
    pub folder: &'static str,
    pub may_use: &'static [Use],
    /// Crates that only some files may use, with the beginning of their path below `src/`.
    pub confined: &'static [(&'static str, &'static str)],
    /// Crates that the package may not use.
    pub never: &'static [&'static str],
}

pub enum Use {
    Crate(&'static str),
    /// Only these names of `corelane`.
    Only(&'static [&'static str]),
}

pub const PACKAGES: &[Package] = &[
    Package {
        folder: "",
        may_use: &[],
        confined: &[],
        never: &["clap"],
    },
    Package {
        folder: "probe",
        may_use: &[Use::Only(&[
            "AlertDescription",
            "ProtocolName",
            "TlsVersion",
        ])],
        confined: &[
            ("rustls", "rustls"),
            ("rustls_native_certs", "rustls"),
            ("monoio_rustls", "rustls"),
            ("native_tls", "native_tls"),
            ("monoio_native_tls", "native_tls"),
        ],
        never: &["clap"],
    },
    Package {
        folder: "ops",
        may_use: &[Use::Crate("corelane")],
        confined: &[],
        never: &["clap", "h2", "native_tls", "openssl", "rustls"],
    },
    Package {
        folder: "cli",
        may_use: &[
            Use::Crate("corelane"),
            Use::Crate("corelane_ops"),
            Use::Crate("corelane_probe"),
        ],
        confined: &[],
        never: &["h2"],
    },
    Package {
        folder: "bench",
        may_use: &[Use::Crate("corelane"), Use::Crate("corelane_test_support")],
        confined: &[],
        never: &["monoio"],
    },
    Package {
        folder: "bench/peers",
        may_use: &[Use::Crate("corelane"), Use::Crate("bench_peers")],
        confined: &[("corelane", "bin/corelane.rs")],
        never: &["h2", "monoio"],
    },
    Package {
        folder: "fuzz",
        may_use: &[
            Use::Crate("corelane"),
            Use::Crate("corelane_fuzz"),
            Use::Crate("corelane_probe"),
            Use::Crate("corelane_test_support"),
        ],
        confined: &[],
        never: &["clap"],
    },
    Package {
        folder: "tests/support",
        may_use: &[Use::Crate("corelane"), Use::Crate("corelane_probe")],
        confined: &[],
        never: &["clap"],
    },
];
