//! The head of a request, and trailers, from decoded fields (RFC 9113 sections 8.1 to 8.3, 8.5).

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Uri,
    header::{CONTENT_LENGTH, COOKIE, HOST, TE},
    request::Parts,
    uri::{self, Authority, PathAndQuery, Scheme},
};

use crate::{
    field_cache::{FieldCache, Parsed},
    fields::{content_length, is_connection_field, same_authority},
    hpack::{self, Field},
    priority::Priority,
    stream::UNKNOWN_LENGTH,
};

/// Why a request is malformed: a stream error (section 8.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

/// The protocol that an extended CONNECT asks for, such as `websocket` (RFC 8441 section 4). It is
/// in the extensions of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protocol(HeaderValue);

impl Protocol {
    /// The value of `:protocol`.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// A request whose head is complete.
#[derive(Debug)]
pub(crate) struct RequestHead {
    pub(crate) parts: Parts,
    /// The value of `content-length`, or [`UNKNOWN_LENGTH`].
    pub(crate) promised: u64,
    /// From the field `priority` (RFC 9218 section 5).
    pub(crate) priority: Option<Priority>,
}

/// Takes the fields of a request in their order.
pub(crate) struct RequestBuilder<'c> {
    cache: &'c mut FieldCache,
    fields: Fields,
    /// A field has come that is no pseudo-header field.
    has_fields: bool,
    method: Option<Method>,
    scheme: Option<Scheme>,
    authority: Option<Authority>,
    path: Option<Bytes>,
    protocol: Option<HeaderValue>,
    host: Option<HeaderValue>,
    priority: Option<Priority>,
    promised: u64,
    cookies: Vec<HeaderValue>,
    malformed: Option<Malformed>,
}

impl<'c> RequestBuilder<'c> {
    /// `block` is the header block.
    pub(crate) fn new(cache: &'c mut FieldCache, block: &[u8]) -> Self {
        Self {
            cache,
            fields: Fields(HeaderMap::with_capacity(expected_fields(block))),
            has_fields: false,
            method: None,
            scheme: None,
            authority: None,
            path: None,
            protocol: None,
            host: None,
            priority: None,
            promised: UNKNOWN_LENGTH,
            cookies: Vec::new(),
            malformed: None,
        }
    }

    #[inline]
    pub(crate) fn field(&mut self, field: Field<'_>) {
        if self.malformed.is_none()
            && let Err(malformed) = self.take(field)
        {
            self.malformed = Some(malformed);
        }
    }

    fn take(&mut self, field: Field<'_>) -> Result<(), Malformed> {
        if let Some(entry) = field.entry
            && let Some(parsed) = self.cache.get(entry)
        {
            return match parsed.clone() {
                Parsed::Authority(authority) => self.authority(authority),
                Parsed::Field(name, value) => self.regular(name, value),
            };
        }
        if field.name.first() == Some(&b':') {
            return self.pseudo(field);
        }
        let (name, value) = parse(field)?;
        if let Some(entry) = field.entry {
            self.cache.put_field(entry, &name, &value);
        }
        self.regular(name, value)
    }

    fn regular(&mut self, name: HeaderName, value: HeaderValue) -> Result<(), Malformed> {
        self.has_fields = true;
        if name == COOKIE {
            self.cookies.push(value);
            return Ok(());
        }
        if name == CONTENT_LENGTH {
            let length = content_length(value.as_bytes())
                .ok_or(Malformed("content-length is not a number of 64 bits"))?;
            if self.promised != UNKNOWN_LENGTH && self.promised != length {
                return Err(Malformed("two values of content-length"));
            }
            self.promised = length;
        } else if name == TE {
            if !value.as_bytes().eq_ignore_ascii_case(b"trailers") {
                return Err(Malformed("te is not trailers"));
            }
        } else if name == HOST {
            if self.host.replace(value.clone()).is_some() {
                return Err(Malformed("host twice"));
            }
        } else if name.as_str() == "priority" {
            self.priority = Some(Priority::parse(value.as_bytes()));
        }
        self.fields.append(name, value)
    }

    /// Section 8.3.
    fn pseudo(&mut self, field: Field<'_>) -> Result<(), Malformed> {
        let value = field.value;
        let twice = match field.name {
            b":method" => {
                let method = Method::from_bytes(value);
                let method = method.map_err(|_| Malformed(":method is not a token"))?;
                self.method.replace(method).is_some()
            }
            b":scheme" => {
                let scheme = Scheme::try_from(value);
                let scheme = scheme.map_err(|_| Malformed(":scheme is not a scheme"))?;
                self.scheme.replace(scheme).is_some()
            }
            b":authority" => {
                let authority = Authority::try_from(value);
                let authority = authority.map_err(|_| Malformed(":authority is invalid"))?;
                if let Some(entry) = field.entry {
                    self.cache.put_authority(entry, value);
                }
                return self.authority(authority);
            }
            b":path" => {
                let path = Bytes::copy_from_slice(value);
                self.path.replace(path).is_some()
            }
            b":protocol" => {
                let protocol = HeaderValue::from_bytes(value);
                let protocol = protocol.map_err(|_| Malformed(":protocol is invalid"))?;
                self.protocol.replace(protocol).is_some()
            }
            _ => return Err(Malformed("an unknown pseudo-header field")),
        };
        self.check_pseudo(twice)
    }

    fn authority(&mut self, authority: Authority) -> Result<(), Malformed> {
        let twice = self.authority.replace(authority).is_some();
        self.check_pseudo(twice)
    }

    fn check_pseudo(&self, twice: bool) -> Result<(), Malformed> {
        if self.has_fields {
            return Err(Malformed("a pseudo-header field behind a field"));
        }
        match twice {
            true => Err(Malformed("a pseudo-header field twice")),
            false => Ok(()),
        }
    }

    /// `ends` says that no body follows, `extended_connect` that the server allows RFC 8441.
    pub(crate) fn finish(
        mut self,
        ends: bool,
        extended_connect: bool,
    ) -> Result<RequestHead, Malformed> {
        if let Some(malformed) = self.malformed {
            return Err(malformed);
        }
        let method = self.method.take().ok_or(Malformed("no :method"))?;
        let is_connect = method == Method::CONNECT;
        if self.protocol.is_some() && !(is_connect && extended_connect) {
            return Err(Malformed(":protocol without extended CONNECT"));
        }
        let is_tunnel = is_connect && self.protocol.is_none();
        self.check_host()?;
        let uri = match is_tunnel {
            true => self.connect_uri()?,
            false => self.uri(&method)?,
        };
        if is_connect {
            // It has no content (RFC 9110 section 9.3.6).
            self.promised = UNKNOWN_LENGTH;
        } else if ends && !matches!(self.promised, 0 | UNKNOWN_LENGTH) {
            return Err(Malformed("content-length without a body"));
        }
        if let Some(cookie) = self.cookie() {
            self.fields.append(COOKIE, cookie)?;
        }
        let (mut parts, ()) = Request::new(()).into_parts();
        parts.method = method;
        parts.uri = uri;
        parts.version = http::Version::HTTP_2;
        parts.headers = self.fields.0;
        if let Some(protocol) = self.protocol {
            parts.extensions.insert(Protocol(protocol));
        }
        Ok(RequestHead {
            parts,
            promised: self.promised,
            priority: self.priority,
        })
    }

    /// Section 8.3.1: `host` names the same as `:authority`.
    fn check_host(&self) -> Result<(), Malformed> {
        match (&self.authority, &self.host) {
            (Some(authority), Some(host)) => {
                let authority = authority.as_str().as_bytes();
                match same_authority(authority, host.as_bytes(), self.scheme.as_ref()) {
                    true => Ok(()),
                    false => Err(Malformed("host differs from :authority")),
                }
            }
            (None, Some(host)) if host.is_empty() => Err(Malformed("host is empty")),
            _ => Ok(()),
        }
    }

    /// Section 8.5.
    fn connect_uri(&mut self) -> Result<Uri, Malformed> {
        if self.scheme.is_some() || self.path.is_some() {
            return Err(Malformed("CONNECT with :scheme or :path"));
        }
        match self.authority.take() {
            // RFC 9110 section 9.3.6.
            Some(authority) if authority.port_u16().unwrap_or(0) == 0 => {
                Err(Malformed("CONNECT without a port"))
            }
            Some(authority) => Ok(Uri::from(authority)),
            None => Err(Malformed("CONNECT without :authority")),
        }
    }

    /// Section 8.3.1.
    fn uri(&mut self, method: &Method) -> Result<Uri, Malformed> {
        let scheme = self.scheme.take().ok_or(Malformed("no :scheme"))?;
        let path = self.path.take().ok_or(Malformed("no :path"))?;
        match &path[..] {
            [b'/', ..] => {}
            b"*" if *method == Method::OPTIONS => {}
            _ => return Err(Malformed(":path does not begin with /")),
        }
        let path = PathAndQuery::from_maybe_shared(path);
        let mut parts = uri::Parts::default();
        parts.path_and_query = Some(path.map_err(|_| Malformed(":path is invalid"))?);
        parts.authority = self.authority.take();
        if parts.authority.is_some() {
            parts.scheme = Some(scheme);
        } else if matches!(scheme.as_str(), "http" | "https") && !self.fields.0.contains_key(HOST) {
            return Err(Malformed("neither :authority nor host"));
        }
        Uri::from_parts(parts).map_err(|_| Malformed("the target is no URI"))
    }

    /// Joins the pieces of a cookie (section 8.2.3).
    fn cookie(&mut self) -> Option<HeaderValue> {
        const SEPARATOR: &[u8] = b"; ";
        if self.cookies.len() <= 1 {
            return self.cookies.pop();
        }
        let lengths = self
            .cookies
            .iter()
            .map(|piece| SEPARATOR.len() + piece.len());
        let mut joined = Vec::with_capacity(lengths.sum());
        for (i, piece) in self.cookies.iter().enumerate() {
            if i > 0 {
                joined.extend_from_slice(SEPARATOR);
            }
            joined.extend_from_slice(piece.as_bytes());
        }
        let mut cookie = HeaderValue::from_maybe_shared(Bytes::from(joined)).ok()?;
        cookie.set_sensitive(self.cookies.iter().any(HeaderValue::is_sensitive));
        Some(cookie)
    }
}

/// For how many fields a map has room at first. A larger one than needed would be kept as long as the request.
fn expected_fields(block: &[u8]) -> usize {
    /// Bytes. Counting the fields of a shorter block costs more than it saves.
    const SHORT: usize = 24;
    /// Browsers send about 20.
    const MOST: usize = 24;
    const PSEUDO: usize = 4;
    match block.len() {
        // A field of the table is one or two bytes.
        short @ ..SHORT => short / 4,
        _ => hpack::count_fields(block, PSEUDO + MOST).saturating_sub(PSEUDO),
    }
}

/// Takes the fields of trailers, which have no pseudo-header fields (section 8.1).
#[derive(Default)]
pub(crate) struct TrailersBuilder {
    fields: Fields,
    malformed: Option<Malformed>,
}

impl TrailersBuilder {
    pub(crate) fn field(&mut self, field: Field<'_>) {
        if self.malformed.is_some() {
            return;
        }
        let field = parse(field);
        let taken = field.and_then(|(name, value)| self.fields.append(name, value));
        self.malformed = taken.err();
    }

    pub(crate) fn finish(self) -> Result<HeaderMap, Malformed> {
        match self.malformed {
            Some(malformed) => Err(malformed),
            None => Ok(self.fields.0),
        }
    }
}

/// Fields in a map.
#[derive(Default)]
struct Fields(HeaderMap);

impl Fields {
    fn append(&mut self, name: HeaderName, value: HeaderValue) -> Result<(), Malformed> {
        match self.0.try_append(name, value) {
            Ok(_) => Ok(()),
            Err(_) => Err(Malformed("more fields than a map takes")),
        }
    }
}

/// Section 8.2.
fn parse(field: Field<'_>) -> Result<(HeaderName, HeaderValue), Malformed> {
    // It refuses capitals, controls, spaces, colons and what is not ASCII (section 8.2.1).
    let name = HeaderName::from_lowercase(field.name);
    let name = name.map_err(|_| Malformed("a field's name"))?;
    if is_connection_field(&name) {
        return Err(Malformed("a field of the connection"));
    }
    let is_space = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    if is_space(field.value.first()) || is_space(field.value.last()) {
        return Err(Malformed("a value that begins or ends with whitespace"));
    }
    let value = HeaderValue::from_bytes(field.value);
    let mut value = value.map_err(|_| Malformed("a control character in a value"))?;
    if field.sensitive {
        value.set_sensitive(true);
    }
    Ok((name, value))
}
