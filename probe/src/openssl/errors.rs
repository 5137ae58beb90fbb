//! What OpenSSL's errors say about the server.

use std::io;

use ::openssl::{
    error::{Error as OpensslError, ErrorStack},
    ssl::Error as SslError,
    x509::X509VerifyResult,
};

use crate::{
    handshake::Failed,
    openssl_reasons::{Reason, classify, text},
};

/// OpenSSL's number for its TLS library.
const TLS_LIBRARY: i32 = 20;
/// The reason of a received alert is its number and this (`SSL_AD_REASON_OFFSET`).
const ALERTS: i32 = 1000;

/// `verified` is the result of the check of the server's certificate.
pub(super) fn failed(error: &SslError, verified: X509VerifyResult) -> Failed {
    let Some(stack) = error.ssl_error() else {
        // OpenSSL 1.1.1 has no reason for the end of the connection.
        return Failed::Closed;
    };
    match stack.errors().iter().find_map(alert) {
        Some(alert) => Failed::Alert(alert),
        None => {
            let found = (verified != X509VerifyResult::OK).then(|| verified.error_string());
            classify(&reasons(stack), found)
        }
    }
}

/// The error of a stream whose handshake is complete.
pub(super) fn failed_io(error: &io::Error) -> Failed {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    match inner {
        Some(error) => failed(error, X509VerifyResult::OK),
        None => Failed::Unknown(error.to_string()),
    }
}

/// The reasons, for an error that no server has caused.
pub(super) fn in_words(stack: &ErrorStack) -> String {
    text(&reasons(stack), None)
}

/// The alert that OpenSSL received. Under TLS 1.3 it may have been encrypted.
fn alert(error: &OpensslError) -> Option<u8> {
    let number = error.reason_code().checked_sub(ALERTS)?;
    (error.library_code() == TLS_LIBRARY)
        .then_some(number)?
        .try_into()
        .ok()
}

fn reasons(stack: &ErrorStack) -> Vec<Reason<'_>> {
    let errors = stack.errors().iter();
    errors
        .map(|error| Reason {
            function: error.function().unwrap_or_default(),
            text: error.reason().unwrap_or("an error without a text"),
        })
        .collect()
}
