//! Describes the result of a client's handshake.

use corelane::ConnectionInfo;

/// Names and values, to be shown as text or as a page.
pub(crate) fn negotiated(connection: &ConnectionInfo) -> [(&'static str, String); 8] {
    fn or_none(value: &Option<impl ToString>) -> String {
        value.as_ref().map_or("none".into(), ToString::to_string)
    }
    let negotiated = &connection.negotiated;
    let resumed = negotiated
        .resumed
        .map(|resumed| if resumed { "yes" } else { "no" });
    [
        ("protocol", "HTTP/2".into()),
        ("alpn", or_none(&negotiated.alpn_protocol)),
        ("tls version", or_none(&negotiated.tls_version)),
        ("cipher suite", or_none(&negotiated.cipher_suite)),
        ("server name", or_none(&negotiated.server_name)),
        ("resumed", or_none(&resumed)),
        ("backend", connection.backend.into()),
        ("worker", connection.worker.to_string()),
    ]
}
