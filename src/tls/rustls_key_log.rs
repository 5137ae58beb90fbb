//! Writes the secrets of rustls to the key log.

use std::sync::Arc;

use ::rustls::KeyLog;
use data_encoding::HEXLOWER;

use super::key_log;

#[derive(Debug)]
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
