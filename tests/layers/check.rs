//! Compares the code with the rules.

use crate::{
    modules::Crate,
    repository::below,
    rules::{LAYERS, LEAVES, Package, Use, VOCABULARY},
};

/// Imports in `src/` that a layer does not allow.
pub fn layer_violations(it: &Crate) -> Vec<String> {
    let mut broken = Vec::new();
    for module in &it.modules {
        let name = module.file.strip_prefix("src/").unwrap_or(&module.file);
        // The interface and the ways in for fuzzing bring the layers together.
        if name == "lib.rs" || name.contains("fuzzing") {
            continue;
        }
        let layer = LAYERS.iter().find(|layer| name.starts_with(layer.path));
        let layer = layer.expect("the last layer takes every file");
        for path in it.names(module) {
            let (root, rest) = path.split_once("::").unwrap_or((&path, ""));
            let is_allowed = |allowed: &&str| match allowed.strip_suffix('*') {
                Some(prefix) => rest.starts_with(prefix),
                None => rest == *allowed || rest.starts_with(&format!("{allowed}::")),
            };
            let allowed = match root {
                "std" => true,
                "crate" => {
                    let first = rest.split("::").next().unwrap_or_default();
                    let own = module.path.join("::");
                    LEAVES.contains(&first)
                        || rest == own
                        || !own.is_empty() && rest.starts_with(&format!("{own}::"))
                        || layer.modules.iter().any(is_allowed)
                }
                other => layer.crates.contains(&other) || VOCABULARY.contains(&other),
            };
            if !allowed {
                broken.push(format!("{}: {path}", module.file));
            }
        }
    }
    broken
}

/// Crates that a package uses and may not use. `ours` are the names of all packages in this
/// repository, as code spells them.
pub fn package_violations(package: &Package, it: &Crate, ours: &[String]) -> Vec<String> {
    let mut broken = Vec::new();
    let source = below(package.folder, "src/");
    for module in &it.modules {
        let name = module.file.strip_prefix(&source).unwrap_or(&module.file);
        for path in it.names(module) {
            let (root, rest) = path.split_once("::").unwrap_or((&path, ""));
            let item = rest.split("::").next().unwrap_or_default();
            let allowed = package.may_use.iter().any(|it| match it {
                Use::Crate(name) => root == *name,
                Use::Only(names) => root == "corelane" && names.contains(&item),
            });
            let mut confined = package.confined.iter().filter(|(name, _)| root == *name);
            if ours.iter().any(|it| it == root) && !allowed
                || confined.any(|(_, files)| !name.starts_with(files))
                || package.never.contains(&root)
            {
                broken.push(format!("{}: {path}", module.file));
            }
        }
    }
    broken
}

/// Dependencies in a package's manifest that its code may not use.
pub fn manifest_violations(
    package: &Package,
    dependencies: &[String],
    ours: &[String],
) -> Vec<String> {
    let may = |name: &String| {
        package.may_use.iter().any(|it| match it {
            Use::Crate(allowed) => name == allowed,
            Use::Only(_) => name == "corelane",
        })
    };
    let forbidden = |name: &&String| {
        ours.contains(name) && !may(name) || package.never.contains(&name.as_str())
    };
    let forbidden = dependencies.iter().filter(forbidden);
    forbidden
        .map(|name| format!("{}/Cargo.toml: {name}", package.folder))
        .collect()
}
