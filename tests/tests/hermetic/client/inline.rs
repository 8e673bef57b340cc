//! Consumers inside the driver's task.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use crate::stage::{Stage, settle};
use tokio::time::Instant;
use zk_client::{Inline, InlineState, Input, Requests};

/// Asks for one znode when it is connected, and notes the answers.
#[derive(Clone, Default)]
struct Asks {
    path: &'static str,
    answers: Arc<Mutex<Vec<String>>>,
    done: Arc<AtomicBool>,
}

impl Inline for Asks {
    fn handle(&mut self, input: Input<'_>, requests: &mut Requests<'_>) {
        match input {
            Input::State(InlineState::Connected { .. }) => requests.get_data(7, self.path),
            Input::Answer { token, answer, .. } => self.answers.lock().unwrap().push(format!("{token}: {answer:?}")),
            _ => {}
        }
    }

    fn flush(&mut self, _requests: &mut Requests<'_>) {}

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    fn is_done(&self) -> bool {
        self.done.load(Ordering::Relaxed)
    }
}

#[tokio::test(start_paused = true)]
async fn answers_for_a_consumer_that_is_gone_are_not_given_to_the_next_one() {
    let server = Stage::start().await;
    server.create("/old", b"old").unwrap();
    server.create("/new", b"new").unwrap();
    let client = server.connect().await;
    let old = Asks { path: "/old", ..Asks::default() };
    let new = Asks { path: "/new", ..Asks::default() };
    server.hold_replies(true);
    client.attach(old.clone()).unwrap();
    settle().await;
    old.done.store(true, Ordering::Relaxed);
    client.wake();
    settle().await;
    client.attach(new.clone()).unwrap();
    settle().await;
    server.hold_replies(false);
    settle().await;
    assert_eq!(old.answers.lock().unwrap().len(), 0);
    let answers = new.answers.lock().unwrap();
    assert!(answers.len() == 1 && answers[0].contains("new"), "{answers:?}");
}
