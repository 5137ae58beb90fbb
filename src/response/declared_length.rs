//! Compares the `content-length` of a response with the length of its body.

use http::{HeaderMap, header::CONTENT_LENGTH};

/// How much of the declared length is left to be sent; `None`: no length was declared.
///
/// A response of another length is malformed (RFC 9113 section 8.1.1), and a client that does not
/// check may take it for complete. The server resets its stream instead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DeclaredLength(Option<u64>);

impl DeclaredLength {
    pub(crate) fn exactly(length: u64) -> Self {
        Self(Some(length))
    }

    /// What the handler declared. The header may be repeated with the same value.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, &'static str> {
        let mut declared = None;
        for value in headers.get_all(CONTENT_LENGTH) {
            let digits = value.as_bytes();
            let length: Option<u64> = match digits.iter().all(u8::is_ascii_digit) {
                true => value.to_str().ok().and_then(|text| text.parse().ok()),
                false => None,
            };
            match (length, declared) {
                (None, _) => return Err("content-length is not a number"),
                (Some(_), Some(_)) if length != declared => {
                    return Err("content-length has two different values");
                }
                _ => declared = length,
            }
        }
        Ok(Self(declared))
    }

    /// Called before data is sent.
    pub(crate) fn send(&mut self, length: usize) -> Result<(), &'static str> {
        if let Some(left) = &mut self.0 {
            *left = left
                .checked_sub(length as u64)
                .ok_or("body is longer than its content-length")?;
        }
        Ok(())
    }

    /// Whether the client has received as much as was declared, and may expect no more.
    pub(crate) fn is_complete(self) -> bool {
        self.0 == Some(0)
    }

    /// Called before the stream is ended.
    pub(crate) fn end(self) -> Result<(), &'static str> {
        match self.0 {
            None | Some(0) => Ok(()),
            Some(_) => Err("body is shorter than its content-length"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(values: &[&'static str]) -> Result<DeclaredLength, &'static str> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(CONTENT_LENGTH, http::HeaderValue::from_static(value));
        }
        DeclaredLength::of(&headers)
    }

    #[test]
    fn the_header_is_one_number_or_absent() {
        assert_eq!(declared(&[]), Ok(DeclaredLength(None)));
        assert_eq!(declared(&["7"]), Ok(DeclaredLength(Some(7))));
        assert_eq!(declared(&["7", "7"]), Ok(DeclaredLength(Some(7))));
        for wrong in [
            &["7", "8"][..],
            &["+7"],
            &["-1"],
            &[""],
            &["7, 7"],
            &["18446744073709551616"],
        ] {
            assert!(declared(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_body_has_exactly_the_declared_length() {
        let mut length = DeclaredLength::exactly(5);
        assert!(length.end().is_err());
        assert!(length.send(3).is_ok());
        assert!(length.end().is_err());
        assert!(length.send(3).is_err());
        assert!(length.send(2).is_ok());
        assert!(length.end().is_ok());
        let mut none = DeclaredLength::default();
        assert!(none.send(usize::MAX).is_ok());
        assert!(none.end().is_ok());
    }
}
