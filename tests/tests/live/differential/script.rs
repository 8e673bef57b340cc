//! What is done to both servers, as text: a step a line, the connection first.
//!
//! Must not know what the words mean; that is `encode` and `play`. The form that a failure prints is the form that
//! is read back.

use std::fmt;

/// How many connections act in a script, each with a session of its own.
pub const SLOTS: usize = 3;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Which connection acts.
    pub slot: usize,
    /// A verb, after what modifies it, and before what it needs.
    pub words: Vec<String>,
}

impl Step {
    pub fn new(slot: usize, text: &str) -> Self {
        Self { slot, words: text.split_whitespace().map(str::to_owned).collect() }
    }

    /// The first word that is not a modifier such as `xid:7`.
    pub fn verb(&self) -> &str {
        self.words.iter().find(|word| !is_modifier(word)).map_or("", String::as_str)
    }

    /// What stands behind the verb.
    pub fn arguments(&self) -> impl Iterator<Item = &str> + Clone {
        self.words.iter().map(String::as_str).skip_while(|word| is_modifier(word)).skip(1)
    }

    /// The number behind a modifier.
    pub fn modifier(&self, name: &str) -> Option<i32> {
        let number = |word: &String| word.strip_prefix(name)?.strip_prefix(':')?.parse().ok();
        self.words.iter().take_while(|word| is_modifier(word)).find_map(number)
    }
}

fn is_modifier(word: &str) -> bool {
    word.starts_with("xid:") || word.starts_with("cut:")
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.slot, self.words.join(" "))
    }
}

/// Reads a script; empty lines and those that start with `#` are for the reader.
pub fn parse(text: &str) -> Vec<Step> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (slot, rest) = line.split_once(' ').expect("a connection and a verb");
            let slot = slot.parse().ok().filter(|slot| *slot < SLOTS);
            Step::new(slot.unwrap_or_else(|| panic!("no such connection: {line}")), rest)
        })
        .collect()
}

/// Writes a script as it is read.
pub fn text(steps: &[Step]) -> String {
    steps.iter().map(|step| format!("{step}\n")).collect()
}

#[test]
fn scripts_are_read_as_they_are_written() {
    let script = "0 open 30000\n1 xid:7 cut:2 create /a 0 open x\n";
    let steps = parse(&format!("# a comment\n\n{script}"));
    assert_eq!(text(&steps), script);
    assert_eq!((steps[1].verb(), steps[1].modifier("xid"), steps[1].modifier("cut")), ("create", Some(7), Some(2)));
    assert_eq!(steps[1].arguments().collect::<Vec<_>>(), ["/a", "0", "open", "x"]);
}
