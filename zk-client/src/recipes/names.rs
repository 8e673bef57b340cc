//! Curator's names of znodes: protection, kind, number. Pure.

/// A znode in a queue: `_c_<id>-<kind><number>`; the protection may be missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Queued {
    pub(super) name: String,
    /// Which of the kinds that were asked for.
    pub(super) kind: &'static str,
    /// What the server appended. Queues are served in this order; a 32-bit number, so it wraps after 2^31 znodes.
    pub(super) number: i32,
}

/// A mark that no other znode has, as Curator's protected creates begin: `_c_`, a version 4 UUID, `-`.
pub(super) fn protection() -> String {
    let bits = fastrand::u128(..) & !(0xf << 76 | 0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let hex = format!("{bits:032x}");
    let part = |from, to| hex.get(from..to).unwrap_or_default();
    format!("_c_{}-{}-{}-{}-{}-", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}

/// The znodes of these kinds among the children of a queue, in the queue's order; others are no part of it.
pub(super) fn queue(children: Vec<String>, kinds: &[&'static str]) -> Vec<Queued> {
    let mut queue: Vec<_> = children.into_iter().filter_map(|name| queued(name, kinds)).collect();
    queue.sort_by_key(|queued| queued.number);
    queue
}

fn queued(name: String, kinds: &[&'static str]) -> Option<Queued> {
    let parts = |kind: &&'static str| {
        let (_, number) = name.rsplit_once(*kind)?;
        Some((*kind, number.parse().ok()?))
    };
    let (kind, number) = kinds.iter().find_map(parts)?;
    Some(Queued { name, kind, number })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_are_ordered_by_number_whatever_stands_before_it() {
        let children = [
            "_c_f0f0f0f0-0000-4000-8000-000000000000-lock-0000000007",
            "lock-0000000009",
            "_c_00000000-0000-4000-8000-000000000000-lock-0000000008",
            "lock-",
            "other",
            "_c_00000000-0000-4000-8000-000000000000-latch-0000000001",
        ];
        let found = queue(children.map(str::to_owned).into(), &["lock-"]);
        assert_eq!(found.iter().map(|queued| queued.number).collect::<Vec<_>>(), [7, 8, 9]);
        let both = ["x__WRIT__0000000001", "x__READ__0000000000"].map(str::to_owned);
        let kinds: Vec<_> = queue(both.into(), &["__READ__", "__WRIT__"]).iter().map(|queued| queued.kind).collect();
        assert_eq!(kinds, ["__READ__", "__WRIT__"]);
    }

    #[test]
    fn protection_is_a_uuid_of_version_4() {
        let mark = protection();
        assert!(mark.starts_with("_c_") && mark.ends_with('-') && mark.len() == 3 + 36 + 1, "{mark}");
        assert_eq!(&mark[17..18], "4", "{mark}");
        assert!(["8", "9", "a", "b"].contains(&&mark[22..23]), "{mark}");
        assert_ne!(mark, protection());
    }
}
