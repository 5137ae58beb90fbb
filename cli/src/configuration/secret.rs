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
    // Whole words only: a path may go through the id of a container, which looks like a ticket key.
    let mut words = text.split(|c: char| c.is_whitespace() || matches!(c, ',' | '='));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_are_found_and_paths_are_not() {
        let key = "0123456789abcdef".repeat(4);
        let is_content = |text: &str| check(OsStr::new(text)).is_err();
        for content in [
            key.clone(),
            format!("--ticket-keys={key}"),
            format!("{key}\n{key}\n"),
            "-----BEGIN PRIVATE KEY-----\n".into(),
        ] {
            assert!(is_content(&content), "{content}");
        }
        for path in [
            format!("/var/lib/docker/containers/{key}/cert.pem"),
            format!("--pid-file=/run/{key}/corelane.pid"),
            format!("{key}.keys"),
            "key.pem".into(),
        ] {
            assert!(!is_content(&path), "{path}");
        }
    }
}
