//! Seals and opens session tickets: the encrypted state of a session, which the client stores.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use ::rustls::server::ProducesTickets;

use super::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    digest,
    hkdf::{HKDF_SHA256, KeyType, Salt},
    keys::{KeysNow, TicketKey, TicketKeys},
    lifetime::now,
    rand::{SecureRandom, SystemRandom},
    session_age,
};
use crate::error::Error;

/// Seals and opens tickets with these keys. A ticket opens only under the policy that it was sealed
/// under: the policy is part of the derivation of the key.
pub(crate) fn ticketer(
    keys: &TicketKeys,
    policy: &[u8],
) -> Result<Arc<dyn ProducesTickets>, Error> {
    let ticketer = Ticketer {
        keys: keys.clone(),
        policy: digest::digest(&digest::SHA256, policy).as_ref().to_vec(),
        sealers: RwLock::default(),
    };
    match ticketer.sealers(now()) {
        Some(_) => Ok(Arc::new(ticketer)),
        None => Err(Error::config(
            "ticket keys cannot be made: the system's random number generator failed",
        )),
    }
}

/// The format of a ticket: the name of the key (16 bytes), a random nonce (12), then, sealed with
/// AES-256-GCM, the time of the full handshake (8) and rustls' state, then the tag (16).
const NAME_LEN: usize = 16;

struct Ticketer {
    keys: TicketKeys,
    policy: Vec<u8>,
    /// Derived from `keys`, until those change.
    sealers: RwLock<Arc<Sealers>>,
}

/// The first one seals tickets, all of them open tickets. Empty before the first use.
#[derive(Default)]
struct Sealers {
    generation: Option<u64>,
    sealers: Vec<Sealer>,
}

impl Ticketer {
    fn sealers(&self, now: u64) -> Option<Arc<Sealers>> {
        let sealers = Arc::clone(&self.sealers.read().unwrap_or_else(PoisonError::into_inner));
        let Some(KeysNow { generation, keys }) =
            self.keys.at(now, sealers.generation, random_key).ok()?
        else {
            return Some(sealers);
        };
        let sealers: Option<_> = keys
            .iter()
            .map(|key| Sealer::new(key, &self.policy))
            .collect();
        let sealers = Arc::new(Sealers {
            generation: Some(generation),
            sealers: sealers?,
        });
        let mut kept = self.sealers.write().unwrap_or_else(PoisonError::into_inner);
        *kept = Arc::clone(&sealers);
        Some(sealers)
    }

    fn seal(&self, state: &[u8], now: u64) -> Option<Vec<u8>> {
        if state.len() > session_age::MAX_STATE {
            return None;
        }
        let sealers = self.sealers(now)?;
        sealers
            .sealers
            .first()?
            .seal(&session_age::stamped(state, now))
    }

    fn open(&self, ticket: &[u8], now: u64) -> Option<Vec<u8>> {
        let (name, sealed) = ticket.split_first_chunk()?;
        let sealers = self.sealers(now)?;
        let sealer = sealers.sealers.iter().find(|sealer| sealer.name == *name)?;
        session_age::unstamped(&sealer.open(sealed)?, now, self.keys.lifetime)
    }
}

impl ProducesTickets for Ticketer {
    fn enabled(&self) -> bool {
        true
    }

    /// The lifetime that the client receives: for a resumed session, the rest of it.
    fn lifetime(&self) -> u32 {
        let left = session_age::left(now(), self.keys.lifetime);
        u32::try_from(left.as_secs()).unwrap_or(u32::MAX)
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.seal(plain, now())
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.open(cipher, now())
    }
}

/// Never shows a key.
impl fmt::Debug for Ticketer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticketer").finish_non_exhaustive()
    }
}

/// The AEAD key and the public name that are derived from one ticket key.
struct Sealer {
    name: [u8; NAME_LEN],
    key: LessSafeKey,
}

/// Change it together with the format of tickets.
const LABEL: &[u8] = b"corelane session ticket 1";

impl Sealer {
    fn new(key: &TicketKey, policy: &[u8]) -> Option<Self> {
        let mut derived = [0; Derived::LEN];
        Salt::new(HKDF_SHA256, LABEL)
            .extract(key)
            .expand(&[policy], Derived)
            .and_then(|output| output.fill(&mut derived))
            .ok()?;
        let (name, key) = derived.split_first_chunk()?;
        Some(Self {
            name: *name,
            key: LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).ok()?),
        })
    }

    fn seal(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let nonce: [u8; NONCE_LEN] = random().ok()?;
        let mut ticket = [&self.name[..], &nonce, plain].concat();
        let (head, sealed) = ticket.split_at_mut(NAME_LEN + NONCE_LEN);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let aad = Aad::from(&head[..NAME_LEN]);
        let tag = self.key.seal_in_place_separate_tag(nonce, aad, sealed);
        ticket.extend_from_slice(tag.ok()?.as_ref());
        Some(ticket)
    }

    fn open(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut sealed = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain = self
            .key
            .open_in_place(nonce, Aad::from(self.name), &mut sealed);
        Some(plain.ok()?.to_vec())
    }
}

/// The output of the key derivation: a name and a key of AES-256.
struct Derived;

impl Derived {
    const LEN: usize = NAME_LEN + 32;
}

impl KeyType for Derived {
    fn len(&self) -> usize {
        Self::LEN
    }
}

/// The system's random number generator failed.
struct NoRandom;

fn random<const N: usize>() -> Result<[u8; N], NoRandom> {
    let mut bytes = [0; N];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map(|()| bytes).map_err(|_| NoRandom)
}

fn random_key() -> Result<TicketKey, NoRandom> {
    random()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::tls::tickets::session_age::SessionAge;

    const A: TicketKey = *b"an example of 32 bytes, random: ";
    const B: TicketKey = *b"another one of which that holds:";
    const C: TicketKey = *b"a third one, so as to be next...";

    fn ticketer(keys: &[TicketKey], policy: &[u8]) -> Ticketer {
        let keys = TicketKeys::from_bytes(keys).expect("keys");
        with_keys(
            keys.lifetime(Duration::from_secs(100)).expect("possible"),
            policy,
        )
    }

    fn with_keys(keys: TicketKeys, policy: &[u8]) -> Ticketer {
        Ticketer {
            keys,
            policy: policy.to_vec(),
            sealers: RwLock::default(),
        }
    }

    fn seal(ticketer: &Ticketer, now: u64) -> Vec<u8> {
        let sealed = SessionAge::default().during(|| ticketer.seal(b"state", now));
        sealed.expect("a ticket")
    }

    fn opens(ticketer: &Ticketer, ticket: &[u8], now: u64) -> bool {
        let opened = SessionAge::default().during(|| ticketer.open(ticket, now));
        assert!(opened.is_none() || opened.as_deref() == Some(b"state"));
        opened.is_some()
    }

    #[test]
    fn the_first_key_seals_and_every_key_opens() {
        let ticket = seal(&ticketer(&[A], b""), 1000);
        for (keys, expected) in [
            (&[A][..], true),
            (&[B, A], true),
            (&[B, C, A], true),
            (&[B], false),
            (&[B, C], false),
        ] {
            assert_eq!(opens(&ticketer(keys, b""), &ticket, 1000), expected);
        }
        let ticket = seal(&ticketer(&[B, C, A], b""), 1000);
        assert!(opens(&ticketer(&[B], b""), &ticket, 1000));
        assert!(!opens(&ticketer(&[A, C], b""), &ticket, 1000));
    }

    #[test]
    fn a_ticket_does_not_open_under_another_policy() {
        let ticket = seal(&ticketer(&[A], b"no certificates"), 1000);
        assert!(opens(&ticketer(&[A], b"no certificates"), &ticket, 1000));
        assert!(!opens(&ticketer(&[A], b"certificates"), &ticket, 1000));
    }

    #[test]
    fn a_ticket_expires_after_its_lifetime() {
        let ticketer = ticketer(&[A], b"");
        let ticket = seal(&ticketer, 1000);
        assert!(opens(&ticketer, &ticket, 1099));
        assert!(!opens(&ticketer, &ticket, 1100));
    }

    #[test]
    fn random_keys_open_for_a_lifetime_and_are_shared() {
        let keys = TicketKeys::random();
        let keys = keys.lifetime(Duration::from_secs(100)).expect("possible");
        let (ticketer, reloaded) = (with_keys(keys.clone(), b""), with_keys(keys, b""));
        let early = seal(&ticketer, 1000);
        let late = seal(&ticketer, 1099);
        assert!(opens(&reloaded, &early, 1099));
        assert!(opens(&ticketer, &late, 1198));
        assert!(opens(&reloaded, &seal(&ticketer, 1198), 1198));
        assert!(!opens(&with_keys(TicketKeys::random(), b""), &late, 1099));
    }

    /// A ticket of an earlier build. Hosts of a fleet run different versions and crypto crates.
    #[test]
    fn the_ticket_format_is_stable() {
        let ticket = "f2164a6cb4a7b597efa5574e88ff8d9ef3bff5830a00611895c5e234b75fce4d\
            d3ded4a5b8b84bcf1f6305f4fcf3820c1d4b6df85f73bbee06";
        let digits = ticket.as_bytes().chunks(2);
        let bytes = digits.map(|digits| {
            let digits = std::str::from_utf8(digits).expect("ASCII");
            u8::from_str_radix(digits, 16).expect("hexadecimal")
        });
        let ticket: Vec<u8> = bytes.collect();
        assert!(opens(&ticketer(&[A], b"policy"), &ticket, 1050));
    }

    #[test]
    fn nonces_differ_and_a_large_state_is_not_sealed() {
        let ticketer = ticketer(&[A], b"");
        assert_ne!(seal(&ticketer, 1000), seal(&ticketer, 1000));
        let large = vec![0; session_age::MAX_STATE + 1];
        assert!(ticketer.seal(&large[1..], 1000).is_some());
        assert!(ticketer.seal(&large, 1000).is_none());
    }

    proptest! {
        #[test]
        fn garbage_does_not_open(garbage: Vec<u8>) {
            let ticketer = ticketer(&[A, B], b"");
            prop_assert!(ticketer.open(&garbage, 1000).is_none());
            // With the name of a known key.
            let ticket = seal(&ticketer, 1000);
            let named = [&ticket[..NAME_LEN], &garbage].concat();
            prop_assert!(ticketer.open(&named, 1000).is_none());
        }

        #[test]
        fn a_changed_ticket_does_not_open(at: prop::sample::Index, with in 1..=255u8, cut: bool) {
            let ticketer = ticketer(&[A], b"");
            let mut ticket = seal(&ticketer, 1000);
            let at = at.index(ticket.len());
            match cut {
                true => ticket.truncate(at),
                false => ticket[at] ^= with,
            }
            prop_assert!(ticketer.open(&ticket, 1000).is_none());
        }
    }
}
