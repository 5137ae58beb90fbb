//! Takes documents apart: fenced blocks, command lines, code within a sentence.

use std::{fs, path::Path};

/// Documents in Markdown, from the repository's root. `docs/` is added.
const DOCUMENTS: &[&str] = &[
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "features.md",
    "cli/README.md",
    "ops/README.md",
    "probe/README.md",
];

pub(crate) struct Document {
    /// From the repository's root.
    pub(crate) path: String,
    pub(crate) text: String,
}

pub(crate) fn read(path: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// The names of the files in a folder, from the repository's root, sorted.
pub(crate) fn files(folder: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(folder);
    let entries = fs::read_dir(&path)
        .expect("a folder")
        .map(|it| it.expect("readable"));
    let names = entries.map(|it| it.file_name().into_string().expect("UTF-8"));
    let mut files: Vec<_> = names.map(|name| format!("{folder}/{name}")).collect();
    files.sort();
    files
}

fn document(path: &str) -> Document {
    Document {
        path: path.to_owned(),
        text: read(path),
    }
}

pub(crate) fn documents() -> Vec<Document> {
    let docs = files("docs")
        .into_iter()
        .filter(|path| path.ends_with(".md"));
    let paths = DOCUMENTS.iter().map(|&path| path.to_owned()).chain(docs);
    paths.map(|path| document(&path)).collect()
}

/// The templates, whose comments contain commands.
pub(crate) fn templates() -> Vec<Document> {
    let files = files("deploy")
        .into_iter()
        .filter(|path| !path.ends_with(".json"));
    files.map(|path| document(&path)).collect()
}

/// A fenced block.
pub(crate) struct Block {
    /// `FILE:LINE` of its first line.
    pub(crate) place: String,
    pub(crate) language: String,
    pub(crate) lines: Vec<String>,
}

impl Block {
    pub(crate) fn text(&self) -> String {
        self.lines.join("\n") + "\n"
    }
}

impl Document {
    pub(crate) fn blocks(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        let mut inside = false;
        for (number, line) in self.text.lines().enumerate() {
            match line.trim_start().strip_prefix("```") {
                Some(_) if inside => inside = false,
                Some(language) => {
                    inside = true;
                    blocks.push(Block {
                        place: format!("{}:{}", self.path, number + 2),
                        language: language.to_owned(),
                        lines: Vec::new(),
                    });
                }
                None if inside => {
                    let block = blocks.last_mut().expect("begun");
                    block.lines.push(line.to_owned());
                }
                None => {}
            }
        }
        assert!(!inside, "{}: a fenced block has no end", self.path);
        blocks
    }

    /// Code within sentences and tables, without the backticks, with a line break as a space.
    pub(crate) fn code(&self) -> Vec<String> {
        let mut inside = false;
        let prose = self.text.lines().filter(|line| {
            let is_fence = line.trim_start().starts_with("```");
            inside ^= is_fence;
            !inside && !is_fence
        });
        let prose = prose.collect::<Vec<_>>().join("\n");
        code_in(&prose)
    }
}

/// The code in a text. Code that contains backticks is between two of them.
pub(crate) fn code_in(text: &str) -> Vec<String> {
    let mut code = Vec::new();
    for (number, part) in text.split("``").enumerate() {
        if number % 2 == 1 {
            code.push(part.trim().replace('\n', " "));
        } else {
            let spans = part.split('`').skip(1).step_by(2);
            code.extend(spans.map(|span| span.replace('\n', " ")));
        }
    }
    code
}

/// A command line of a document, and the output that the document shows.
pub(crate) struct Command {
    /// `FILE:LINE`.
    pub(crate) place: String,
    /// With its continuation lines; without a comment at its end.
    pub(crate) line: String,
    pub(crate) output: Vec<String>,
}

impl Command {
    fn new(place: String, line: &str) -> Self {
        Self {
            place,
            line: line.to_owned(),
            output: Vec::new(),
        }
    }

    /// The word that starts the program.
    pub(crate) fn program(&self) -> &str {
        self.words().next().unwrap_or_default()
    }

    /// The word after it.
    pub(crate) fn subcommand(&self) -> &str {
        self.words().nth(1).unwrap_or_default()
    }

    /// Behind variables that are set for the command.
    fn words(&self) -> impl Iterator<Item = &str> {
        let words = self.line.split_whitespace();
        words.skip_while(|word| word.contains('=') && !word.starts_with('-'))
    }
}

/// The commands of a block in language `console`: they begin with `$`, or with `#` for root.
pub(crate) fn commands(block: &Block) -> Vec<Command> {
    let mut commands: Vec<Command> = Vec::new();
    let mut continues = false;
    for line in &block.lines {
        let begun = line.strip_prefix("$ ").or_else(|| line.strip_prefix("# "));
        match (begun, commands.last_mut()) {
            (_, Some(command)) if continues => {
                command.line += "\n";
                command.line += line;
            }
            (Some(begun), _) => commands.push(Command::new(block.place.clone(), begun)),
            (None, Some(command)) => command.output.push(line.clone()),
            (None, None) => panic!("{}: output without a command: {line:?}", block.place),
        }
        continues = line.ends_with('\\');
    }
    for command in &mut commands {
        if let Some((line, _comment)) = command.line.split_once("  #") {
            command.line = line.trim_end().to_owned();
        }
    }
    commands
}

/// The commands in the comments of a template: lines that are indented by three spaces. A description
/// follows after three more.
pub(crate) fn commands_in_comments(template: &Document) -> Vec<Command> {
    let lines = template.text.lines().enumerate();
    let commented = lines.filter_map(|(number, line)| {
        let command = line.strip_prefix("#   ")?;
        (!command.starts_with(' ')).then_some((number + 1, command))
    });
    commented
        .map(|(number, command)| {
            let line = command.split("   ").next().expect("the first part");
            Command::new(format!("{}:{number}", template.path), line)
        })
        .collect()
}
