//! Finds the modules of a crate, their files, and the file that defines the item of a path.

use std::collections::{BTreeMap, BTreeSet};

use crate::syntax::{self, Import, Name, Scope};

/// The text of each file, by its path from the repository's root.
pub type Sources = BTreeMap<String, String>;

/// For each pair of files: the names that the first one uses from the second.
pub type Arrows = BTreeMap<(String, String), BTreeSet<String>>;

/// A target of a package: the modules below its root file, without those of tests.
#[derive(Debug, Default)]
pub struct Crate {
    pub modules: Vec<Module>,
    /// All files, those of tests too.
    pub files: BTreeSet<String>,
}

#[derive(Debug)]
pub struct Module {
    /// The path below `crate`.
    pub path: Vec<String>,
    pub file: String,
    pub scope: Scope,
    parent: usize,
    /// Several may have one name, if cfgs choose between files.
    children: Vec<usize>,
}

/// The module or item that a path names.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Resolution {
    Module(usize),
    /// An item of this module.
    Item(usize),
}

impl Crate {
    /// Reads the crate with this root file.
    ///
    /// # Errors
    ///
    /// If a declared module has no file, or a file is not Rust.
    pub fn read(root: &str, sources: &Sources) -> Result<Self, String> {
        let mut it = Self::default();
        let directory = parent(root).to_owned();
        it.add_file(Vec::new(), 0, root, &directory, sources)?;
        Ok(it)
    }

    fn add_file(
        &mut self,
        path: Vec<String>,
        parent: usize,
        file: &str,
        directory: &str,
        sources: &Sources,
    ) -> Result<(), String> {
        let text = sources.get(file).ok_or(format!("{file}: no such file"))?;
        self.files.insert(file.to_owned());
        let scope = syntax::parse(text).map_err(|error| format!("{file} {error}"))?;
        if scope.test {
            return Ok(());
        }
        self.add(path, parent, file, directory, scope, sources)
    }

    fn add(
        &mut self,
        path: Vec<String>,
        parent: usize,
        file: &str,
        directory: &str,
        mut scope: Scope,
        sources: &Sources,
    ) -> Result<(), String> {
        let this = self.modules.len();
        let declared = std::mem::take(&mut scope.modules);
        self.modules.push(Module {
            path: path.clone(),
            file: file.to_owned(),
            scope,
            parent,
            children: Vec::new(),
        });
        if this != parent {
            self.modules[parent].children.push(this);
        }
        for module in declared {
            let path = [&path[..], std::slice::from_ref(&module.name)].concat();
            let below = join(directory, &module.name);
            match module.body {
                Some(_) if module.test => {}
                Some(body) => self.add(path, this, file, &below, body, sources)?,
                None => {
                    let (file, directory) = match &module.path {
                        Some(path) => {
                            let file = join(self::parent(file), path);
                            let directory = self::parent(&file).to_owned();
                            (file, directory)
                        }
                        None => {
                            let own = format!("{below}.rs");
                            let file = match sources.contains_key(&own) {
                                true => own,
                                false => format!("{below}/mod.rs"),
                            };
                            (file, below)
                        }
                    };
                    if module.test {
                        self.files.extend(files_of_test(&file, &directory, sources));
                    } else {
                        self.add_file(path, this, &file, &directory, sources)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Which file uses which other file. `mod name;` and re-exports are not uses. A name that comes
    /// through a re-export is used from the file that defines it.
    pub fn arrows(&self) -> Arrows {
        let mut arrows = Arrows::new();
        for (at, module) in self.modules.iter().enumerate() {
            let mut add = |resolved: Resolution, path: &[String]| {
                let Resolution::Item(target) = resolved else {
                    return;
                };
                let to = &self.modules[target].file;
                if *to != module.file {
                    let arrow = arrows.entry((module.file.clone(), to.clone()));
                    arrow.or_default().insert(path.join("::"));
                }
            };
            for import in module.scope.imports.iter().filter(|it| !it.public) {
                for resolved in self.imported(at, import) {
                    add(resolved, &import.path);
                }
            }
            // `Type::function` uses the `Type` that was imported above.
            let is_type = |path: &&Vec<String>| path[0].starts_with(char::is_uppercase);
            for path in module.scope.paths.iter().filter(|it| !is_type(it)) {
                for resolved in self.resolve(at, path, 0).unwrap_or_default() {
                    add(resolved, path);
                }
            }
        }
        arrows
    }

    fn imported(&self, at: usize, import: &Import) -> BTreeSet<Resolution> {
        let places = self.resolve(at, &import.path, 0).unwrap_or_default();
        if import.name != Name::Glob {
            return places;
        }
        let mut all = BTreeSet::new();
        for resolved in places {
            all.insert(resolved);
            if let Resolution::Module(module) = resolved {
                let scope = &self.modules[module].scope;
                if !scope.items.is_empty() {
                    all.insert(Resolution::Item(module));
                }
                for import in scope.imports.iter().filter(|it| it.public) {
                    all.extend(self.resolve(module, &import.path, 1).unwrap_or_default());
                }
            }
        }
        all
    }

    /// None if the path does not begin with a module, an item or an import, but with a crate or a
    /// generic type.
    fn resolve(&self, at: usize, path: &[String], depth: u32) -> Option<BTreeSet<Resolution>> {
        let (first, rest) = path.split_first()?;
        let module = match &**first {
            "crate" => 0,
            "self" => at,
            "super" => self.modules[at].parent,
            _ => return self.find(at, path, depth),
        };
        if rest.first().is_some_and(|it| it == "super") {
            return self.resolve(module, rest, depth);
        }
        // The name is not found if a macro defines it.
        let here = || BTreeSet::from([Resolution::Item(module)]);
        Some(self.find(module, rest, depth).unwrap_or_else(here))
    }

    fn find(&self, at: usize, path: &[String], depth: u32) -> Option<BTreeSet<Resolution>> {
        // Glob imports may lead to each other.
        const DEEPEST: u32 = 16;
        let Some((first, rest)) = path.split_first() else {
            return Some(BTreeSet::from([Resolution::Module(at)]));
        };
        if depth > DEEPEST {
            return None;
        }
        let module = &self.modules[at];
        let mut found = BTreeSet::new();
        for &child in &module.children {
            if self.modules[child].path.last() == Some(first) {
                let here = || BTreeSet::from([Resolution::Item(child)]);
                found.extend(self.find(child, rest, depth).unwrap_or_else(here));
            }
        }
        if module.scope.items.contains(first) && (rest.is_empty() || found.is_empty()) {
            found.insert(Resolution::Item(at));
        }
        if !found.is_empty() {
            return Some(found);
        }
        let names = |import: &&Import| import.name == Name::Is(first.clone());
        let imports: Vec<_> = module.scope.imports.iter().filter(names).collect();
        for import in &imports {
            let path = [&import.path[..], rest].concat();
            // `use name;` would find itself.
            if path != [std::slice::from_ref(first), rest].concat() {
                found.extend(self.resolve(at, &path, depth + 1).unwrap_or_default());
            }
        }
        if !imports.is_empty() {
            return Some(found);
        }
        for import in &module.scope.imports {
            if import.name == Name::Glob {
                for resolved in self
                    .resolve(at, &import.path, depth + 1)
                    .unwrap_or_default()
                {
                    if let Resolution::Module(target) = resolved
                        && target != at
                        && let Some(places) = self.find(target, path, depth + 1)
                    {
                        return Some(places);
                    }
                }
            }
        }
        None
    }

    /// All names in a module by their full paths, which begin with `crate` or another crate's name.
    pub fn names(&self, module: &Module) -> BTreeSet<String> {
        let Module { path, scope, .. } = module;
        let full = |used: &[String]| -> Vec<String> {
            let mut base = path.clone();
            let mut rest = used;
            while let Some((first, after)) = rest.split_first() {
                match &**first {
                    "super" => drop(base.pop()),
                    "self" => {}
                    "crate" => base.clear(),
                    _ => break,
                }
                rest = after;
            }
            [&["crate".to_owned()], &base[..], rest].concat()
        };
        let is_own = |first: &str| {
            let child = |&child: &usize| {
                self.modules[child]
                    .path
                    .last()
                    .is_some_and(|it| it == first)
            };
            ["crate", "self", "super"].contains(&first)
                || scope.items.contains(first)
                || module.children.iter().any(child)
        };
        let is_imported = |first: &str| {
            let name = Name::Is(first.to_owned());
            scope.imports.iter().any(|it| it.name == name)
        };
        // Crates have lower-case names, as primitive types do.
        let is_type = |first: &str| {
            const PRIMITIVE: [&str; 18] = [
                "bool", "char", "f32", "f64", "i8", "i16", "i32", "i64", "i128", "isize", "str",
                "u8", "u16", "u32", "u64", "u128", "usize", "Self",
            ];
            first.starts_with(char::is_uppercase) || PRIMITIVE.contains(&first)
        };
        let imports = scope.imports.iter().map(|it| &it.path[..]);
        let imports = imports.map(|it| (it, is_own(&it[0])));
        let paths = scope.paths.iter().map(|it| &it[..]);
        let paths = paths.filter(|it| is_own(&it[0]) || !is_imported(&it[0]) && !is_type(&it[0]));
        let paths = paths.map(|it| (it, is_own(&it[0])));
        let all = imports.chain(paths);
        all.map(|(used, own)| match own {
            true => full(used).join("::"),
            false => used.join("::"),
        })
        .filter(|path| path != "crate")
        .collect()
    }
}

/// The files of a module of tests.
fn files_of_test(file: &str, directory: &str, sources: &Sources) -> Vec<String> {
    let below = format!("{directory}/");
    let is_its = |it: &&String| *it == file || it.starts_with(&below) && directory != parent(file);
    sources.keys().filter(is_its).cloned().collect()
}

fn parent(file: &str) -> &str {
    file.rsplit_once('/').map_or("", |(directory, _)| directory)
}

/// Joins paths and resolves `..`.
fn join(directory: &str, path: &str) -> String {
    let mut parts: Vec<&str> = directory.split('/').filter(|it| !it.is_empty()).collect();
    for part in path.split('/') {
        match part {
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}
