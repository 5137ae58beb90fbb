//! Finds circles of files: files that use each other, directly or through other files.

use std::collections::{BTreeMap, BTreeSet};

use crate::modules::Arrows;

/// Each circle is a set of files that all reach each other.
pub fn circles(arrows: &Arrows) -> Vec<BTreeSet<&str>> {
    let mut uses: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (from, to) in arrows.keys() {
        uses.entry(from).or_default().push(to);
    }
    let reachable: BTreeMap<&str, BTreeSet<&str>> = uses
        .keys()
        .map(|file| (*file, reach(file, &uses)))
        .collect();
    let reaches = |from: &str, to: &str| reachable.get(from).is_some_and(|it| it.contains(to));
    let mut circles: Vec<BTreeSet<&str>> = Vec::new();
    for (&file, below) in &reachable {
        if !circles.iter().any(|circle| circle.contains(file)) && below.contains(file) {
            circles.push(
                below
                    .iter()
                    .copied()
                    .filter(|it| reaches(it, file))
                    .collect(),
            );
        }
    }
    circles
}

fn reach<'a>(file: &str, uses: &BTreeMap<&str, Vec<&'a str>>) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    let mut next: Vec<&str> = uses.get(file).cloned().unwrap_or_default();
    while let Some(file) = next.pop() {
        if seen.insert(file) {
            next.extend(uses.get(file).into_iter().flatten());
        }
    }
    seen
}

/// Lists the arrows of a circle with their names, one in each line.
pub fn describe(circle: &BTreeSet<&str>, arrows: &Arrows) -> String {
    let mut text = format!("{} files use each other:\n", circle.len());
    for ((from, to), names) in arrows {
        if circle.contains(&**from) && circle.contains(&**to) {
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            text += &format!("  {from} -> {to} ({})\n", names.join(", "));
        }
    }
    text
}
