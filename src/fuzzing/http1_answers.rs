//! Reads the responses of a connection of HTTP/1.1 by the letter (RFC 9112).

use http::Method;

/// A response, as far as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The number of the request, which the handler puts into the field `n`; `None` for a response of
    /// the server itself.
    pub n: Option<usize>,
    /// The body without its framing.
    pub body: Vec<u8>,
    /// Whether it ends the connection, by its field `connection` or its version.
    pub closes: bool,
    /// Whether it ended as its framing says.
    pub complete: bool,
}

/// The responses to requests with these methods, without those of status 100.
///
/// # Panics
///
/// When the bytes are not responses.
pub(super) fn answers(mut bytes: &[u8], methods: &[Method]) -> Vec<Answer> {
    let mut answers = Vec::new();
    while !bytes.is_empty() {
        let Some(end) = find(bytes, b"\r\n\r\n") else {
            // Its writing was cut off.
            break;
        };
        let head = std::str::from_utf8(&bytes[..end]).expect("a head in ASCII");
        bytes = &bytes[end + 4..];
        let mut lines = head.split("\r\n");
        let line = lines.next().unwrap_or_default();
        let (is_http10, rest) = match line.split_at_checked(9) {
            Some(("HTTP/1.1 ", rest)) => (false, rest),
            Some(("HTTP/1.0 ", rest)) => (true, rest),
            _ => panic!("{line:?} is no status line"),
        };
        let status = rest[..3].parse().expect("a status");
        let mut answer = Answer {
            status,
            n: None,
            body: Vec::new(),
            closes: is_http10,
            complete: false,
        };
        let (mut length, mut is_chunked) = (None, false);
        for line in lines {
            let (name, value) = line.split_once(": ").expect("a field");
            match name {
                "n" => answer.n = Some(value.parse().expect("a number")),
                "content-length" => length = Some(value.parse::<usize>().expect("a length")),
                "transfer-encoding" => is_chunked = value == "chunked",
                "connection" => {
                    answer.closes = is_http10 && value != "keep-alive" || value == "close"
                }
                _ => {}
            }
        }
        if status == 100 {
            continue;
        }
        assert!(length.is_none() || !is_chunked, "two lengths");
        let is_head = answer.n.is_some_and(|n| methods[n] == Method::HEAD);
        if is_head || status == 204 {
            answer.complete = true;
        } else if is_chunked {
            answer.complete = chunks(&mut bytes, &mut answer.body).is_some();
        } else {
            assert!(
                length.is_some() || answer.closes,
                "an end that nothing tells"
            );
            let n = length.unwrap_or(bytes.len());
            answer.complete = take(&mut bytes, n, &mut answer.body).is_some();
        }
        answers.push(answer);
    }
    answers
}

/// Reads chunks and trailers; `None` if they are cut off.
fn chunks(bytes: &mut &[u8], body: &mut Vec<u8>) -> Option<()> {
    loop {
        let line = line(bytes)?;
        let size = usize::from_str_radix(line, 16).expect("a size");
        if size == 0 {
            break;
        }
        take(bytes, size, body)?;
        let mut end = Vec::new();
        take(bytes, 2, &mut end)?;
        assert_eq!(end, b"\r\n", "behind a chunk");
    }
    while !line(bytes)?.is_empty() {}
    Some(())
}

fn line<'a>(bytes: &mut &'a [u8]) -> Option<&'a str> {
    let end = find(bytes, b"\r\n");
    let end = end.or_else(|| {
        *bytes = &[];
        None
    })?;
    let line = std::str::from_utf8(&bytes[..end]).expect("a line in ASCII");
    *bytes = &bytes[end + 2..];
    Some(line)
}

/// Takes `n` bytes, or all and returns `None`.
fn take(bytes: &mut &[u8], n: usize, to: &mut Vec<u8>) -> Option<()> {
    let (taken, rest) = bytes.split_at(n.min(bytes.len()));
    to.extend_from_slice(taken);
    *bytes = rest;
    (taken.len() == n).then_some(())
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|at| at == wanted)
}
