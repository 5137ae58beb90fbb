//! Checks the statements of the documents about the code.

use std::{
    fs,
    path::{Path, PathBuf},
};

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn readme_programs_are_the_examples() {
    let readme = read("README.md");
    for path in ["examples/axum_minimal.rs", "examples/hello.rs"] {
        let example = read(path);
        let (_, program) = example.split_once("\n\n").expect("a comment at the top");
        assert!(readme.contains(&format!("\n{program}```\n")), "{path}");
    }
}

#[test]
fn tests_named_in_documents_exist() {
    for (document, least) in [("features.md", 30), ("docs/security.md", 15)] {
        let text = read(document);
        let mut named = 0;
        for name in text.split('`').filter(|code| code.contains(".rs::")) {
            let (file, function) = name.split_once("::").expect("file::function");
            // A test may have parts: tests/NAME/main.rs and the files beside it.
            let (folder, mut source) = match file.strip_suffix("/main.rs") {
                Some(folder) => (folder, String::new()),
                None => (file.trim_end_matches(".rs"), read(file)),
            };
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
            for part in fs::read_dir(folder).into_iter().flatten().flatten() {
                source += &fs::read_to_string(part.path()).expect("readable");
            }
            assert!(
                source.contains(&format!("fn {function}(")),
                "{document} names {name}, which is not there"
            );
            named += 1;
        }
        assert!(named > least, "{document} names {named} tests only");
    }
}

/// All documents: at the top, in docs/, and the README of the benchmarks.
fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut documents = vec![root.join("bench/README.md")];
    for folder in [root.to_owned(), root.join("docs")] {
        let files = fs::read_dir(folder).expect("readable");
        let files = files.map(|file| file.expect("readable").path());
        documents.extend(files.filter(|file| file.extension().is_some_and(|it| it == "md")));
    }
    documents
}

/// The anchor that GitHub gives a heading.
fn anchor(heading: &str) -> String {
    let mut anchor = heading.to_lowercase().replace(' ', "-");
    anchor.retain(|c| c.is_alphanumeric() || c == '-' || c == '_');
    anchor
}

#[test]
fn links_between_documents_resolve() {
    let mut links = 0;
    for document in documents() {
        let text = fs::read_to_string(&document).expect("readable");
        for link in text.split("](").skip(1) {
            let link = link.split(')').next().expect("the rest");
            if link.starts_with("http") {
                continue;
            }
            links += 1;
            let (file, fragment) = link.split_once('#').unwrap_or((link, ""));
            let folder = document.parent().expect("a folder");
            let target = if file.is_empty() {
                document.clone()
            } else {
                folder.join(file)
            };
            let name = document.display();
            assert!(target.exists(), "{name} links to {file}, which is missing");
            if !fragment.is_empty() {
                let text = fs::read_to_string(&target).expect("readable");
                let mut headings = text.lines().filter(|line| line.starts_with('#'));
                assert!(
                    headings.any(|it| anchor(it.trim_start_matches('#').trim()) == fragment),
                    "{name} links to {link}, which has no such heading"
                );
            }
        }
    }
    assert!(links > 60, "found {links} links only");
}

#[test]
fn features_md_combinations_are_checked_by_ci() {
    let script = read("ci/features");
    let features = read("features.md");
    let table = features.split("## What CI checks").nth(1).expect("a table");
    for name in ["default", "everything", "both providers", "no TLS"] {
        assert!(table.contains(name), "features.md lacks {name:?}");
        assert!(
            script.contains(&format!("\"{name}\"")),
            "ci/features lacks {name:?}"
        );
    }
}
