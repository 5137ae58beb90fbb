//! Finds the content of a file in the place of its name: `--key "$(cat key.pem)"`. It may be a secret,
//! so no message, clap's among them, may show it.

use std::ffi::OsStr;

use toml::de::DeValue;

const ADVICE: &str = "a file name is expected, this is the content of a file (PEM or a ticket key): \
                      write it to a file and pass the name of the file";

/// Checks an argument, `--flag=value` too, or the value of a variable.
pub(super) fn check(value: &OsStr) -> Result<(), String> {
    /// Hexadecimal digits of a ticket key.
    const TICKET_KEY: usize = 64;
    let text = value.to_string_lossy();
    let is_ticket_key =
        |word: &str| word.len() >= TICKET_KEY && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric());
    match text.contains("-----BEGIN ") || words.any(is_ticket_key) {
        true => Err(ADVICE.into()),
        false => Ok(()),
    }
}

/// Checks a value of the configuration file.
pub(super) fn check_toml(value: &DeValue<'_>) -> Result<(), String> {
    match value {
        DeValue::String(text) => check(OsStr::new(text.as_ref())),
        DeValue::Array(values) => values
            .iter()
            .try_for_each(|value| check_toml(value.get_ref())),
        _ => Ok(()),
    }
}
