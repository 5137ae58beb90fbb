//! The keys that seal session tickets: their sources, their rotation and their lifetime.

use std::{
    fmt,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::{error::Error, tls::identity::read};

/// The keys that seal session tickets (RFC 8446 section 4.6.1, RFC 5077 section 4), and how long a
/// session may be resumed.
///
/// Acceptors with the same keys resume each other's sessions: after a restart, after a reload, on
/// another host. The first key seals tickets and all keys open them, so that keys can change while
/// clients hold tickets.
///
/// A file, or text in memory, has one key per line: the current one, then the previous one, then the
/// next one. The last two are optional. A key is 64 hexadecimal digits, as `openssl rand -hex 32`
/// prints them. `#` starts a comment.
///
/// An attacker with a key can open the tickets that it sealed, and can pose as the server to the
/// clients that hold them. Under TLS 1.2 the attacker can also decrypt recorded sessions that issued
/// or offered such a ticket. Change keys regularly, and before a key has sealed 2^32 tickets: the
/// nonces of AES-256-GCM are random and may repeat from then on (NIST SP 800-38D section 8.3). rustls
/// sends two tickets per full handshake.
///
/// A ticket can be used more than once: the server keeps no record of used tickets. It accepts no
/// early data (0-RTT), which such a replay would affect.
///
/// ```no_run
/// use std::time::Duration;
///
/// use corelane::tls::{Identity, TicketKeys, TlsConfig};
///
/// # fn main() -> Result<(), corelane::Error> {
/// let keys = TicketKeys::from_file("ticket.keys")?;
/// let identity = Identity::from_pem_files("cert.pem", "key.pem")?;
/// let config = TlsConfig::new(identity).ticket_keys(keys.lifetime(Duration::from_secs(3600))?);
/// # let _ = config;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct TicketKeys {
    source: Source,
    pub(crate) lifetime: Duration,
}

/// A key of 256 bits.
pub(in crate::tls) type TicketKey = [u8; 32];

#[derive(Clone)]
enum Source {
    Given(Arc<[TicketKey]>),
    Random(Arc<Mutex<Rotation>>),
}

impl TicketKeys {
    /// The default of [`lifetime`](Self::lifetime): 12 hours, so that clients resume within a working
    /// day, and random keys are forgotten after one.
    pub const LIFETIME: Duration = Duration::from_secs(12 * 3600);

    /// The maximum of [`lifetime`](Self::lifetime): 7 days (RFC 8446 section 4.6.1).
    pub const MAX_LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);

    /// Reads the keys from a file. Logs a warning if every user of the machine can open it.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or does not contain one to three different keys
    /// ([`Error::is_config`]).
    pub fn from_file(file: impl AsRef<Path>) -> Result<Self, Error> {
        let file = file.as_ref();
        let text = read(file)?;
        warn_if_readable_by_all(file);
        Self::parse(&text, &file.display().to_string())
    }

    /// Reads the keys from the text of such a file. Keys may also be separated by spaces.
    ///
    /// # Errors
    ///
    /// When the text does not contain one to three different keys ([`Error::is_config`]).
    pub fn from_text(text: impl AsRef<[u8]>) -> Result<Self, Error> {
        Self::parse(text.as_ref(), "the text with ticket keys")
    }

    /// Takes one to three keys, the current one first. They have to come from a cryptographic random
    /// number generator.
    ///
    /// # Errors
    ///
    /// When there are no keys, more than three, or two equal ones ([`Error::is_config`]).
    pub fn from_bytes(keys: &[[u8; 32]]) -> Result<Self, Error> {
        let numbered = keys.iter().copied().zip(1..);
        Self::given(numbered.collect(), "the list of ticket keys", "key")
    }

    /// Random keys, which only this value and its clones know: give clones to all acceptors of a
    /// process, and to the acceptors that replace them in a reload. A new key replaces the current one
    /// after each lifetime. The previous one opens tickets for another lifetime.
    pub fn random() -> Self {
        Self {
            source: Source::Random(Arc::default()),
            lifetime: Self::LIFETIME,
        }
    }

    /// How long after its full handshake a session may be resumed, however often it was resumed in
    /// between. From 1 s to [`MAX_LIFETIME`](Self::MAX_LIFETIME), in whole seconds; default
    /// [`LIFETIME`](Self::LIFETIME). The ticket contains the time of the handshake: hosts may refuse
    /// each other's tickets if their clocks differ by more than a minute.
    ///
    /// # Errors
    ///
    /// When the lifetime is out of range ([`Error::is_config`]).
    pub fn lifetime(mut self, lifetime: Duration) -> Result<Self, Error> {
        let lifetime = Duration::from_secs(lifetime.as_secs());
        if lifetime.is_zero() || lifetime > Self::MAX_LIFETIME {
            return Err(Error::config(format!(
                "the ticket lifetime {lifetime:?} is out of range: use 1 s to 7 days"
            )));
        }
        self.lifetime = lifetime;
        Ok(self)
    }

    fn parse(text: &[u8], name: &str) -> Result<Self, Error> {
        let mut keys = Vec::new();
        for (line, number) in text.split(|&byte| byte == b'\n').zip(1..) {
            let key = line.split(|&byte| byte == b'#').next().unwrap_or_default();
            let words = key.split(u8::is_ascii_whitespace);
            for word in words.filter(|word| !word.is_empty()) {
                let key = hexadecimal(word).ok_or_else(|| {
                    Error::config(format!(
                        "{name}, line {number}: a ticket key is 64 hexadecimal digits, this word of \
                         {} bytes is not: make a key with `openssl rand -hex 32`",
                        word.len()
                    ))
                })?;
                keys.push((key, number));
            }
        }
        Self::given(keys, name, "line")
    }

    /// Checks the keys, each with its line or its number.
    fn given(keys: Vec<(TicketKey, usize)>, name: &str, place: &str) -> Result<Self, Error> {
        if keys.is_empty() {
            return Err(Error::config(format!(
                "{name} contains no ticket key: make one with `openssl rand -hex 32`"
            )));
        }
        if keys.len() > 3 {
            return Err(Error::config(format!(
                "{name} contains {} ticket keys: three are the most, the current one, the previous \
                 one and the next one",
                keys.len()
            )));
        }
        for (i, (key, number)) in keys.iter().enumerate() {
            if key.iter().all(|byte| byte == &key[0]) {
                return Err(Error::config(format!(
                    "{name}, {place} {number}: the key repeats one byte: make a key with \
                     `openssl rand -hex 32`"
                )));
            }
            if keys[..i].iter().any(|(before, _)| before == key) {
                return Err(Error::config(format!(
                    "{name}, {place} {number}: this key repeats an earlier one: remove it"
                )));
            }
        }
        Ok(Self {
            source: Source::Given(keys.into_iter().map(|(key, _)| key).collect()),
            lifetime: Self::LIFETIME,
        })
    }
}

/// The keys at a point in time.
#[cfg_attr(
    not(any(feature = "aws-lc-rs", feature = "ring", feature = "openssl")),
    expect(dead_code, reason = "not every backend takes keys")
)]
pub(in crate::tls) struct KeysNow {
    /// Changes when the keys change.
    pub(in crate::tls) generation: u64,
    /// The first key seals tickets, all keys open them.
    pub(in crate::tls) keys: Vec<TicketKey>,
}

#[cfg_attr(
    not(any(test, feature = "aws-lc-rs", feature = "ring", feature = "openssl")),
    expect(dead_code, reason = "not every backend takes keys")
)]
impl TicketKeys {
    /// The keys at `now`, in seconds since 1970; `None` if their generation is `known` already. `random`
    /// makes a key.
    pub(in crate::tls) fn at<E>(
        &self,
        now: u64,
        known: Option<u64>,
        random: impl FnOnce() -> Result<TicketKey, E>,
    ) -> Result<Option<KeysNow>, E> {
        let keys = match &self.source {
            Source::Given(keys) => (known != Some(0)).then(|| KeysNow {
                generation: 0,
                keys: keys.to_vec(),
            }),
            Source::Random(rotation) => {
                // No panic can leave the rotation half changed.
                let mut rotation = rotation.lock().unwrap_or_else(PoisonError::into_inner);
                rotation.advance(now, self.lifetime.as_secs(), random)?;
                (known != Some(rotation.generation)).then(|| KeysNow {
                    generation: rotation.generation,
                    keys: rotation
                        .current
                        .iter()
                        .chain(&rotation.previous)
                        .copied()
                        .collect(),
                })
            }
        };
        Ok(keys)
    }
}

/// Random keys that replace each other.
#[derive(Default)]
struct Rotation {
    current: Option<TicketKey>,
    previous: Option<TicketKey>,
    /// When `current` was made, in seconds since 1970.
    since: u64,
    generation: u64,
}

impl Rotation {
    fn advance<E>(
        &mut self,
        now: u64,
        lifetime: u64,
        random: impl FnOnce() -> Result<TicketKey, E>,
    ) -> Result<(), E> {
        let age = now.saturating_sub(self.since);
        if self.current.is_some() && age < lifetime {
            return Ok(());
        }
        let next = random()?;
        // After two lifetimes without a handshake no ticket of the current key is valid.
        self.previous = self.current.replace(next).filter(|_| age < 2 * lifetime);
        self.since = now;
        self.generation += 1;
        Ok(())
    }
}

/// Never shows a key.
impl fmt::Debug for TicketKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match &self.source {
            Source::Given(keys) => format!("{} given", keys.len()),
            Source::Random(_) => "random".into(),
        };
        write!(f, "TicketKeys({source}, {:?})", self.lifetime)
    }
}

fn hexadecimal(word: &[u8]) -> Option<TicketKey> {
    let mut key = TicketKey::default();
    if word.len() != 2 * key.len() {
        return None;
    }
    for (byte, digits) in key.iter_mut().zip(word.chunks_exact(2)) {
        let digit = |at: usize| char::from(digits[at]).to_digit(16);
        *byte = u8::try_from(digit(0)? << 4 | digit(1)?).ok()?;
    }
    Some(key)
}

cfg_if::cfg_if! {
    if #[cfg(unix)] {
        fn warn_if_readable_by_all(file: &Path) {
            use std::os::unix::fs::MetadataExt;

            // The file was read, so its mode is no reason to fail.
            let mode = std::fs::metadata(file).map_or(0, |metadata| metadata.mode());
            if mode & 0o007 != 0 {
                tracing::warn!(
                    file = %file.display(),
                    mode = format!("{:o}", mode & 0o777),
                    "every user can open the file of ticket keys: run `chmod o= FILE`"
                );
            }
        }
    } else {
        fn warn_if_readable_by_all(_file: &Path) {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const A: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    const B: &str = "F00102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F";
    const C: &str = "e00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    fn first_bytes(keys: &TicketKeys, now: u64, new: u8) -> Vec<u8> {
        let keys = keys.at(now, None, || Ok::<_, ()>([new; 32]));
        let keys = keys.expect("a key").expect("not known");
        keys.keys.iter().map(|key| key[0]).collect()
    }

    #[test]
    fn keys_are_read_from_text() {
        for (text, expected) in [
            (A.to_owned(), &[0][..]),
            (format!("# of today\n{B}  # sealing\r\n\n{A}\n"), &[0xf0, 0]),
            (format!("{C} {B}\t{A}"), &[0xe0, 0xf0, 0]),
        ] {
            let keys = TicketKeys::from_text(&text).expect("keys");
            assert_eq!(first_bytes(&keys, 0, 9), expected, "{text}");
        }
    }

    #[test]
    fn errors_explain_the_mistake_without_showing_keys() {
        let short = &A[..62];
        for (text, advice) in [
            ("# nothing\n\n".to_owned(), "openssl rand -hex 32"),
            (format!("{A}\n{short}"), "line 2: a ticket key is 64"),
            (format!("{}g{}", &A[..10], &A[11..]), "64 hexadecimal"),
            (format!("{A}\n{B}\n{A}"), "line 3: this key repeats"),
            ("7f".repeat(32), "line 1: the key repeats one byte"),
            (
                format!("{A}\n{B}\n{C}\n{}", "12".repeat(32)),
                "contains 4 ticket keys",
            ),
        ] {
            let error = TicketKeys::from_text(&text).expect_err("refused");
            assert!(error.is_config());
            let said = format!("{error} {error:?}");
            assert!(said.contains(advice), "{text}: {said}");
            assert!(!said.contains("0203040506"), "{said}");
        }
        let error = TicketKeys::from_file("/nonexistent/keys").expect_err("no such file");
        assert!(error.to_string().contains("/nonexistent/keys"), "{error}");
        assert!(TicketKeys::from_bytes(&[]).is_err());
        let keys = TicketKeys::from_text(A).expect("a key");
        assert_eq!(format!("{keys:?}"), "TicketKeys(1 given, 43200s)");
        for lifetime in [Duration::from_millis(999), Duration::from_secs(604_801)] {
            assert!(keys.clone().lifetime(lifetime).is_err(), "{lifetime:?}");
        }
    }

    #[test]
    fn random_keys_rotate_and_are_forgotten() {
        let keys = TicketKeys::random();
        let keys = keys.lifetime(Duration::from_secs(10)).expect("possible");
        let clone = keys.clone();
        assert_eq!(first_bytes(&keys, 1000, 1), [1]);
        assert_eq!(first_bytes(&clone, 1009, 2), [1], "clones have the same");
        assert_eq!(first_bytes(&keys, 1010, 3), [3, 1]);
        assert_eq!(first_bytes(&keys, 1020, 4), [4, 3]);
        assert_eq!(first_bytes(&keys, 1040, 5), [5], "too old to open anything");
        // A clock that was set back.
        assert_eq!(first_bytes(&keys, 900, 6), [5]);
        assert!(keys.at(1050, None, || Err(())).is_err());
        let known = keys.at(1041, Some(4), || Ok::<_, ()>([7; 32]));
        assert!(known.expect("a key").is_none());
    }

    proptest! {
        #[test]
        fn any_text_is_keys_or_an_error(text in "[0-9a-f#\\s]{0,200}", bytes: Vec<u8>) {
            let _ = TicketKeys::from_text(text);
            let _ = TicketKeys::from_text(bytes);
        }
    }
}
