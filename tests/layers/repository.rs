//! The packages on the disk, their manifests and their files.

use std::{
    fs,
    path::{Path, PathBuf},
};

use toml::Table;

use crate::modules::Sources;

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folders of all packages, also of those outside the workspace. The root's is the empty string.
pub fn folders() -> Vec<String> {
    let root = manifest("").expect("the root has a manifest");
    let list = |key: &str| {
        let folders = root["workspace"][key].as_array().expect("a list");
        let names = folders.iter().map(|it| it.as_str().expect("a folder"));
        names
            .map(|it| it.trim_start_matches('.').to_owned())
            .collect::<Vec<_>>()
    };
    let all = [list("members"), list("exclude")].concat();
    all.into_iter()
        .filter(|it| manifest(it).is_some())
        .collect()
}

fn manifest(folder: &str) -> Option<Table> {
    let text = fs::read_to_string(root().join(folder).join("Cargo.toml")).ok()?;
    Some(text.parse().expect("a manifest"))
}

/// The package's name as code spells it.
pub fn name(folder: &str) -> String {
    let manifest = manifest(folder).expect("a package has a manifest");
    let name = manifest["package"]["name"].as_str().expect("a name");
    name.replace('-', "_")
}

/// The dependencies of a package's code, not those of its tests.
pub fn dependencies(folder: &str) -> Vec<String> {
    let manifest = manifest(folder).expect("a package has a manifest");
    let targets = manifest.get("target").and_then(|it| it.as_table());
    let targets = targets.into_iter().flat_map(Table::values);
    let tables = targets.filter_map(|it| it.get("dependencies"));
    let all = manifest.get("dependencies").into_iter().chain(tables);
    let names = all.flat_map(|it| it.as_table().expect("a table").keys());
    names.map(|it| it.replace('-', "_")).collect()
}

/// A path in a package's folder, from the repository's root.
pub fn below(folder: &str, path: &str) -> String {
    match folder {
        "" => path.to_owned(),
        folder => format!("{folder}/{path}"),
    }
}

/// The root files of a package's library and programs, without its tests.
pub fn targets(folder: &str, sources: &Sources) -> Vec<String> {
    let below = |path: &str| below(folder, path);
    let single = [below("src/bin/"), below("fuzz_targets/")];
    let is_target = |file: &&String| {
        **file == below("src/lib.rs")
            || **file == below("src/main.rs")
            || single.iter().any(|it| {
                let name = file.strip_prefix(&**it);
                name.is_some_and(|it| !it.contains('/') || it.ends_with("/main.rs"))
            })
    };
    sources.keys().filter(is_target).cloned().collect()
}

pub fn sources() -> Sources {
    let mut sources = Sources::new();
    collect(root(), &mut sources);
    sources
}

fn collect(directory: &Path, sources: &mut Sources) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path: PathBuf = entry.expect("an entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            if !name.starts_with('.') && !name.starts_with("target") {
                collect(&path, sources);
            }
        } else if name.ends_with(".rs") {
            let below = path.strip_prefix(root()).expect("below the root");
            let text = fs::read_to_string(&path).expect("UTF-8");
            sources.insert(below.to_string_lossy().into_owned(), text);
        }
    }
}
