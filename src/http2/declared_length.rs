//! What `content-length` of a response promises, held against what its body gives.

use http::{HeaderMap, header::CONTENT_LENGTH};

/// How much of the declared length is left to be sent; `None`: nothing was declared.
///
/// A client must take a response of another length for malformed (RFC 9113 section 8.1.1), and one
/// that does not look may take it for complete: its stream is reset instead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct DeclaredLength(Option<u64>);

impl DeclaredLength {
    pub(super) fn exactly(length: u64) -> Self {
        Self(Some(length))
    }

    /// What the handler declared: one number, however often it stands there.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, &'static str> {
        let mut declared = None;
        for value in headers.get_all(CONTENT_LENGTH) {
            let digits = value.as_bytes();
            let length: Option<u64> = match digits.iter().all(u8::is_ascii_digit) {
                true => value.to_str().ok().and_then(|text| text.parse().ok()),
                false => None,
            };
            match (length, declared) {
                (None, _) => return Err("a content-length that is no number"),
                (Some(_), Some(_)) if length != declared => {
                    return Err("two content-lengths that differ");
                }
                _ => declared = length,
            }
        }
        Ok(Self(declared))
    }

    /// Called before data is sent.
    pub(super) fn send(&mut self, length: usize) -> Result<(), &'static str> {
        if let Some(left) = &mut self.0 {
            *left = left
                .checked_sub(length as u64)
                .ok_or("a body longer than its content-length")?;
        }
        Ok(())
    }

    /// Called before the stream is ended.
    pub(super) fn end(self) -> Result<(), &'static str> {
        match self.0 {
            None | Some(0) => Ok(()),
            Some(_) => Err("a body shorter than its content-length"),
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
    fn one_number_or_none_is_declared() {
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
    fn neither_more_nor_less_is_sent() {
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
