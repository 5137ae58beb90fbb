use proptest::prelude::*;

use super::{reader::find, *};

const NAME: &str = "FILE";

fn block(label: &str, der: &[u8]) -> String {
    encode(label, der)
}

fn chain() -> String {
    block("CERTIFICATE", b"leaf") + &block("CERTIFICATE", b"intermediate")
}

fn ders(pem: impl AsRef<[u8]>) -> Vec<Vec<u8>> {
    certificates(pem.as_ref(), NAME).expect("certificates")
}

fn refusal(pem: impl AsRef<[u8]>) -> String {
    let error = certificates(pem.as_ref(), NAME).expect_err("refused");
    assert!(error.is_config());
    error.to_string()
}

#[test]
fn every_certificate_of_a_chain_is_read() {
    let chain = chain();
    let glued = chain.replace("-----\n-----", "----------");
    let short_lines = chain.replace("aW50ZX", "aW5\n 0ZX");
    let headed = chain.replace(
        "CERTIFICATE-----\nbGVh",
        "CERTIFICATE-----\nComment: a\n\nbGVh",
    );
    for pem in [
        chain.clone(),
        glued,
        short_lines,
        headed,
        chain.trim_end().to_owned(),
        chain.replace('\n', "\r\n"),
        chain.replace('\n', "\r"),
        chain.replace('\n', "\t\n"),
        chain.replace('\n', "\n\n"),
        format!("\u{feff}{chain}"),
        format!(
            "{}\u{feff}{}",
            block("CERTIFICATE", b"leaf"),
            block("CERTIFICATE", b"intermediate")
        ),
        format!("subject=CN = localhost\n{chain}----\ntext behind\n"),
        chain.replace("CERTIFICATE", "X509 CERTIFICATE"),
    ] {
        assert_eq!(ders(&pem), [&b"leaf"[..], b"intermediate"], "{pem:?}");
    }
    let with_key = block("EC PARAMETERS", b"P") + &block("PRIVATE KEY", b"key") + &chain;
    assert_eq!(ders(&with_key).len(), 2);
    assert!(private_key(with_key.as_bytes(), NAME).is_ok());
}

#[test]
fn malformed_pem_is_refused_with_its_line() {
    let chain = chain();
    let utf_16: Vec<u8> = chain.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let message = refusal(&utf_16);
    assert!(
        message.contains("FILE, line 1: the text is UTF-16"),
        "{message}"
    );
    for (pem, wanted) in [
        (
            chain.replace('\n', "\\n"),
            "line 1: the line breaks are lost",
        ),
        (
            chain.replace('\n', " "),
            "line 1: `-----BEGIN LABEL-----` is not followed",
        ),
        (
            chain[..chain.len() - 10].to_owned(),
            "line 6: a boundary is incomplete",
        ),
        (
            chain[..chain.len() - 35].to_owned(),
            "line 4: this block has no `-----END`",
        ),
        (
            chain.replacen("-----END CERTIFICATE-----\n", "", 1),
            "line 1: the next block begins",
        ),
        (
            chain.replacen("-----BEGIN CERTIFICATE-----\n", "", 1),
            "line 2: `-----END` without",
        ),
        (
            chain.replacen("END CERTIFICATE", "END X509 CRL", 1),
            "line 3: the label of `-----END`",
        ),
        (
            chain.replacen("BEGIN CERTIFICATE-----", "BEGIN CERTIFICATE", 1),
            "line 1: a boundary",
        ),
        (
            chain.replacen("-----BEGIN", "\"-----BEGIN", 1),
            "line 1: `-----BEGIN` is not at",
        ),
        (
            chain.replacen("-----BEGIN", "-----BEGlN", 1),
            "line 1: a boundary is incomplete",
        ),
        (
            chain.replacen("bGVh", "bG?h", 1),
            "line 2: the text of the block is not Base64",
        ),
        (
            chain.replacen("bGVh", "bGV", 1),
            "line 1: the text of the block is not Base64",
        ),
        (
            chain.replacen("bGVhZg==\n", "", 1),
            "line 1: this block is empty",
        ),
        (
            chain.clone() + &block("PKCS7", b"more"),
            "line 7: PKCS#7 is not supported",
        ),
        (
            chain.clone() + &block("TRUSTED CERTIFICATE", b"more"),
            "openssl x509 -in FILE",
        ),
        (
            chain.clone() + &block("CERTIFICATES", b"more"),
            "line 7: a block of another kind",
        ),
        (
            String::new(),
            "FILE contains no `-----BEGIN CERTIFICATE-----`: it is empty",
        ),
        ("text".into(), "it is not PEM"),
        (block("PUBLIC KEY", b"key"), "it contains a public key"),
    ] {
        let message = refusal(&pem);
        assert!(message.contains(wanted), "{message:?} for {pem:?}");
    }
}

#[test]
fn a_key_file_has_one_key_that_is_not_encrypted() {
    for (label, format) in [
        ("PRIVATE KEY", KeyFormat::Pkcs8),
        ("EC PRIVATE KEY", KeyFormat::Sec1),
        ("RSA PRIVATE KEY", KeyFormat::Pkcs1),
    ] {
        let pem = block("EC PARAMETERS", b"P") + &block(label, b"key") + &chain();
        let Ok(key) = private_key(pem.as_bytes(), NAME) else {
            panic!("a key")
        };
        assert!(key.format == format && key.der.expose() == b"key");
    }
    let refusal = |pem: String| match private_key(pem.as_bytes(), NAME) {
        Err(error) => error.to_string(),
        Ok(_) => panic!("{pem:?} is accepted"),
    };
    let key = block("PRIVATE KEY", b"key");
    assert!(refusal(key.clone() + &key).contains("line 4: a second private key"));
    assert!(
        refusal(block("ENCRYPTED PRIVATE KEY", b"key")).contains("line 1: the key is encrypted")
    );
    assert!(
        refusal(block("OPENSSH PRIVATE KEY", b"key")).contains("private key of DSA or OpenSSH")
    );
    assert!(refusal(chain()).contains("it contains a certificate"));
}

proptest! {
    /// However a key file is mangled, no message has eight characters of its Base64 in a row.
    #[test]
    fn no_byte_of_a_key_reaches_a_message(
        der in proptest::collection::vec(any::<u8>(), 32..128),
        at in any::<prop::sample::Index>(),
        length in 0usize..40,
        insert in proptest::sample::select(vec!["", "\\n", "\n", "-----", "-----END ", "-----BEGIN ", ":", "\u{feff}", "\0", " "]),
        line_end in proptest::sample::select(vec!["\n", "\\n", "\r", " ", ""]),
    ) {
        let base64 = BASE64.encode(&der);
        let mut pem = block("EC PRIVATE KEY", &der).replace('\n', line_end).into_bytes();
        let at = at.index(pem.len());
        let end = (at + length).min(pem.len());
        pem.splice(at..end, insert.bytes());
        let results = [
            private_key(&pem, NAME).map(drop),
            certificates(&pem, NAME).map(drop),
            revocation_lists(&pem, NAME).map(drop),
        ];
        for error in results.into_iter().filter_map(Result::err) {
            let message = crate::error::Chain(&error).to_string();
            let leaks = base64.as_bytes().windows(8).any(|part| find(message.as_bytes(), part).is_some());
            prop_assert!(!leaks, "{message}");
        }
    }

    #[test]
    fn what_is_encoded_is_read(ders in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..300), 1..5)) {
        let pem: String = ders.iter().map(|der| encode("CERTIFICATE", der)).collect();
        prop_assert_eq!(certificates(pem.as_bytes(), NAME).expect("certificates"), ders);
    }

    #[test]
    fn any_bytes_are_read_or_refused(pem in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = certificates(&pem, NAME);
        let _ = private_key(&pem, NAME);
    }
}
