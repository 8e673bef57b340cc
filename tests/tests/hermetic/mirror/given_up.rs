//! Waits for a mirror, given up wherever they are.

use super::{caught_up, fill, summary};
use crate::stage::{BOTH, Stage, give_up_twice, poll_and_drop, settle, within};
use futures_util::StreamExt;
use zk_client::Client;
use zk_config::{Changes, Mirror, Update};

/// All of them; changes by both ways to wait for them.
const WAITS: [&str; 5] =
    ["Mirror::ready", "Mirror::wait_for", "Mirror::barrier", "Changes::next", "Changes::next as a stream"];

/// The update is the one change there was, and no other follows.
async fn assert_told_once(changes: &mut Changes, update: Option<Update>) {
    let Some(Update::Changes(batch)) = update else { panic!("{update:?}") };
    assert_eq!(summary(&batch), ["~/app/n00001"]);
    assert!(poll_and_drop(changes.next(), 50).await.is_none(), "told once, by whichever way");
}

/// Gives one of them up after so many polls, and asserts that the mirror is none the worse; whether it was ready before.
async fn abandon(server: &Stage, client: &Client, name: &str, polls: usize) -> bool {
    let mirror = Mirror::start(client, "/app").unwrap();
    if name != "Mirror::ready" {
        within(mirror.ready()).await.unwrap();
    }
    let (_, mut changes) = mirror.subscribe();
    let set = || server.set("/app/n00001", polls.to_string().as_bytes()).unwrap();
    let is_ready = match name {
        "Mirror::ready" => poll_and_drop(mirror.ready(), polls).await.is_some(),
        "Mirror::wait_for" => poll_and_drop(mirror.wait_for(set()), polls).await.is_some(),
        "Mirror::barrier" => {
            set();
            poll_and_drop(mirror.barrier(), polls).await.is_some()
        }
        "Changes::next" => {
            let update = give_up_twice(async || changes.next().await, polls, set).await;
            assert_told_once(&mut changes, update).await;
            polls > 20
        }
        "Changes::next as a stream" => {
            let update = give_up_twice(async || StreamExt::next(&mut changes).await, polls, set).await;
            assert_told_once(&mut changes, update).await;
            polls > 20
        }
        _ => panic!("no such wait"),
    };
    caught_up(server, &mirror).await;
    is_ready
}

// goal: N7
#[tokio::test(start_paused = true)]
async fn a_mirror_is_whole_wherever_a_wait_for_it_is_given_up() {
    for profile in BOTH {
        let server = Stage::like(profile).await;
        fill(&server, "/app", 3);
        let client = server.connect().await;
        for name in WAITS {
            let mut polls = 0;
            while !abandon(&server, &client, name, polls).await {
                polls += 1;
                assert!(polls < 200, "{name} is never ready");
                settle().await;
                within(client.sync("/")).await.unwrap();
                settle().await;
                assert_eq!(server.watch_count(), 0, "{name} after {polls} polls");
            }
            assert!(polls > 1, "{name} waits");
        }
    }
}
