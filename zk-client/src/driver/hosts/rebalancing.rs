//! Who moves when the list of servers changes, so that every server ends up with its share of the clients.
//!
//! Each client decides by chance and by itself; the shares come out even if they were even before. Let there be S servers
//! before, of which K are kept, and N = K + A servers after, of which A are added.
//!
//! - More servers than before (N > S): each kept server must go from 1/S of the clients to 1/N, so a client of a kept one
//!   stays with the chance S/N and otherwise goes to an added one. Clients of removed servers go to added ones.
//! - Otherwise: a client of a kept server stays. Each kept server needs 1/N - 1/S more, all K of them together
//!   K (S - N) / (S N), out of the clients of removed ones, which are (S - K) / S: so such a client goes to a kept server with
//!   the chance K (S - N) / (N (S - K)), and to an added one otherwise.
//!
//! These are the chances of the Java client's `updateServerList`, so that both kinds of clients may share an ensemble.
//! Knows nothing of sockets.

/// Where to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Move {
    /// The server that we have is as good as any.
    Stay,
    /// To a server that was in the list before.
    Kept,
    /// To a new one.
    Added,
}

/// Decides for a client whose server `is_kept`; `chance` is between 0 and 1.
pub(super) fn decide(before: usize, kept: usize, added: usize, is_kept: bool, chance: f64) -> Move {
    let float = |number: usize| u32::try_from(number).map_or(f64::from(u32::MAX), f64::from);
    let after = kept + added;
    if after > before {
        let stays = is_kept && chance < float(before) / float(after);
        return if stays { Move::Stay } else { Move::Added };
    }
    if is_kept {
        return Move::Stay;
    }
    let to_kept = float(kept * (before - after)) / float((after * before.saturating_sub(kept)).max(1));
    if chance < to_kept || added == 0 { Move::Kept } else { Move::Added }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Clients a server before the change.
    const EACH: usize = 20_000;

    /// Clients of servers `0..before`, of which those below `before - kept` are removed, after the change.
    fn shares(before: usize, kept: usize, added: usize, random: &mut fastrand::Rng) -> Vec<usize> {
        let first_kept = before - kept;
        let mut clients = vec![0; kept + added];
        for server in 0..before {
            for _ in 0..EACH {
                let to = match decide(before, kept, added, server >= first_kept, random.f64()) {
                    Move::Stay => server - first_kept,
                    Move::Kept => random.usize(..kept),
                    Move::Added => kept + random.usize(..added),
                };
                clients[to] += 1;
            }
        }
        clients
    }

    // goal: N9
    #[test]
    fn every_server_ends_up_with_its_share() {
        let mut random = fastrand::Rng::with_seed(9);
        for (before, kept, added) in [
            (3, 3, 2),
            (5, 3, 0),
            (3, 0, 3),
            (3, 2, 1),
            (3, 1, 4),
            (5, 2, 2),
            (4, 1, 1),
            (9, 3, 0),
            (1, 1, 8),
            (3, 3, 0),
        ] {
            let share = before * EACH / (kept + added);
            for (server, clients) in shares(before, kept, added, &mut random).into_iter().enumerate() {
                let is_fair = clients.abs_diff(share) < share / 20;
                assert!(is_fair, "{before} -> {kept} + {added}: server {server} has {clients} instead of {share}");
            }
        }
    }

    #[test]
    fn nobody_moves_without_need() {
        assert_eq!(decide(3, 3, 0, true, 0.99), Move::Stay, "the same list");
        assert_eq!(decide(3, 2, 0, true, 0.99), Move::Stay, "a shorter one");
        assert_eq!(decide(3, 2, 1, true, 0.99), Move::Stay, "one was replaced, not ours");
    }
}
