//! Extensible priorities (RFC 9218): the field `priority` and the payload of PRIORITY_UPDATE.

/// How urgent a response is, and whether parts of it are useful (RFC 9218 section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Priority {
    /// From 0, the most urgent, to 7.
    pub urgency: u8,
    /// Whether the client can use parts of the response.
    pub incremental: bool,
}

impl Default for Priority {
    fn default() -> Self {
        Self {
            urgency: 3,
            incremental: false,
        }
    }
}

/// Levels of urgency (section 4.1).
pub(crate) const LEVELS: usize = 8;

impl Priority {
    /// Reads a dictionary of structured fields (RFC 8941 section 3.2). Parameters that are unknown,
    /// out of range or of another type are ignored (RFC 9218 section 4), and so is what does not
    /// parse.
    pub fn parse(field: &[u8]) -> Self {
        let mut priority = Self::default();
        for member in field.split(|&byte| byte == b',') {
            let member = member.trim_ascii();
            // Parameters of a member have no meaning.
            let item = member.split(|&byte| byte == b';').next();
            match item.unwrap_or_default() {
                [b'u', b'=', level @ b'0'..=b'7'] => priority.urgency = level - b'0',
                b"i" | b"i=?1" => priority.incremental = true,
                b"i=?0" => priority.incremental = false,
                _ => {}
            }
        }
        priority
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read() {
        let cases: [(&[u8], u8, bool); 10] = [
            (b"", 3, false),
            (b"u=0", 0, false),
            (b"u=7, i", 7, true),
            (b"i,u=1", 1, true),
            (b"u=5;x=y, i=?1;z", 5, true),
            (b"i, i=?0", 3, false),
            (b"u=8", 3, false),
            (b"u=-1, i=1", 3, false),
            (b"u=1, u=2", 2, false),
            (b"x=u=1, \xff\0", 3, false),
        ];
        for (field, urgency, incremental) in cases {
            let expected = Priority {
                urgency,
                incremental,
            };
            assert_eq!(Priority::parse(field), expected, "{field:?}");
        }
    }
}
