//! What the bytes of a frame mean, line by line.
//!
//! Must not know how the frame was made: it reads the bytes by the schema.

use std::fmt::Write as _;

use crate::meaning::{is_volatile, number, op_text, text};
use crate::schema::{Field, Type, fields, op_of};

/// Some bytes of a frame and what they mean.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) hex: String,
    pub(crate) meaning: String,
    /// The meaning without what differs from run to run: two exchanges with the same shapes teach the same.
    pub(crate) shape: String,
}

/// How the bytes fit the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fit {
    /// They are the record.
    Exact,
    /// They can be read, but hold more than the record can, or null where it has no null.
    Lossy,
    /// They are not the record.
    Broken,
}

/// A frame with its meaning.
#[derive(Clone, Debug)]
pub(crate) struct Annotation {
    pub(crate) lines: Vec<Line>,
    pub(crate) fit: Fit,
}

/// A record and nothing else: the two frames of the greeting.
pub(crate) fn record(name: &str, frame: &[u8]) -> Annotation {
    annotate(frame, |frame| frame.record(name, ""))
}

/// A request behind its header.
pub(crate) fn request(frame: &[u8]) -> Annotation {
    annotate(frame, |frame| {
        let op = frame.peek_int(4).and_then(op_of);
        frame.record("RequestHeader", "")?;
        match op?.request {
            "multi" => frame.multi_request(op?.name == "multiRead"),
            record => frame.record(record, ""),
        }
    })
}

/// A reply behind its header; `None` for an operation without a reply of its own, such as an event.
pub(crate) fn reply(op: i32, frame: &[u8]) -> Annotation {
    annotate(frame, |frame| {
        let err = frame.peek_int(12);
        frame.record("ReplyHeader", "")?;
        if err != Some(0) && !frame.rest().is_empty() {
            frame.fit = Fit::Lossy;
        }
        match op_of(op)?.reply {
            // An error needs no body, and what stands behind it is to be ignored.
            _ if err != Some(0) && frame.rest().is_empty() => Some(()),
            "multi" => frame.multi_reply(),
            record => frame.record(record, ""),
        }
    })
}

/// An event behind its header.
pub(crate) fn notification(frame: &[u8]) -> Annotation {
    annotate(frame, |frame| {
        frame.record("ReplyHeader", "")?;
        frame.record("WatcherEvent", "")
    })
}

fn annotate(bytes: &[u8], read: impl FnOnce(&mut Frame<'_>) -> Option<()>) -> Annotation {
    let mut frame = Frame { bytes, at: 0, lines: Vec::new(), fit: Fit::Exact };
    if read(&mut frame).is_none() {
        frame.fit = Fit::Broken;
    }
    let rest = frame.rest().len();
    if rest > 0 {
        frame.fit = frame.fit.max(Fit::Lossy);
        let what = if frame.fit == Fit::Broken { "not what belongs here" } else { "more than the record" };
        let line = frame.take(rest).unwrap_or_default();
        frame.say(&[line], what.into(), false);
    }
    Annotation { lines: frame.lines, fit: frame.fit }
}

/// A place in a frame, and what was read before it. `None` of its functions: the bytes are not what belongs there.
struct Frame<'a> {
    bytes: &'a [u8],
    at: usize,
    lines: Vec<Line>,
    fit: Fit,
}

impl<'a> Frame<'a> {
    fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    fn peek_int(&self, at: usize) -> Option<i32> {
        let bytes = self.rest().get(at..at + 4)?;
        Some(i32::from_be_bytes(bytes.try_into().ok()?))
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let taken = self.rest().get(..len)?;
        self.at += len;
        Some(taken)
    }

    fn int(&mut self) -> Option<i32> {
        let value = self.peek_int(0)?;
        self.at += 4;
        Some(value)
    }

    /// Adds a line; the groups of bytes stand apart.
    fn say(&mut self, groups: &[&[u8]], meaning: String, volatile: bool) {
        let mut hex = String::new();
        for group in groups.iter().filter(|group| !group.is_empty()) {
            hex.extend((!hex.is_empty()).then_some(' '));
            group.iter().for_each(|byte| write!(hex, "{byte:02x}").expect("to a String"));
        }
        let shape = if volatile { meaning.split(' ').next().unwrap_or_default().to_owned() } else { meaning.clone() };
        self.lines.push(Line { hex, meaning, shape });
    }

    fn record(&mut self, name: &str, prefix: &str) -> Option<()> {
        for field in fields(name) {
            let Field { ty, name: field_name, optional } = &field;
            if *optional && *ty == Type::Bool && self.rest().is_empty() {
                break;
            }
            // `stat` is the only record in a record that is not worth a name of its own.
            let path = if field_name == "stat" { prefix.to_owned() } else { join(prefix, field_name) };
            self.value(name, &path, ty, *optional)?;
        }
        Some(())
    }

    fn value(&mut self, record: &str, path: &str, ty: &Type, optional: bool) -> Option<()> {
        match ty {
            Type::Bool => {
                let byte = self.take(1)?;
                if byte > &[1][..] {
                    self.fit = self.fit.max(Fit::Lossy);
                }
                self.say(&[byte], format!("{path} {}", byte != [0]), false);
            }
            Type::Int | Type::Long => {
                let bytes = self.take(if *ty == Type::Int { 4 } else { 8 })?;
                let value =
                    bytes.iter().skip(1).fold(i64::from(bytes[0] as i8), |sum, byte| sum << 8 | i64::from(*byte));
                let field = path.rsplit('.').next().unwrap_or(path);
                let meaning = format!("{path} {}", number(record, field, value));
                self.say(&[bytes], meaning, is_volatile(field, value));
            }
            Type::Buffer | Type::Str => self.run(path, *ty == Type::Str, optional)?,
            Type::List(item) => self.list(record, path, item, optional)?,
            Type::Record(name) => self.record(name, path.strip_suffix(".id").unwrap_or(path))?,
        }
        Some(())
    }

    fn run(&mut self, path: &str, is_text: bool, optional: bool) -> Option<()> {
        let from = self.at;
        let len = self.int()?;
        let prefix = &self.bytes[from..self.at];
        if len == -1 {
            self.nothing(prefix, path, optional);
            return Some(());
        }
        let bytes = self.take(usize::try_from(len).ok()?)?;
        if is_text && str::from_utf8(bytes).is_err() {
            self.fit = self.fit.max(Fit::Lossy);
        }
        let field = path.rsplit('.').next().unwrap_or(path);
        self.say(&[prefix, bytes], format!("{path} {}", text(field, bytes, is_text)), is_volatile(field, len.into()));
        Some(())
    }

    fn nothing(&mut self, prefix: &[u8], path: &str, optional: bool) {
        if !optional {
            self.fit = self.fit.max(Fit::Lossy);
        }
        self.say(&[prefix], format!("{path} null"), false);
    }

    fn list(&mut self, record: &str, path: &str, item: &Type, optional: bool) -> Option<()> {
        let from = self.at;
        let count = self.int()?;
        let prefix = &self.bytes[from..self.at];
        if count == -1 {
            self.nothing(prefix, path, optional);
            return Some(());
        }
        if count < 0 {
            self.fit = self.fit.max(Fit::Lossy);
        }
        self.say(&[prefix], format!("{path}.count {count}"), false);
        (0..count).try_for_each(|n| self.value(record, &format!("{path}[{n}]"), item, false))
    }

    /// A MultiHeader on one line; `None` at the end of the list.
    fn multi_header(&mut self, n: usize) -> Option<Option<i32>> {
        let from = self.at;
        let (op, done, err) = (self.int()?, self.take(1)? != [0], self.int()?);
        let bytes = &self.bytes[from..self.at];
        let what = if done { "the end".to_owned() } else { op_text(op) };
        let meaning = format!("[{n}] type {op} {what}, done {}, err {err}", i32::from(done));
        self.say(&[&bytes[..4], &bytes[4..5], &bytes[5..]], meaning, false);
        Some((!done).then_some(op))
    }

    fn multi_request(&mut self, reads: bool) -> Option<()> {
        let allowed: &[i32] = if reads { &[4, 8] } else { &[1, 2, 5, 13, 15, 19, 21] };
        for n in 0.. {
            let Some(op) = self.multi_header(n)? else { break };
            self.record(op_of(op)?.request, &format!("[{n}]"))?;
            if !allowed.contains(&op) {
                self.fit = Fit::Broken;
            }
        }
        Some(())
    }

    fn multi_reply(&mut self) -> Option<()> {
        for n in 0.. {
            let Some(op) = self.multi_header(n)? else { break };
            let record = if op == -1 { "ErrorResponse" } else { op_of(op)?.reply };
            self.record(record, &format!("[{n}]"))?;
        }
        Some(())
    }
}

fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") }
}
