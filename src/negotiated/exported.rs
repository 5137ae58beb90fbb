//! Keying material that was exported from a session.

use std::{fmt, sync::Arc};

/// Exported keying material, by the label of its exporter. It is secret: `Debug` shows the labels only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Exported(Vec<(Arc<str>, Vec<u8>)>);

impl Exported {
    /// The material of the exporter with this label.
    pub fn get(&self, label: &str) -> Option<&[u8]> {
        let mut all = self.0.iter();
        let found = all.find(|(its, _)| **its == *label);
        found.map(|(_, material)| material.as_slice())
    }
}

/// Labels and their material, from a backend.
impl FromIterator<(Arc<str>, Vec<u8>)> for Exported {
    fn from_iter<I: IntoIterator<Item = (Arc<str>, Vec<u8>)>>(all: I) -> Self {
        Self(all.into_iter().collect())
    }
}

impl fmt::Debug for Exported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.0.iter().map(|(label, _)| label))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn material_is_found_by_its_label_and_not_printed() {
        let all = [("one", vec![0xab; 4]), ("two", vec![0xcd; 4])];
        let exported: Exported = all
            .map(|(label, it)| (Arc::from(label), it))
            .into_iter()
            .collect();
        assert_eq!(exported.get("two"), Some(&[0xcd; 4][..]));
        assert_eq!(exported.get("three"), None);
        let text = format!("{exported:?}{exported:#?}");
        assert!(text.contains("one") && text.contains("two"), "{text}");
        for secret in ["171", "205", "ab", "cd"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}
