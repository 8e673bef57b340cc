//! The few znodes that everything is about.

use zk_proto::jute::Text;

pub(crate) const PATHS: usize = 4;

/// So long that four of them, on whatever lists, fill a frame that sets watches again.
const LONG: usize = 33_000;

/// The paths `/0` to `/3`, or longer ones that start so.
pub(crate) struct Paths {
    pub(crate) names: [String; PATHS],
    pub(crate) texts: [Text; PATHS],
}

impl Paths {
    pub(crate) fn new(long: bool) -> Self {
        let fill = "x".repeat(if long { LONG } else { 0 });
        let names = std::array::from_fn(|n| format!("/{n}{fill}"));
        let texts = std::array::from_fn(|n: usize| Text::from(names[n].as_str()));
        Self { names, texts }
    }

    /// Which path these bytes are.
    pub(crate) fn index(&self, path: &[u8]) -> Option<usize> {
        let index = usize::from(path.get(1)?.wrapping_sub(b'0'));
        (self.names.get(index)?.as_bytes() == path).then_some(index)
    }
}
