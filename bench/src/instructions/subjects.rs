//! The subjects: corelane's backends, each with the TLS versions that are measured.

use std::{path::Path, process::Command};

use crate::{server::Backend, terms::Group};

#[derive(Debug)]
pub struct Subject {
    pub name: &'static str,
    pub on: (Backend, Group),
}

impl Subject {
    /// Whether this build of corelane's server has the backend: an older one may not.
    pub fn is_known_to(&self, program: &Path) -> bool {
        let help = Command::new(program).arg("--help").output();
        let help = help.map(|it| it.stdout).unwrap_or_default();
        let name = self.on.0.name();
        let known = String::from_utf8_lossy(&help).contains(name);
        if !known {
            eprintln!("not measured: {} has no backend {name}", program.display());
        }
        known
    }
}

pub static SUBJECTS: [Subject; 4] = [
    subject("rustls", Backend::Rustls, Group::Tls13),
    subject("native-tls", Backend::NativeTls, Group::Tls12),
    subject("openssl", Backend::Openssl, Group::Tls13),
    subject("openssl-tls1.2", Backend::Openssl, Group::Tls12),
];

const fn subject(name: &'static str, backend: Backend, group: Group) -> Subject {
    Subject {
        name,
        on: (backend, group),
    }
}
