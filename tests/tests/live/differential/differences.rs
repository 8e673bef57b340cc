//! The file of known differences: `differences.txt`, read before every run.
//!
//! Must not know servers. A difference that is not in the file fails.

/// A line of the file, its parts parted by ` | `.
#[derive(Clone, Debug)]
pub struct Known {
    versions: Vec<String>,
    verb: String,
    ours: String,
    theirs: String,
}

/// The whole file.
///
/// # Panics
/// A line is not of five parts, or one of them is empty: a difference without a source is a bug.
pub fn read() -> Vec<Known> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/live/differences.txt");
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let parts: Vec<&str> = line.split(" | ").map(str::trim).collect();
            let &[versions, verb, ours, theirs, source] = &parts[..] else { panic!("not five parts: {line}") };
            assert!(parts.iter().all(|part| !part.is_empty()) && source.len() > 10, "say where it is from: {line}");
            let versions = versions.split(' ').map(str::to_owned).collect();
            Known { versions, verb: verb.into(), ours: ours.into(), theirs: theirs.into() }
        })
        .collect()
}

impl Known {
    /// Whether a pair of lines of a step is this difference: both sides hold what the file says.
    fn covers(&self, version: &str, verb: &str, ours: &str, theirs: &str) -> bool {
        self.versions.iter().any(|known| known == version)
            && (self.verb == "*" || self.verb == verb)
            && ours.contains(&self.ours)
            && theirs.contains(&self.theirs)
    }
}

/// Whether two servers said the same at a step, but for what is known.
pub fn agree(known: &[Known], version: &str, verb: &str, ours: &[String], theirs: &[String]) -> bool {
    let agree = |(ours, theirs): (&String, &String)| {
        ours == theirs || known.iter().any(|known| known.covers(version, verb, ours, theirs))
    };
    ours.len() == theirs.len() && ours.iter().zip(theirs).all(agree)
}

#[test]
fn the_file_can_be_read() {
    read();
}
