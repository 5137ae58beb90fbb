//! What the documents say of the code, held to the code.

use std::{fs, path::Path};

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_program_in_the_readme_is_the_example() {
    let example = read("examples/hello.rs");
    assert!(read("README.md").contains(&format!("\n{example}```\n")));
}

#[test]
fn tests_named_in_the_documents_are_there() {
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

#[test]
fn combinations_named_in_features_md_are_checked() {
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
