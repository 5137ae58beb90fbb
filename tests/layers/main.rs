//! Reads the code of all packages. Checks the imports of each layer and each package, and that no
//! files use each other in a circle. The rules are in `rules.rs`.

mod check;
mod circles;
mod examples;
mod modules;
mod repository;
mod rules;
mod syntax;

use std::collections::BTreeSet;

use crate::{
    check::{manifest_violations, violations},
    circles::{circles, describe},
    modules::Crate,
    rules::{PACKAGES, UNSAFE},
    syntax::has_word,
};

#[test]
fn imports_follow_the_rules() {
    let sources = repository::sources();
    let folders = repository::folders();
    let ours: Vec<_> = folders.iter().map(|it| repository::name(it)).collect();
    let mut broken = Vec::new();
    for folder in &folders {
        let Some(package) = PACKAGES.iter().find(|it| it.folder == folder) else {
            broken.push(format!("{folder}: add its rule to tests/layers/rules.rs"));
            continue;
        };
        let dependencies = repository::dependencies(folder);
        broken.extend(manifest_violations(package, &dependencies, &ours));
        for target in repository::targets(folder, &sources) {
            let it = Crate::read(&target, &sources).expect("a target");
            broken.extend(violations(package, &it, &ours));
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn there_is_no_circle_of_files() {
    let sources = repository::sources();
    let mut found = String::new();
    for folder in repository::folders() {
        for target in repository::targets(&folder, &sources) {
            let it = Crate::read(&target, &sources).expect("a target");
            let arrows = it.arrows();
            for circle in circles(&arrows) {
                found += &describe(&circle, &arrows);
            }
        }
    }
    assert!(found.is_empty(), "\n{found}");
}

/// The code of all targets, and the examples; tests may call what needs it.
#[test]
fn unsafe_code_is_in_one_crate() {
    let sources = repository::sources();
    let mut files: BTreeSet<_> = sources
        .keys()
        .filter(|it| it.starts_with("examples/"))
        .cloned()
        .collect();
    let mut found = BTreeSet::new();
    for folder in repository::folders() {
        for target in repository::targets(&folder, &sources) {
            files.extend(Crate::read(&target, &sources).expect("a target").files);
        }
    }
    for file in files {
        if has_word(&sources[&file], "unsafe") {
            found.insert(file);
        }
    }
    let allowed = repository::below(UNSAFE, "src/");
    found.retain(|file| !file.starts_with(&allowed));
    assert!(found.is_empty(), "unsafe code in {found:?}");
}

/// A file that no target reaches would escape the rules.
#[test]
fn every_file_belongs_to_a_target() {
    let sources = repository::sources();
    for folder in repository::folders() {
        let targets = repository::targets(&folder, &sources);
        assert!(!targets.is_empty(), "{folder:?} has no target");
        let mut seen = BTreeSet::new();
        for target in targets {
            seen.extend(Crate::read(&target, &sources).expect("a target").files);
        }
        let below = repository::below(&folder, "src/");
        for file in sources.keys().filter(|it| it.starts_with(&below)) {
            assert!(seen.contains(file), "no target has the module {file}");
        }
    }
}

#[test]
fn backends_are_chosen_in_one_place() {
    for (file, text) in repository::sources() {
        let Some(name) = file.strip_prefix("src/") else {
            continue;
        };
        if name.starts_with("tls/") || name.ends_with("stream_tests.rs") {
            continue;
        }
        // These features have nothing to do with backends.
        let others = ["metrics", "tokio", "http1", "http2-engine", "upgrade"]
            .map(|name| format!("feature = \"{name}\""));
        let text = others
            .iter()
            .fold(text, |text, other| text.replace(other, ""));
        assert!(
            !text.contains("feature ="),
            "{file} depends on a cargo feature"
        );
    }
}
