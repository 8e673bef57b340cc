//! Sessions that share a thread receive together.
//!
//! What a session runs through when something has arrived is more code than the nearest cache holds, and so is what the system
//! runs through to receive it. Where many have something at once, as when a znode changes that all of them watch, each receives
//! first and goes on when all have: so one kind of code runs, and then the other, instead of the two in turns, each cold. That takes 4 %
//! off the CPU of an update for a hundred sessions (`benches/RESULTS.md`). A session that has its thread for itself does not wait.
//! Knows nothing of what arrived.

use std::cell::Cell;

thread_local! {
    /// Who received last in this thread.
    static RECEIVED: Cell<usize> = const { Cell::new(0) };
}

/// A session has received something: whether another one did before it, in this thread. Sessions are told apart by a number of any
/// kind that those that live do not share.
pub(super) fn others_receive(session: usize) -> bool {
    RECEIVED.replace(session) != session
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn who_has_a_thread_for_itself_does_not_wait() {
        let in_turn = |sessions: &[usize]| sessions.iter().map(|session| others_receive(*session)).collect::<Vec<_>>();
        assert_eq!(in_turn(&[7, 7, 7, 8, 7, 7]), [true, false, false, true, true, false]);
        let elsewhere = thread::spawn(move || in_turn(&[9, 9])).join().unwrap();
        assert_eq!(elsewhere, [true, false]);
        assert_eq!(in_turn(&[7]), [false], "another thread's sessions are nobody's neighbours here");
    }
}
