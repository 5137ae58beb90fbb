//! Static files.

/// The files of one folder.
#[derive(Clone, Debug)]
pub struct Files {}
