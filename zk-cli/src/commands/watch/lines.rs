//! What `zk watch` prints: a line each, seen at once.
//!
//! Must not know where changes come from.

use crate::{error::Failure, json::Value, output::Output, text};
use serde::Serialize;
use zk_client::{SessionState, Zxid};
use zk_config::{Batch, Change, GapReason, Node, Snapshot};

/// Prints lines, as text or JSON.
pub(super) struct Lines<'a> {
    output: &'a mut Output,
    /// In JSON the first lines are the znodes; the session's state comes behind them.
    started: bool,
}

/// A line of JSON.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Line<'a> {
    Added(Changed<'a>),
    Changed(Changed<'a>),
    Removed(Changed<'a>),
    Ready { zxid: i64 },
    Gap { reason: &'static str },
    Resynced { zxid: i64 },
    State(State),
}

#[derive(Serialize)]
struct Changed<'a> {
    path: &'a str,
    zxid: i64,
    old: Option<Value<'a>>,
    new: Option<Value<'a>>,
}

#[derive(Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
enum State {
    Connecting { expired: Option<String> },
    Connected { server: String, session: String, session_timeout_ms: u128, read_only: bool },
    Suspended { session: String },
    Ended { why: String },
}

impl<'a> Lines<'a> {
    pub(super) const fn new(output: &'a mut Output) -> Self {
        Self { output, started: false }
    }

    /// The znodes at the start.
    pub(super) fn snapshot(&mut self, snapshot: &Snapshot) -> Result<(), Failure> {
        let zxid = snapshot.revision();
        if self.output.is_json() {
            for (path, node) in snapshot.iter() {
                self.output.object(&line(path, zxid, None, Some(node)))?;
            }
            self.output.object(&Line::Ready { zxid: zxid.0 })?;
        } else {
            let count = snapshot.len();
            let znodes = if count == 1 { "znode" } else { "znodes" };
            self.text("ready", &format!("{}  {count} {znodes}  zxid {zxid}", text::safe(snapshot.root())))?;
        }
        self.started = true;
        self.output.flush()
    }

    /// Changes that became visible together.
    pub(super) fn changes(&mut self, batch: &Batch) -> Result<(), Failure> {
        for change in &batch.changes {
            self.change(change, batch.revision)?;
        }
        self.output.flush()
    }

    fn change(&mut self, change: &Change, zxid: Zxid) -> Result<(), Failure> {
        let (old, new) = (change.old.as_deref(), change.new.as_deref());
        if self.output.is_json() {
            self.output.object(&line(&change.path, zxid, old, new))?;
            // Whoever reads this acts on each line: none waits for the next.
            return self.output.flush();
        }
        if change.is_stat_only() {
            return Ok(());
        }
        let short = |node: &Node| text::short(&node.data);
        let (kind, values) = match (old, new) {
            (None, Some(new)) => ("added", short(new)),
            (Some(old), None) => ("removed", short(old)),
            (Some(old), Some(new)) if change.is_recreated() => {
                ("changed", format!("{} → {} (deleted and created again)", short(old), short(new)))
            }
            (Some(old), Some(new)) => ("changed", format!("{} → {}", short(old), short(new))),
            (None, None) => return Ok(()),
        };
        self.text(kind, &format!("{}  {values}  zxid {zxid}", text::safe(&change.path)))
    }

    /// From here on changes may be missed.
    pub(super) fn gap(&mut self, reason: GapReason) -> Result<(), Failure> {
        let (name, why) = match reason {
            GapReason::NotLoaded => ("not_loaded", "nothing is loaded yet"),
            GapReason::ConnectionLost => {
                ("connection_lost", "the connection was lost: changes may be missed from here")
            }
            GapReason::SessionExpired => ("session_expired", "the session expired: changes may be missed from here"),
            GapReason::GivenUp => ("given_up", "the mirror gave up: nothing more is known from here"),
            GapReason::Overflow => ("overflow", "too slow for single changes: what follows is their sum"),
        };
        self.json_or_text(&Line::Gap { reason: name }, "gap", why)
    }

    /// All changes that were missed have been told now.
    pub(super) fn resynced(&mut self, revision: Zxid) -> Result<(), Failure> {
        let text = format!("all missed changes are told; exact again  zxid {revision}");
        self.json_or_text(&Line::Resynced { zxid: revision.0 }, "resynced", &text)
    }

    /// How the session stands.
    pub(super) fn state(&mut self, state: SessionState) -> Result<(), Failure> {
        if self.output.is_json() && !self.started {
            return Ok(());
        }
        let (line, text) = match state {
            SessionState::Connecting { expired } => (
                State::Connecting { expired: expired.map(|session| session.to_string()) },
                expired.map_or("connecting".to_owned(), |session| format!("{session} expired; making a new one")),
            ),
            SessionState::Connected { server, session, timeout, read_only, .. } => (
                State::Connected {
                    server: server.to_string(),
                    session: session.to_string(),
                    session_timeout_ms: timeout.as_millis(),
                    read_only,
                },
                format!("{session} connected to {server}{}", if read_only { " (read-only)" } else { "" }),
            ),
            SessionState::Suspended { session, .. } => (
                State::Suspended { session: session.to_string() },
                format!("{session} has no connection; looking for a server"),
            ),
            SessionState::Ended(end) => (State::Ended { why: end.to_string() }, format!("ended: {end}")),
            _ => return Ok(()),
        };
        self.json_or_text(&Line::State(line), "session", &text)
    }

    fn json_or_text(&mut self, line: &Line<'_>, kind: &str, text: &str) -> Result<(), Failure> {
        if self.output.is_json() {
            self.output.object(line)?;
        } else {
            self.text(kind, text)?;
        }
        self.output.flush()
    }

    fn text(&mut self, kind: &str, text: &str) -> Result<(), Failure> {
        self.output.line(&format!("{}  {kind:<8}  {text}", text::clock()))
    }
}

fn line<'a>(path: &'a str, zxid: Zxid, old: Option<&'a Node>, new: Option<&'a Node>) -> Line<'a> {
    let value = |node: &'a Node| Value::new(&node.data, &node.stat);
    let kind = match (old, new) {
        (None, _) => Line::Added,
        (Some(_), Some(_)) => Line::Changed,
        (Some(_), None) => Line::Removed,
    };
    kind(Changed { path, zxid: zxid.0, old: old.map(value), new: new.map(value) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::tests::{STAT, STAT_JSON};
    use zk_client::Bytes;

    #[track_caller]
    fn check(line: &Line<'_>, expected: &str) {
        assert_eq!(serde_json::to_string(line).unwrap(), expected.replace("STAT", STAT_JSON));
    }

    #[test]
    fn lines_of_json() {
        let node = |data: &'static [u8]| Node { data: Bytes::from_static(data), stat: STAT };
        let (old, new) = (node(b"a"), node(b"\xff"));
        check(
            &line("/x", Zxid(5), Some(&old), Some(&new)),
            r#"{"kind":"changed","path":"/x","zxid":5,"old":{"data":"a","encoding":"utf8","stat":STAT},"new":{"data":"/w==","encoding":"base64","stat":STAT}}"#,
        );
        check(
            &line("/x", Zxid(5), None, Some(&old)),
            r#"{"kind":"added","path":"/x","zxid":5,"old":null,"new":{"data":"a","encoding":"utf8","stat":STAT}}"#,
        );
        check(
            &line("/x", Zxid(5), Some(&old), None),
            r#"{"kind":"removed","path":"/x","zxid":5,"old":{"data":"a","encoding":"utf8","stat":STAT},"new":null}"#,
        );
        check(&Line::Ready { zxid: 7 }, r#"{"kind":"ready","zxid":7}"#);
        check(&Line::Gap { reason: "overflow" }, r#"{"kind":"gap","reason":"overflow"}"#);
        check(&Line::Resynced { zxid: 7 }, r#"{"kind":"resynced","zxid":7}"#);
        check(
            &Line::State(State::Suspended { session: "0x1".to_owned() }),
            r#"{"kind":"state","state":"suspended","session":"0x1"}"#,
        );
    }
}
