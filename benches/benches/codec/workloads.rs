//! What is measured of codec, session machine and mirror, by the clock (`cargo bench`) and in instructions
//! (`benches/instructions`). Each workload does its work once a call, without IO.

use std::error::Error;

#[path = "machine.rs"]
mod machine;
#[path = "mirror.rs"]
mod mirror;
#[path = "records.rs"]
mod records;
#[path = "stream.rs"]
mod stream;

pub(crate) type Outcome<T> = Result<T, Box<dyn Error>>;

/// One thing to measure.
pub(crate) struct Workload {
    /// `codec`, `stream`, `machine`, `mirror`, or `reference`: what the others are compared with.
    pub(crate) group: &'static str,
    /// What happens in one run.
    pub(crate) name: String,
    /// Bytes on the wire that one run handles.
    pub(crate) bytes: u64,
    /// Events, requests or watches that one run handles.
    pub(crate) elements: u64,
    /// Does it once.
    pub(crate) run: Box<dyn FnMut()>,
}

impl Workload {
    pub(crate) fn new(group: &'static str, name: impl Into<String>, bytes: usize, run: impl FnMut() + 'static) -> Self {
        Self { group, name: name.into(), bytes: bytes as u64, elements: 1, run: Box::new(run) }
    }
}

/// All of them; references first.
pub(crate) fn all() -> Outcome<Vec<Workload>> {
    let mut all = records::references()?;
    all.extend(records::codec()?);
    all.extend(stream::stream()?);
    all.extend(machine::machine()?);
    all.extend(mirror::mirror()?);
    Ok(all)
}
