//! How things look to people: stats as zkCli prints them, values in short, times.
//!
//! Invariant: what is [`safe`] or [`short`] is one line and moves no terminal.

use jiff::{Timestamp, Zoned, tz::TimeZone};
use std::{fmt::Write, time::Duration};
use zk_client::Stat;

/// Characters of a value in a line of `tree` and `watch`.
const SHORT_CHARS_MAX: usize = 40;

/// zkCli's eleven lines, without the last line's end.
pub(crate) fn stat(stat: &Stat) -> String {
    format!(
        "cZxid = {}\nctime = {}\nmZxid = {}\nmtime = {}\npZxid = {}\ncversion = {}\ndataVersion = {}\naclVersion = \
         {}\nephemeralOwner = {}\ndataLength = {}\nnumChildren = {}",
        stat.czxid,
        date(stat.ctime),
        stat.mzxid,
        date(stat.mtime),
        stat.pzxid,
        stat.cversion,
        stat.version,
        stat.aversion,
        stat.ephemeral_owner,
        stat.data_length,
        stat.num_children,
    )
}

/// A time as Java prints it, in the local zone: `Thu Jan 01 00:00:00 UTC 1970`.
fn date(ms: i64) -> String {
    match Timestamp::from_millisecond(ms) {
        Ok(time) => time.to_zoned(zone()).strftime("%a %b %d %H:%M:%S %Z %Y").to_string(),
        Err(_) => format!("{ms} ms"),
    }
}

/// The local time of day, to the millisecond.
pub(crate) fn clock() -> String {
    Zoned::now().with_time_zone(zone()).strftime("%H:%M:%S.%3f").to_string()
}

/// The local zone; UTC where the system does not say.
fn zone() -> TimeZone {
    TimeZone::try_system().unwrap_or(TimeZone::UTC)
}

/// A value in quotes, escaped and cut; how many bytes, if it is no text.
pub(crate) fn short(data: &[u8]) -> String {
    let text = match std::str::from_utf8(data) {
        Ok(text) if !text.chars().any(|c| c.is_control() && !c.is_whitespace()) => text,
        Ok(_) | Err(_) => return format!("({} bytes)", data.len()),
    };
    let mut quoted = String::from("\"");
    for (at, c) in text.chars().enumerate() {
        if at == SHORT_CHARS_MAX {
            quoted.push('…');
            break;
        }
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c => push_escaped(&mut quoted, c),
        }
    }
    quoted.push('"');
    quoted
}

/// A text as one line: whatever is not to be seen is escaped.
pub(crate) fn safe(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    text.chars().for_each(|c| push_escaped(&mut safe, c));
    safe
}

/// A text for a terminal: lines stay lines, other control characters are escaped.
pub(crate) fn for_terminal(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\n' | '\t') { shown.push(c) } else { push_escaped(&mut shown, c) }
    }
    shown
}

fn push_escaped(text: &mut String, c: char) {
    match c {
        '"' | '\'' | '\\' => text.push(c),
        c => text.extend(c.escape_debug()),
    }
}

/// A duration in the unit that suits it: `412 µs`, `1.8 ms`, `2.31 s`.
pub(crate) fn time(time: Duration) -> String {
    match time.as_micros() {
        us @ ..1_000 => format!("{us} µs"),
        us @ ..1_000_000 => format!("{}.{} ms", us / 1_000, us % 1_000 / 100),
        us => format!("{}.{:02} s", us / 1_000_000, us % 1_000_000 / 10_000),
    }
}

/// The znodes of a subtree, in the order of a walk, as a drawing: a line each.
pub(crate) fn tree<'a>(root: &'a str, nodes: &[(&'a str, &[u8])]) -> Vec<String> {
    let depth = |path: &str| path.split('/').filter(|name| !name.is_empty()).count();
    let top = depth(root);
    // For each depth, whether more comes there: filled from below, because a branch is drawn by what follows.
    let mut more: Vec<bool> = Vec::new();
    let mut lines = Vec::with_capacity(nodes.len());
    for (path, data) in nodes.iter().rev() {
        let level = depth(path).saturating_sub(top);
        let mut line = String::new();
        if level > 0 {
            more.resize(level, false);
            for more in more.iter().take(level - 1) {
                line.push_str(if *more { "│   " } else { "    " });
            }
            line.push_str(if more.last() == Some(&true) { "├── " } else { "└── " });
            if let Some(more) = more.last_mut() {
                *more = true;
            }
        }
        let name = if level == 0 { path } else { path.rsplit('/').next().unwrap_or(path) };
        line.push_str(&safe(name));
        if !data.is_empty() {
            let _ = write!(line, " = {}", short(data)); // to a String: cannot fail
        }
        lines.push(line);
    }
    lines.reverse();
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_in_short() {
        let check = |data: &[u8], expected: &str| assert_eq!(short(data), expected);
        check(b"", "\"\"");
        check(b"db1:5432", "\"db1:5432\"");
        check("ü \"x\" \\".as_bytes(), "\"ü \\\"x\\\" \\\\\"");
        check(b"a: 1\nb:\t2\n", "\"a: 1\\nb:\\t2\\n\"");
        check(&[b'x'; 40], &format!("\"{}\"", "x".repeat(40)));
        check("ü".repeat(41).as_bytes(), &format!("\"{}…\"", "ü".repeat(40)));
        check(b"\x1b[2J", "(4 bytes)");
        check(&[0xff; 7], "(7 bytes)");
        check("\u{202e}x".as_bytes(), "\"\\u{202e}x\"");
    }

    #[test]
    fn no_text_moves_the_terminal() {
        assert_eq!(safe("/a\u{1b}[2J\nb"), "/a\\u{1b}[2J\\nb");
        assert_eq!(safe("it's \"x\""), "it's \"x\"");
        assert_eq!(for_terminal("a\n\tb\u{1b}c\r"), "a\n\tb\\u{1b}c\\r");
    }

    #[test]
    fn a_date_as_java_prints_it() {
        let date = super::date(1_700_000_000_123);
        let mut words = date.split(' ');
        let (day, month) = (words.next().unwrap(), words.next().unwrap());
        assert!(day.len() == 3 && month == "Nov" && date.ends_with(" 2023"), "{date}");
        assert_eq!(super::date(i64::MAX), "9223372036854775807 ms");
        let clock = clock();
        assert!(clock.len() == 12 && clock.as_bytes()[8] == b'.', "{clock}");
    }

    #[test]
    fn times() {
        let us = Duration::from_micros;
        assert_eq!([time(us(412)), time(us(1_870)), time(us(2_319_999))], ["412 µs", "1.8 ms", "2.31 s"]);
    }

    #[test]
    fn a_tree_is_drawn_with_its_branches() {
        let nodes: Vec<(&str, &[u8])> =
            vec![("/c", b""), ("/c/a", b"1"), ("/c/a/x", b""), ("/c/a/y", b"2"), ("/c/b", b""), ("/c/b/z", b"3")];
        let expected = ["/c", "├── a = \"1\"", "│   ├── x", "│   └── y = \"2\"", "└── b", "    └── z = \"3\""];
        assert_eq!(tree("/c", &nodes), expected);
        let nodes: Vec<(&str, &[u8])> = vec![("/", b""), ("/a", b"1"), ("/b", b"")];
        assert_eq!(tree("/", &nodes), ["/", "├── a = \"1\"", "└── b"]);
    }
}
