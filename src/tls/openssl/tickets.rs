//! The keys of session tickets, for OpenSSL.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use openssl_ticket_keys::{
    NAME_LEN, Opening, TicketKey, forget_session,
    openssl::{
        error::ErrorStack,
        ex_data::Index,
        md::Md,
        pkey::Id,
        pkey_ctx::PkeyCtx,
        rand::rand_bytes,
        ssl::{Ssl, SslRef},
    },
};

use crate::{
    error::Error,
    tls::tickets::{KeysNow, TicketKeys, is_current, now},
};

/// The largest chain of a client whose session resumes, bytes: a ticket that contains it would make the
/// client's next ClientHello larger than the server reads, and the cache would need much memory.
const MAX_CHAIN: usize = 8 * 1024;

/// Keys that are derived from the configured ones. Their name has two parts: the public name of the
/// key, and the time of the full handshake that the session goes back to, in seconds since 1970. OpenSSL
/// authenticates it with the ticket.
pub(super) struct Tickets {
    keys: TicketKeys,
    policy: [u8; 32],
    /// Derived from `keys`, until those change.
    derived: RwLock<Arc<Derived>>,
}

/// The first key seals tickets, all of them open tickets. Empty before the first use.
#[derive(Default)]
struct Derived {
    generation: Option<u64>,
    keys: Vec<DerivedKey>,
}

struct DerivedKey {
    name: [u8; NAME_LEN / 2],
    aes: [u8; 32],
    hmac: [u8; 32],
}

impl Tickets {
    /// A ticket opens only under the policy that it was sealed under: the policy is part of the
    /// derivation of the key.
    pub(super) fn new(keys: TicketKeys, policy: [u8; 32]) -> Result<Self, Error> {
        let tickets = Self {
            keys,
            policy,
            derived: RwLock::default(),
        };
        let derived = tickets.derived(now());
        derived.map_err(|error| Error::config("ticket keys cannot be made").with_source(error))?;
        opened_ticket()
            .map_err(|error| Error::config("OpenSSL is out of memory").with_source(error))?;
        Ok(tickets)
    }

    fn derived(&self, now: u64) -> Result<Arc<Derived>, ErrorStack> {
        let derived = Arc::clone(&self.derived.read().unwrap_or_else(PoisonError::into_inner));
        let Some(KeysNow { generation, keys }) = self.keys.at(now, derived.generation, random)?
        else {
            return Ok(derived);
        };
        let keys = keys.iter().map(|key| DerivedKey::new(key, &self.policy));
        let derived = Arc::new(Derived {
            generation: Some(generation),
            keys: keys.collect::<Result<_, _>>()?,
        });
        let mut kept = self.derived.write().unwrap_or_else(PoisonError::into_inner);
        *kept = Arc::clone(&derived);
        Ok(derived)
    }

    fn key_to_seal(&self, begun: u64, now: u64) -> Option<TicketKey> {
        Some(self.derived(now).ok()?.keys.first()?.at(begun))
    }

    /// Also returns the time of the full handshake.
    fn key_to_open(&self, name: &[u8; NAME_LEN], now: u64) -> Option<(Opening, u64)> {
        let (key, begun) = name.split_first_chunk()?;
        let begun = u64::from_be_bytes(begun.try_into().ok()?);
        if !is_current(begun, now, self.keys.lifetime) {
            return None;
        }
        let derived = self.derived(now).ok()?;
        let at = derived.keys.iter().position(|it| it.name == *key)?;
        let opening = Opening {
            key: derived.keys[at].at(begun),
            renew: at > 0,
        };
        Some((opening, begun))
    }
}

impl openssl_ticket_keys::TicketKeys for Tickets {
    fn seal(&self, ssl: &mut SslRef) -> Option<TicketKey> {
        let now = now();
        if ssl.session_reused() {
            // Without a ticket, a client that resumed by session id continues to do so.
            let begun = ssl.ex_data(opened_ticket().ok()?)?.begun;
            return self.key_to_seal(begun, now);
        }
        (!has_large_chain(ssl)).then(|| self.key_to_seal(now, now))?
    }

    fn open(&self, ssl: &mut SslRef, name: &[u8; NAME_LEN]) -> Option<Opening> {
        let (opening, begun) = self.key_to_open(name, now())?;
        let ticket = OpenedTicket {
            begun,
            issuers: Vec::new(),
        };
        ssl.set_ex_data(opened_ticket().ok()?, ticket);
        Some(opening)
    }

    /// What OpenSSL keeps out of tickets: the certificates behind the client's own one, each after its
    /// length.
    fn data(&self, ssl: &mut SslRef) -> Vec<u8> {
        let mut data = Vec::new();
        for issuer in full_chain(ssl).iter().skip(1) {
            // A message of TLS is shorter than 2^24 bytes.
            let length = u32::try_from(issuer.len()).unwrap_or(u32::MAX);
            data.extend(length.to_be_bytes());
            data.extend(issuer);
        }
        data
    }

    fn opened(&self, ssl: &mut SslRef, mut data: &[u8]) {
        let Some(ticket) = opened_ticket().ok().and_then(|it| ssl.ex_data_mut(it)) else {
            return;
        };
        while let Some((length, rest)) = data.split_first_chunk() {
            let length = u32::from_be_bytes(*length) as usize;
            let Some((issuer, behind)) = rest.split_at_checked(length) else {
                return;
            };
            ticket.issuers.push(issuer.to_vec());
            data = behind;
        }
    }
}

/// The client's certificates in DER, its own one first.
pub(super) fn chain(ssl: &SslRef) -> Vec<Vec<u8>> {
    let mut chain = full_chain(ssl);
    // The session in a ticket has the first one only.
    if ssl.session_reused()
        && chain.len() == 1
        && let Some(ticket) = opened_ticket().ok().and_then(|it| ssl.ex_data(it))
    {
        chain.extend(ticket.issuers.iter().cloned());
    }
    chain
}

fn has_large_chain(ssl: &SslRef) -> bool {
    full_chain(ssl).iter().map(Vec::len).sum::<usize>() > MAX_CHAIN
}

/// Keeps a session with a large chain out of the cache, after a full handshake.
pub(super) fn limit_cache(ssl: &SslRef) {
    if !ssl.session_reused() && has_large_chain(ssl) {
        forget_session(ssl);
    }
}

/// The chain of a full handshake.
fn full_chain(ssl: &SslRef) -> Vec<Vec<u8>> {
    let Some(own) = ssl.peer_certificate() else {
        return Vec::new();
    };
    // On the server, OpenSSL keeps the client's own certificate apart from the others.
    let issuers = ssl.peer_cert_chain().into_iter().flatten();
    let issuers = issuers.filter_map(|it| it.to_der().ok());
    own.to_der().into_iter().chain(issuers).collect()
}

/// What a connection has learned from the ticket that it opened.
struct OpenedTicket {
    /// The time of the full handshake, in seconds since 1970.
    begun: u64,
    /// The certificates behind the client's own one, DER.
    issuers: Vec<Vec<u8>>,
}

/// Where a connection keeps it.
fn opened_ticket() -> Result<Index<Ssl, OpenedTicket>, ErrorStack> {
    static INDEX: OnceLock<Index<Ssl, OpenedTicket>> = OnceLock::new();
    if let Some(index) = INDEX.get() {
        return Ok(*index);
    }
    // If two threads come here, one index stays unused.
    let new = Ssl::new_ex_index()?;
    Ok(*INDEX.get_or_init(|| new))
}

/// Change it together with the names of keys.
const LABEL: &[u8] = b"corelane openssl ticket 1";

impl DerivedKey {
    fn new(key: &[u8; 32], policy: &[u8]) -> Result<Self, ErrorStack> {
        let mut derived = Self {
            name: [0; NAME_LEN / 2],
            aes: [0; 32],
            hmac: [0; 32],
        };
        let parts: [(&[u8], &mut [u8]); 3] = [
            (b"name", &mut derived.name),
            (b"aes", &mut derived.aes),
            (b"hmac", &mut derived.hmac),
        ];
        for (what, part) in parts {
            let mut hkdf = PkeyCtx::new_id(Id::HKDF)?;
            hkdf.derive_init()?;
            hkdf.set_hkdf_md(Md::sha256())?;
            hkdf.set_hkdf_salt(LABEL)?;
            hkdf.set_hkdf_key(key)?;
            hkdf.add_hkdf_info(what)?;
            hkdf.add_hkdf_info(policy)?;
            hkdf.derive(Some(part))?;
        }
        Ok(derived)
    }

    fn at(&self, begun: u64) -> TicketKey {
        let mut name = [0; NAME_LEN];
        name[..NAME_LEN / 2].copy_from_slice(&self.name);
        name[NAME_LEN / 2..].copy_from_slice(&begun.to_be_bytes());
        TicketKey {
            name,
            aes: self.aes,
            hmac: self.hmac,
        }
    }
}

fn random() -> Result<[u8; 32], ErrorStack> {
    let mut key = [0; 32];
    rand_bytes(&mut key)?;
    Ok(key)
}
