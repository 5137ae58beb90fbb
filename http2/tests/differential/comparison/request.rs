//! The header block of a request, and what crate h2 does not check of it.

use corelane_http2::hpack::Decoder;
use corelane_test_frames::{
    END_HEADERS, PADDED, PRIORITY,
    kind::{self, CONTINUATION, HEADERS},
};

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// Whether the last header block is a request that only the caller of h2 finds malformed (sections 8.1.1, 8.2.1, 8.3.1
/// and 8.5 of RFC 9113, section 8.6 of RFC 9110).
pub fn is_left_to_caller(frames: &[Vec<u8>]) -> bool {
    let fields = last_fields(frames).unwrap_or_default();
    let all = |name: &str| {
        let named = fields.iter().filter(|(it, _)| it == name.as_bytes());
        named.map(|(_, value)| &value[..]).collect::<Vec<_>>()
    };
    let is_host_wrong = match (&all(":authority")[..], &all("host")[..]) {
        ([], []) => true,
        ([], [host]) => host.is_empty(),
        ([authority], [host]) => !authority.eq_ignore_ascii_case(host),
        (_, hosts) => hosts.len() > 1,
    };
    let is_path_wrong = match &all(":path")[..] {
        [b"*"] => all(":method") != [b"OPTIONS"],
        [path] => !path.starts_with(b"/"),
        _ => false,
    };
    let is_length_wrong = all("content-length").iter().any(|it| it.is_empty());
    let has_whitespace = fields.iter().any(|(_, it)| it.trim_ascii() != it);
    is_host_wrong || is_path_wrong || is_length_wrong || has_whitespace
}

/// Whether a field of the last header block has an empty name, which is malformed (section 8.2.1).
pub fn has_empty_name(frames: &[Vec<u8>]) -> bool {
    let fields = decoded(frames).unwrap_or_default().0;
    fields.iter().any(|(name, _)| name.is_empty())
}

/// How often the last header block begins with a change of the table's size (RFC 7541 section 6.3), and how many bytes
/// follow.
pub fn size_changes(frames: &[Vec<u8>]) -> (usize, usize) {
    let blocks = blocks(frames).unwrap_or_default();
    let mut rest = blocks.last().map_or(&[][..], |block| block);
    let mut changes = 0;
    while let Some((first, after)) = rest.split_first()
        && first >> 5 == 1
    {
        let is_long = first & 31 == 31;
        let end = after.iter().position(|byte| byte & 128 == 0);
        rest = &after[end.map_or(0, |end| usize::from(is_long) * (end + 1))..];
        changes += 1;
    }
    (changes, rest.len())
}

/// The fields of the last header block, `None` if a block cannot be decoded.
fn last_fields(frames: &[Vec<u8>]) -> Option<Fields> {
    let (fields, is_whole) = decoded(frames)?;
    is_whole.then_some(fields)
}

/// The fields of the last header block that can be decoded, and whether these are all.
fn decoded(frames: &[Vec<u8>]) -> Option<(Fields, bool)> {
    let mut decoder = Decoder::new(4096);
    let mut fields = Fields::new();
    for block in blocks(frames)? {
        fields.clear();
        let field = &mut |name: &[u8], value: &[u8], _| {
            fields.push((name.to_vec(), value.to_vec()));
        };
        if decoder.decode(&block, 1 << 20, field).is_err() {
            return Some((fields, false));
        }
    }
    Some((fields, true))
}

/// All complete header blocks.
fn blocks(frames: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
    let (mut blocks, mut block) = (Vec::new(), Vec::new());
    for frame in frames {
        let (&[_, _, _, kind, flags, ..], payload) = frame.split_first_chunk::<9>()?;
        match kind {
            HEADERS => block = fragment(flags, payload)?.to_vec(),
            CONTINUATION => block.extend_from_slice(payload),
            _ => continue,
        }
        if flags & END_HEADERS != 0 {
            blocks.push(std::mem::take(&mut block));
        }
    }
    Some(blocks)
}

/// The stream that a stream depends on, by PRIORITY or by HEADERS (RFC 7540 sections 6.2 and 6.3).
pub fn dependency(kind: u8, flags: u8, payload: &[u8]) -> Option<u32> {
    let payload = match kind {
        kind::PRIORITY => payload,
        HEADERS if flags & PRIORITY != 0 => payload.get(usize::from(flags & PADDED != 0)..)?,
        _ => return None,
    };
    let number = u32::from_be_bytes(*payload.first_chunk()?);
    Some(number & 0x7fff_ffff)
}

fn fragment(flags: u8, mut payload: &[u8]) -> Option<&[u8]> {
    if flags & PADDED != 0 {
        let (length, rest) = payload.split_first()?;
        payload = rest.get(..rest.len().checked_sub((*length).into())?)?;
    }
    match flags & PRIORITY {
        0 => Some(payload),
        _ => payload.get(5..),
    }
}
