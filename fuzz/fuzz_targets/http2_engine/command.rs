//! What the caller of a connection does.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use libfuzzer_sys::arbitrary::Arbitrary;

/// A stream by its age: the newest ones, also if they are closed.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Pick(pub u8);

#[derive(Arbitrary, Debug)]
pub enum Command {
    Respond {
        stream: Pick,
        status: u8,
        fields: Vec<Field>,
        end: bool,
    },
    Informational {
        stream: Pick,
        status: u8,
        fields: Vec<Field>,
    },
    SendData {
        stream: Pick,
        length: u16,
        end: bool,
    },
    SendTrailers {
        stream: Pick,
        fields: Vec<Field>,
    },
    Reset(Pick, u8),
    ResetWhenSent(Pick),
    Abandon(Pick),
    Release(Pick, u32),
    ReleaseAll,
    Capacity(Pick),
    SetPriority {
        stream: Pick,
        urgency: u8,
        incremental: bool,
    },
    /// If the client has acknowledged the one before.
    Window(u32),
    Ping([u8; 8]),
    AnnounceShutdown,
    GoAway,
    Close(u8),
    Shrink,
    PollWritable,
    PollSent,
    PollCapacity,
}

pub fn choose<T: Copy>(choices: &[T], number: u8) -> T {
    choices[usize::from(number) % choices.len()]
}

/// Only the first ones are of a final response.
pub const STATUS: &[StatusCode] = &[
    StatusCode::OK,
    StatusCode::NOT_FOUND,
    StatusCode::CONTINUE,
    StatusCode::EARLY_HINTS,
    StatusCode::SWITCHING_PROTOCOLS,
];

/// A field of a response.
#[derive(Arbitrary, Debug)]
pub enum Field {
    Known {
        name: u8,
        value: u8,
    },
    Named {
        name: u8,
        length: u8,
    },
    Sensitive(u8),
    /// Longer than a frame.
    Long,
    Forbidden,
}

const KNOWN: &[HeaderName] = &[
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
    header::SET_COOKIE,
    header::DATE,
    header::SERVER,
];

pub fn header_map(fields: &[Field]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for field in fields {
        let (name, value) = match field {
            Field::Known { name, value } => (
                KNOWN[usize::from(*name) % KNOWN.len()].clone(),
                HeaderValue::from(u16::from(*value)),
            ),
            Field::Named { name, length } => {
                let value = "v".repeat((*length).into());
                let name = format!("x-{name}").parse().expect("a name");
                (name, value.parse().expect("a value"))
            }
            Field::Sensitive(value) => {
                let mut value = HeaderValue::from(u16::from(*value));
                value.set_sensitive(true);
                (header::SET_COOKIE, value)
            }
            Field::Long => {
                let value = "long~".repeat(4000);
                (header::ETAG, value.parse().expect("a value"))
            }
            Field::Forbidden => (header::CONNECTION, HeaderValue::from_static("close")),
        };
        map.append(name, value);
    }
    map
}

/// The fields of a response as a client gets them.
pub type Fields = Vec<(Vec<u8>, Vec<u8>)>;

pub fn fields(status: Option<StatusCode>, map: &HeaderMap) -> Fields {
    let status = status.map(|it| (b":status".to_vec(), it.as_str().into()));
    let pair = |(name, value): (&HeaderName, &HeaderValue)| {
        (name.as_str().into(), value.as_bytes().to_vec())
    };
    status.into_iter().chain(map.iter().map(pair)).collect()
}

/// What a command has added to a stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Done {
    Head(u32, Fields, bool),
    Data(u32, usize, bool),
    Trailers(u32, Fields),
    Ping([u8; 8]),
    /// Nothing that a client can expect; the result for comparison.
    Other(String),
}

const PERIOD: usize = 251;

static BODY: [u8; PERIOD + (1 << 16)] = {
    let mut body = [0; PERIOD + (1 << 16)];
    let mut at = 0;
    while at < body.len() {
        body[at] = (at % PERIOD) as u8;
        at += 1;
    }
    body
};

/// A piece of each body, `length` bytes behind the first `start`. It allocates nothing.
pub fn body(start: usize, length: usize) -> Bytes {
    Bytes::from_static(&BODY[start % PERIOD..][..length])
}
