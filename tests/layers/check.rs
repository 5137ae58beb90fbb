//! Compares the code with the rules.

use crate::{
    modules::{Crate, Module},
    repository::below,
    rules::{LEAVES, Layer, Package, VOCABULARY},
};

/// Names that a package uses and may not use. `ours` are the names of all packages in this
/// repository, as code spells them.
pub fn violations(package: &Package, it: &Crate, ours: &[String]) -> Vec<String> {
    let source = below(package.folder, "src/");
    let mut broken = Vec::new();
    for module in &it.modules {
        let file = module.file.strip_prefix(&source).unwrap_or(&module.file);
        // The interface of a crate and its entry points for fuzzing bring the layers together.
        let is_free = file == "lib.rs" || file.contains("fuzzing");
        let mut layers = package.layers.iter().filter(|_| !is_free);
        let layer = layers.find(|layer| file.starts_with(layer.path));
        for path in it.names(module) {
            let root = path.split("::").next().unwrap_or_default();
            let is_foreign = ours.iter().any(|it| it == root);
            let allowed = (!is_foreign || package.may_use.contains(&root))
                && !package.never.contains(&root)
                && layer.is_none_or(|layer| is_allowed(layer, module, &path));
            if !allowed {
                broken.push(format!("{}: {path}", module.file));
            }
        }
    }
    broken
}

fn is_allowed(layer: &Layer, module: &Module, path: &str) -> bool {
    let is_in = |path: &str, outer: &str| {
        let rest = path.strip_prefix(outer);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    };
    match path.split_once("::").unwrap_or((path, "")) {
        ("std", _) => true,
        ("crate", path) => {
            let own = module.path.join("::");
            let mut modules = layer.modules.iter();
            LEAVES.iter().any(|leaf| is_in(path, leaf))
                || !own.is_empty() && is_in(path, &own)
                || modules.any(|it| match it.strip_suffix('*') {
                    Some(begin) => path.starts_with(begin),
                    None => is_in(path, it),
                })
        }
        _ => {
            let mut crates = layer.crates.iter().chain(VOCABULARY);
            crates.any(|it| is_in(path, it))
        }
    }
}

/// Dependencies in a package's manifest that its code may not use.
pub fn manifest_violations(
    package: &Package,
    dependencies: &[String],
    ours: &[String],
) -> Vec<String> {
    let is_forbidden = |name: &&String| {
        let name = name.as_str();
        let is_foreign = ours.iter().any(|it| it == name);
        is_foreign && !package.may_use.contains(&name) || package.never.contains(&name)
    };
    let forbidden = dependencies.iter().filter(is_forbidden);
    forbidden
        .map(|name| format!("{}/Cargo.toml: {name}", package.folder))
        .collect()
}
