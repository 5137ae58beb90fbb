//! The rules: which package may use which, and what each file of a package may import.
//! CONTRIBUTING.md has them as a table.

/// Modules of `src/` that import nothing but each other.
pub const LEAVES: &[&str] = &[
    "alert",
    "alpn",
    "buffer",
    "closing",
    "config",
    "connection_info",
    "counters",
    "error",
    "file",
    "grpc",
    "negotiated",
    "scratch",
    "time",
];

/// The files of a package with a common rule. A file's layer is the first one whose path its own path
/// below `src/` begins with.
pub struct Layer {
    pub path: &'static str,
    /// Modules that the layer may import beside the leaves. `name*` means all whose path begins so.
    pub modules: &'static [&'static str],
    /// Crates, or single items of a crate.
    pub crates: &'static [&'static str],
}

/// Crates that every layer may use.
pub const VOCABULARY: &[&str] = &["bytes", "cfg_if", "tracing"];

const LAYERS: &[Layer] = &[
    Layer {
        path: "tls/rustls.rs",
        modules: &["tls::*"],
        crates: &["rustls"],
    },
    Layer {
        path: "tls/rustls_config.rs",
        modules: &["tls::*"],
        crates: &["rustls"],
    },
    Layer {
        path: "tls/rustls_identity.rs",
        modules: &["tls::*"],
        crates: &["rustls"],
    },
    Layer {
        path: "tls/rustls_key_log.rs",
        modules: &["tls::*"],
        crates: &["data_encoding", "rustls"],
    },
    Layer {
        path: "tls/client_verifier.rs",
        modules: &["tls::*"],
        crates: &["rustls"],
    },
    Layer {
        path: "tls/tickets/mod.rs",
        modules: &["tls::*"],
        crates: &["aws_lc_rs", "ring"],
    },
    // It re-exports them.
    Layer {
        path: "tls/mod.rs",
        modules: &["tls::*"],
        crates: &["native_tls", "openssl_ticket_keys::openssl", "rustls"],
    },
    Layer {
        path: "tls/tickets/",
        modules: &["tls::*"],
        crates: &["rustls"],
    },
    Layer {
        path: "tls/native_identity.rs",
        modules: &["tls::*"],
        crates: &["native_tls"],
    },
    Layer {
        path: "tls/native_tls.rs",
        modules: &["tls::*"],
        crates: &["native_tls", "openssl"],
    },
    Layer {
        path: "tls/openssl/",
        modules: &["tls::*"],
        crates: &["openssl_ticket_keys"],
    },
    Layer {
        path: "tls/pkcs12.rs",
        modules: &["tls::*"],
        crates: &["openssl", "openssl_ticket_keys::openssl"],
    },
    Layer {
        path: "tls/self_handshake.rs",
        modules: &["tls::*"],
        crates: &["openssl", "openssl_ticket_keys::openssl"],
    },
    Layer {
        path: "tls/pkcs8.rs",
        modules: &["tls::*"],
        crates: &["openssl"],
    },
    Layer {
        path: "tls/rustls_stapling.rs",
        modules: &["tls::*"],
        crates: &["rustls"],
    },
    Layer {
        path: "tls/hash.rs",
        modules: &["tls::*"],
        crates: &[
            "aws_lc_rs",
            "openssl",
            "openssl_ticket_keys::openssl",
            "ring",
        ],
    },
    Layer {
        path: "tls/ocsp.rs",
        modules: &["tls::*"],
        crates: &["der", "x509_ocsp"],
    },
    Layer {
        path: "tls/key_log.rs",
        modules: &["tls::*"],
        crates: &["nix"],
    },
    Layer {
        path: "tls/pem",
        modules: &["tls::*"],
        crates: &["data_encoding"],
    },
    Layer {
        path: "tls/certificate",
        modules: &["tls::*"],
        crates: &["x509_parser"],
    },
    Layer {
        path: "tls/",
        modules: &["tls::*"],
        crates: &["tls_parser"],
    },
    Layer {
        path: "io/",
        modules: &["io::*", "tls::session", "tls::client_hello*"],
        crates: &["ppp", "tokio"],
    },
    Layer {
        path: "schedule/",
        modules: &["schedule::*"],
        crates: &[],
    },
    Layer {
        path: "http2_engine/crate_h2/",
        modules: &["http2_engine::*"],
        crates: &["h2", "http", "http_body", "tokio"],
    },
    Layer {
        path: "http2_engine/own/",
        modules: &["http2_engine::*"],
        crates: &["corelane_http2", "http", "http_body", "tokio", "tokio_util"],
    },
    Layer {
        path: "http2_engine/",
        modules: &["http2_engine::*"],
        crates: &["http", "http_body", "tokio"],
    },
    Layer {
        path: "body/",
        modules: &[
            "body::*",
            "http2_engine::RequestStream",
            "response::remove_framing",
        ],
        crates: &[
            "futures_util",
            "http",
            "http_body",
            "hyper::body::Incoming",
            "hyper::Error",
        ],
    },
    Layer {
        path: "response/",
        modules: &["response::*"],
        crates: &["http", "httpdate"],
    },
    Layer {
        path: "upgrade/",
        modules: &["upgrade::*"],
        crates: &[
            "futures_util",
            "http",
            "hyper",
            "hyper_util",
            "tokio",
            "tokio_util",
        ],
    },
    Layer {
        path: "http1/",
        modules: &[
            "http1::*",
            "body::*",
            "response::*",
            "schedule::*",
            "service",
            "upgrade",
            "upgrade::*",
        ],
        crates: &[
            "http",
            "http_body",
            "hyper",
            "hyper_util",
            "pin_project_lite",
            "tokio",
        ],
    },
    Layer {
        path: "http2/",
        modules: &[
            "http2::*",
            "body::*",
            "http2_engine",
            "response::*",
            "schedule::*",
            "service",
            "upgrade",
            "upgrade::*",
        ],
        crates: &["http", "http_body", "pin_project_lite", "tokio"],
    },
    Layer {
        path: "service.rs",
        modules: &["body::Body"],
        crates: &["http", "http_body", "tower_service"],
    },
    // A layer of tower, which needs the workers' clock.
    Layer {
        path: "server/grpc_timeout.rs",
        modules: &["server::runtime"],
        crates: &["http", "http_body", "pin_project_lite", "tower_service"],
    },
    Layer {
        path: "server/",
        modules: &[
            "server::*",
            "http1",
            "http1::*",
            "http2",
            "http2::*",
            "io",
            "io::*",
            "schedule::YieldQueue",
            "service",
            "tls::TlsAcceptor",
            "upgrade::Policy",
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
    Layer {
        path: "file.rs",
        modules: &[],
        crates: &["nix"],
    },
    Layer {
        path: "grpc.rs",
        modules: &[],
        crates: &["http"],
    },
    Layer {
        path: "negotiated.rs",
        modules: &[],
        crates: &["http::Extensions", "tls_parser"],
    },
    // The leaves.
    Layer {
        path: "",
        modules: &[],
        crates: &["tls_parser"],
    },
];

/// The prober. Only the reports know of formats, and only the files of one client know its TLS library.
const PROBE: &[Layer] = &[
    Layer {
        path: "rustls/errors.rs",
        modules: &["handshake"],
        crates: &["rustls", "monoio_rustls"],
    },
    Layer {
        path: "rustls.rs",
        modules: &["*"],
        crates: &[
            "rustls",
            "rustls_native_certs",
            "monoio_rustls",
            "corelane::tls::TlsVersion",
        ],
    },
    Layer {
        path: "openssl/",
        modules: &[
            "openssl::*",
            "handshake",
            "openssl_reasons",
            "recorder",
            "stream",
        ],
        crates: &["openssl"],
    },
    Layer {
        path: "openssl.rs",
        modules: &["*"],
        crates: &["openssl", "openssl_probe", "corelane::tls::TlsVersion"],
    },
    Layer {
        path: "native_tls.rs",
        modules: &["*"],
        crates: &[
            "native_tls",
            "monoio_native_tls",
            "corelane::tls::TlsVersion",
        ],
    },
    Layer {
        path: "formats/",
        modules: &["*"],
        crates: &["anstyle", "quick_junit", "serde", "serde_json"],
    },
    Layer {
        path: "",
        modules: &["*"],
        crates: &[
            "monoio",
            "h2",
            "http",
            "tokio",
            "tls_parser",
            "corelane::AlertDescription",
            "corelane::ProtocolName",
            "corelane::TlsVersion",
            "corelane::tls::CipherSuite",
            "corelane::tls::NamedGroup",
            "corelane::tls::TlsVersion",
        ],
    },
];

/// The engine of HTTP/2: compression knows of nothing else.
const HTTP2: &[Layer] = &[
    Layer {
        path: "hpack/",
        modules: &["hpack::*"],
        crates: &["http"],
    },
    Layer {
        path: "",
        modules: &["*"],
        crates: &["http"],
    },
];

/// A package of this repository.
pub struct Package {
    pub folder: &'static str,
    /// The other packages of this repository that its code may use, not its tests.
    pub may_use: &'static [&'static str],
    /// Crates that it may not use.
    pub never: &'static [&'static str],
    /// The rules of its files; none if all may import the same.
    pub layers: &'static [Layer],
}

/// The only package with unsafe code.
pub const UNSAFE: &str = "openssl-ticket-keys";

pub const PACKAGES: &[Package] = &[
    Package {
        folder: "",
        may_use: &["openssl_ticket_keys", "corelane_http2"],
        never: &["clap"],
        layers: LAYERS,
    },
    Package {
        folder: UNSAFE,
        may_use: &[],
        never: &["clap"],
        layers: &[],
    },
    Package {
        folder: "probe",
        may_use: &["corelane"],
        never: &["clap"],
        layers: PROBE,
    },
    Package {
        folder: "ops",
        may_use: &["corelane"],
        never: &["clap", "h2", "native_tls", "openssl", "rustls"],
        layers: &[],
    },
    Package {
        folder: "gateway",
        may_use: &["corelane"],
        never: &["clap", "h2", "native_tls", "openssl", "rustls"],
        layers: &[],
    },
    // It has no I/O, no runtime and no clock.
    Package {
        folder: "http2",
        may_use: &[],
        never: &["clap", "h2", "monoio", "tokio"],
        layers: HTTP2,
    },
    Package {
        folder: "cli",
        may_use: &[
            "corelane",
            "corelane_gateway",
            "corelane_ops",
            "corelane_probe",
        ],
        never: &["h2"],
        layers: &[],
    },
    Package {
        folder: "bench",
        may_use: &["corelane", "corelane_test_frames", "corelane_test_support"],
        never: &["monoio"],
        layers: &[],
    },
    Package {
        folder: "bench/peers",
        may_use: &["bench_peers", "corelane", "corelane_http2"],
        never: &["monoio"],
        layers: &[],
    },
    Package {
        folder: "backends/boring",
        may_use: &["corelane"],
        never: &["clap", "h2", "monoio", "native_tls", "openssl", "rustls"],
        layers: &[],
    },
    Package {
        folder: "examples/acme",
        may_use: &["corelane"],
        never: &["clap", "h2", "monoio"],
        layers: &[],
    },
    Package {
        folder: "examples/rustls-openssl",
        may_use: &["corelane"],
        never: &["clap", "h2", "monoio"],
        layers: &[],
    },
    Package {
        folder: "fuzz",
        may_use: &[
            "corelane",
            "corelane_backend_tests",
            "corelane_fuzz",
            "corelane_http2",
            "corelane_probe",
            "corelane_test_frames",
            "corelane_test_support",
        ],
        never: &["clap"],
        layers: &[],
    },
    // Applications know no server.
    Package {
        folder: "tests/applications",
        may_use: &[],
        never: &["corelane"],
        layers: &[],
    },
    // It would clash with the library of a backend under test.
    Package {
        folder: "backend-tests",
        may_use: &["corelane"],
        never: &["clap", "native_tls", "openssl"],
        layers: &[],
    },
    Package {
        folder: "tests/frames",
        may_use: &[],
        never: &["h2"],
        layers: &[],
    },
    Package {
        folder: "tests/support",
        may_use: &[
            "corelane",
            "corelane_backend_tests",
            "corelane_probe",
            "corelane_test_frames",
        ],
        never: &["clap"],
        layers: &[],
    },
];
