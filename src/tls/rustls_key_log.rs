//! Writes the secrets of rustls to the key log.

use std::{fmt, sync::Arc};

use ::rustls::KeyLog;
use data_encoding::HEXLOWER;

use super::key_log;

/// rustls takes a key log that it can print.
pub(super) struct RustlsKeyLog(pub(super) Arc<key_log::KeyLog>);

impl KeyLog for RustlsKeyLog {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let [client_random, secret] = [client_random, secret].map(|bytes| HEXLOWER.encode(bytes));
        self.0
            .write_line(&format!("{label} {client_random} {secret}"));
    }

    /// The server accepts no early data, and other libraries leave its secret out then.
    fn will_log(&self, label: &str) -> bool {
        label != "CLIENT_EARLY_TRAFFIC_SECRET"
    }
}

impl fmt::Debug for RustlsKeyLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RustlsKeyLog")
    }
}
