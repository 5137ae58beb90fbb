//! Options, commands, variables and keys within sentences and tables.

use std::collections::BTreeSet;

use super::{
    blocks::{documents, read},
    place::Place,
};

/// First words of options of other programs.
const OF_OTHERS: &[(&str, &str)] = &[
    ("--features", "cargo"),
    ("--no-default-features", "cargo"),
    ("--workspace", "cargo"),
    ("-p", "cargo"),
    ("--allow", "ci/only-openssl"),
    ("--build-arg", "docker"),
    ("--security-opt", "docker"),
    ("--ulimit", "docker"),
    ("-k", "curl"),
];

/// The document about the command's configuration.
const OPERATIONS: &str = "docs/operations.md";

fn subcommands(place: &Place) -> Vec<String> {
    let help = help(place, "");
    let listed = help
        .split("Commands:\n")
        .nth(1)
        .expect("a list of commands");
    let names = listed
        .lines()
        .take_while(|line| line.starts_with("  "))
        .map(|line| line.split_whitespace().next().expect("a name").to_owned());
    names.filter(|name| name != "help").collect()
}

fn help(place: &Place, subcommand: &str) -> String {
    let output = place.run(&format!("corelane {subcommand} --help"));
    assert!(output.status.success(), "{subcommand}");
    String::from_utf8(output.stdout).expect("text")
}

/// The options of the command and its subcommands.
fn options(place: &Place) -> BTreeSet<String> {
    let mut options = BTreeSet::new();
    let subcommands = subcommands(place);
    for subcommand in subcommands.iter().map(String::as_str).chain([""]) {
        let help = help(place, subcommand);
        let lines = help.lines().map(str::trim_start);
        for line in lines.filter(|line| line.starts_with('-')) {
            let words = line.split([' ', ',', '=', '[', '.']);
            let named = words.take_while(|word| word.is_empty() || word.starts_with('-'));
            options.extend(named.filter(|word| !word.is_empty()).map(str::to_owned));
        }
    }
    assert!(
        options.contains("--listen") && options.contains("-v"),
        "{options:?}"
    );
    options
}

/// Whether the command or a subcommand accepts these options. `--help` ends it before it does anything.
fn accepts(place: &Place, subcommands: &[String], options: &str) -> bool {
    let all = subcommands.iter().map(String::as_str).chain([""]);
    let mut accepted =
        all.map(|subcommand| place.run(&format!("corelane {subcommand} {options} --help")));
    accepted.any(|output| output.status.success())
}

#[test]
fn options_in_sentences_exist() {
    let place = Place::new();
    let (known, subcommands) = (options(&place), subcommands(&place));
    let mut of_others = BTreeSet::new();
    let mut checked = 0;
    for document in documents() {
        for code in document.code() {
            let words: Vec<_> = code.split(' ').collect();
            if !code.starts_with('-') || code == "-" {
                continue;
            }
            if let Some((word, _)) = OF_OTHERS.iter().find(|(word, _)| *word == words[0]) {
                of_others.insert(word);
                continue;
            }
            checked += 1;
            let path = &document.path;
            for word in words.iter().filter(|word| word.starts_with('-')) {
                let name = word.split(['=', ',', ':']).next().expect("the first part");
                // -vv is -v twice.
                let is_known = known.contains(name) || name.starts_with("-vv");
                assert!(is_known, "{path}: `{code}`: there is no option {name}");
            }
            if words.len() == 2 || code.contains('=') {
                assert!(
                    accepts(&place, &subcommands, &code),
                    "{path}: `{code}` is not accepted"
                );
            }
        }
    }
    assert!(checked > 60, "checked {checked} options only");
    for (word, program) in OF_OTHERS {
        assert!(
            of_others.contains(word),
            "no document has the option {word} of {program}"
        );
    }
}

#[test]
fn commands_in_sentences_exist() {
    let place = Place::new();
    let mut checked = 0;
    for document in documents() {
        for code in document.code() {
            let path = &document.path;
            if code.starts_with("corelane ") {
                let output = place.run(&format!("{code} --help"));
                assert!(output.status.success(), "{path}: `{code}`: {output:?}");
                checked += 1;
            } else if code.starts_with("ci/") {
                let script = read(code.split(' ').next().expect("a word"));
                let mut options = code.split(' ').filter(|word| word.starts_with("--"));
                assert!(
                    options.all(|option| script.contains(option)),
                    "{path}: `{code}`"
                );
                checked += 1;
            }
        }
    }
    assert!(checked > 25, "checked {checked} commands only");
}

#[test]
fn keys_and_variables_in_sentences_configure_the_server() {
    let place = Place::new();
    let mut checked = 0;
    let all = documents();
    let operations = all.iter().find(|document| document.path == OPERATIONS);
    for code in operations.expect("there").code() {
        let name = code.split(" = ").next().expect("the first part");
        let is_key =
            name.len() < code.len() && name.chars().all(|c| c.is_ascii_lowercase() || c == '-');
        let check = if is_key {
            place.write("one.toml", &code);
            "corelane check --config one.toml".to_owned()
        } else if code.starts_with("CORELANE_") && code.contains('=') {
            format!("{code} corelane check")
        } else {
            continue;
        };
        let output = place.run(&check);
        assert!(output.status.success(), "`{code}`: {output:?}");
        checked += 1;
    }
    assert!(checked >= 4, "checked {checked} only");
}
