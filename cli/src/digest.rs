//! SHA-256 by OpenSSL where the build has it, otherwise by crate sha2.

cfg_if::cfg_if! {
    if #[cfg(any(feature = "native-tls", feature = "openssl"))] {
        #[derive(Default)]
        pub(crate) struct Sha256(openssl::sha::Sha256);

        impl Sha256 {
            pub(crate) fn update(&mut self, data: &[u8]) {
                self.0.update(data);
            }

            pub(crate) fn finish(self) -> Option<[u8; 32]> {
                Some(self.0.finish())
            }
        }
    } else if #[cfg(feature = "rustls")] {
        use sha2::Digest;

        #[derive(Default)]
        pub(crate) struct Sha256(sha2::Sha256);

        impl Sha256 {
            pub(crate) fn update(&mut self, data: &[u8]) {
                self.0.update(data);
            }

            pub(crate) fn finish(self) -> Option<[u8; 32]> {
                Some(self.0.finalize().into())
            }
        }
    } else {
        /// A build without TLS has no crypto library, so there is no digest.
        #[derive(Default)]
        pub(crate) struct Sha256(());

        impl Sha256 {
            pub(crate) fn update(&mut self, _data: &[u8]) {}

            pub(crate) fn finish(self) -> Option<[u8; 32]> {
                None
            }
        }
    }
}
