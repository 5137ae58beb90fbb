//! Whether OpenSSL is restricted to FIPS algorithms.

/// The FIPS provider that all algorithms come from, by its name and version, such as `OpenSSL FIPS
/// Provider 3.0.8`. `None` if OpenSSL also has algorithms that FIPS forbids, even with the provider
/// loaded.
///
/// OpenSSL 1.1.1 has a FIPS mode instead, on systems whose vendor added it.
pub fn fips_provider() -> Option<String> {
    imp::fips_provider()
}

#[cfg(openssl_3)]
mod imp {
    use std::{
        ffi::{CStr, c_char, c_int, c_void},
        ptr,
    };

    use foreign_types::ForeignTypeRef;
    use openssl::md::{Md, MdRef};
    use openssl_sys::{EVP_MD, OSSL_PARAM, OSSL_PARAM_construct_end, OSSL_PROVIDER};

    unsafe extern "C" {
        fn EVP_MD_get0_provider(digest: *const EVP_MD) -> *const OSSL_PROVIDER;
        fn OSSL_PROVIDER_get_params(
            provider: *const OSSL_PROVIDER,
            parameters: *mut OSSL_PARAM,
        ) -> c_int;
    }

    pub(super) fn fips_provider() -> Option<String> {
        // No FIPS provider has MD5, and every other one of OpenSSL has.
        if Md::fetch(None, "MD5", None).is_ok() {
            return None;
        }
        let digest = Md::fetch(None, "SHA2-256", Some("fips=yes")).ok()?;
        let parameter = |name| parameter(&digest, name);
        Some(match (parameter(c"name"), parameter(c"version")) {
            (Some(name), Some(version)) => format!("{name} {version}"),
            (name, _) => name.unwrap_or_else(|| "without a name".into()),
        })
    }

    /// A text that the provider of a digest tells about itself.
    fn parameter(digest: &MdRef, name: &CStr) -> Option<String> {
        /// OSSL_PARAM_UTF8_PTR of openssl/core.h.
        const UTF8_PTR: u32 = 6;
        let mut text: *const c_char = ptr::null();
        let asked = OSSL_PARAM {
            key: name.as_ptr(),
            data_type: UTF8_PTR,
            data: ptr::from_mut(&mut text).cast::<c_void>(),
            data_size: 0,
            return_size: 0,
        };
        // SAFETY: it takes no argument and returns a value.
        let mut parameters = [asked, unsafe { OSSL_PARAM_construct_end() }];
        // SAFETY: the pointer is valid while `digest` is borrowed, which holds a reference to its
        // provider. The declarations are those of openssl/evp.h and openssl/provider.h. OpenSSL writes
        // to `text` and to the parameters, which live until the call returns.
        let known = unsafe {
            let provider = EVP_MD_get0_provider(digest.as_ptr());
            !provider.is_null() && OSSL_PROVIDER_get_params(provider, parameters.as_mut_ptr()) == 1
        };
        if !known || text.is_null() {
            return None;
        }
        // SAFETY: the provider has written the address of a string that ends with a zero, and keeps
        // the string while it is loaded.
        let text = unsafe { CStr::from_ptr(text) };
        text.to_str().ok().map(str::to_owned)
    }
}

#[cfg(not(openssl_3))]
mod imp {
    pub(super) fn fips_provider() -> Option<String> {
        openssl::fips::enabled().then(|| "the FIPS mode of OpenSSL 1.1.1".into())
    }
}
