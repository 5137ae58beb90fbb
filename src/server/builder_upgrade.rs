//! The options of a server about requests that are upgraded.

use super::builder::Builder;

impl Builder {
    /// Sets whether requests can be upgraded to another protocol, such as WebSocket: by the field `upgrade`
    /// of HTTP/1.1 (RFC 9110 section 7.8) and by extended CONNECT of HTTP/2 (RFC 8441), which the server then
    /// announces by SETTINGS_ENABLE_CONNECT_PROTOCOL. Such a request has an [`Upgrade`](crate::Upgrade) among
    /// its extensions, and hyper's `OnUpgrade` for what is written for hyper. Default false: `upgrade` is
    /// ignored, and a request with `:protocol` is reset (`PROTOCOL_ERROR`).
    ///
    /// A handler that does not accept answers as usual. The field is ignored without `upgrade` in
    /// `connection`, in HTTP/1.0, in a request with a body, and if it names only `h2c`, which RFC 9113 section
    /// 3.1 has removed.
    #[cfg_attr(docsrs, doc(cfg(feature = "upgrade")))]
    pub fn upgrades(mut self, allowed: bool) -> Self {
        self.connection_options = self.connection_options.upgrades(allowed);
        self
    }

    /// Sets whether CONNECT without a protocol (RFC 9110 section 9.3.6), by which clients ask a proxy for a
    /// tunnel, is given to the service: as an [`Upgrade`](crate::Upgrade) whose protocol is empty, with the host
    /// and port of the tunnel as the authority of the request's URI. Default false: the server answers 405.
    ///
    /// A service that opens tunnels has to check who asks, and for what.
    #[cfg_attr(docsrs, doc(cfg(feature = "upgrade")))]
    pub fn connect(mut self, allowed: bool) -> Self {
        self.connection_options = self.connection_options.connect(allowed);
        self
    }
}
