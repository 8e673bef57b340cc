//! Functions that are called with each update: what they are told, and what becomes of them.

use super::{caught_up, fill};
use crate::stage::{BOTH, Stage, settle, until_suspended, within};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};
use zk_config::{Listening, Mirror, Update};
use zk_tests::{Folded, fold, tree_of};

/// Counts calls; what it counts with is freed with the function.
fn count(mirror: &Mirror) -> (Arc<AtomicUsize>, Listening) {
    let calls = Arc::<AtomicUsize>::default();
    let counted = calls.clone();
    let (_, listening) = mirror.listen(move |_, _| {
        counted.fetch_add(1, Ordering::Relaxed);
    });
    (calls, listening)
}

fn is_freed(calls: &Arc<AtomicUsize>) -> bool {
    Arc::strong_count(calls) == 1
}

/// Everything that a subscriber is told, with the snapshot that it leads to, which is the current one.
// goal: M6
#[tokio::test(start_paused = true)]
async fn a_listener_is_told_what_subscribers_are() {
    for profile in BOTH {
        let server = Stage::like(profile).await;
        fill(&server, "/app", 5);
        let client = server.connect().await;
        let mirror = Mirror::start(&client, "/app").unwrap();
        let told = Arc::<Mutex<Folded>>::default();
        let (keep, current) = (told.clone(), mirror.clone());
        // From before the first load on.
        let (snapshot, listening) = mirror.listen(move |snapshot, update| {
            let mut told = keep.lock().unwrap();
            told.take(update);
            assert_eq!(told.tree, tree_of(snapshot));
            assert!(Arc::ptr_eq(snapshot, &current.snapshot()));
        });
        assert!(snapshot.is_empty() && !snapshot.is_live());
        within(mirror.ready()).await.unwrap();
        let (snapshot, changes) = mirror.subscribe();
        assert_eq!(told.lock().unwrap().tree, tree_of(&snapshot));
        let folded = fold(&snapshot, changes);
        server.set("/app/n00001", b"new").unwrap();
        caught_up(&server, &mirror).await;
        server.stop().await;
        until_suspended(&client).await;
        server.delete("/app/n00002").unwrap();
        server.create("/app/n00009", b"").unwrap();
        server.start_again().await.unwrap();
        within(mirror.status_channel().wait_for(|status| status.gaps == 1 && status.live)).await.unwrap();
        server.set("/app/n00001", b"newer").unwrap();
        let snapshot = caught_up(&server, &mirror).await;
        settle().await;
        let (told, folded) = (told.lock().unwrap(), folded.borrow());
        assert_eq!((&told.tree, &folded.tree), (&tree_of(&snapshot), &tree_of(&snapshot)));
        // The end of the first load, too.
        assert_eq!((told.gaps, told.resynced, told.in_gap), (folded.gaps, folded.resynced + 1, false));
        assert_eq!((told.changes, told.silent.as_ref()), (snapshot.len() + folded.changes, None));
        drop(listening);
    }
}

#[tokio::test(start_paused = true)]
async fn who_listens_no_more_is_not_called_and_freed() {
    let server = Stage::start().await;
    fill(&server, "/app", 3);
    let client = server.connect().await;
    let (mirror, _) = server.mirror(&client, "/app").await;
    let (first, listening) = count(&mirror);
    let (second, kept) = count(&mirror);
    server.set("/app/n00001", b"new").unwrap();
    caught_up(&server, &mirror).await;
    drop(listening);
    assert!(is_freed(&first) && !is_freed(&second));
    server.set("/app/n00001", b"newer").unwrap();
    caught_up(&server, &mirror).await;
    assert_eq!([&first, &second].map(|calls| calls.load(Ordering::Relaxed)), [1, 2]);
    // What is behind the mirror keeps no listener: neither a reader nor who still listens.
    let reader = mirror.reader();
    drop(mirror);
    settle().await;
    assert!(is_freed(&second));
    drop((reader, kept));
}

/// A listener may end itself, and let others listen, which are told of what comes then.
#[tokio::test(start_paused = true)]
async fn a_listener_may_use_its_mirror() {
    let server = Stage::start().await;
    fill(&server, "/app", 3);
    let client = server.connect().await;
    let (mirror, _) = server.mirror(&client, "/app").await;
    let own = Arc::<Mutex<Option<Listening>>>::default();
    let others = Arc::<Mutex<Vec<(Arc<AtomicUsize>, Listening)>>>::default();
    let (ends, lets, of) = (own.clone(), others.clone(), mirror.clone());
    let (_, listening) = mirror.listen(move |_, _| {
        lets.lock().unwrap().push(count(&of));
        drop(ends.lock().unwrap().take());
    });
    *own.lock().unwrap() = Some(listening);
    for calls in 0..3 {
        server.set("/app/n00001", format!("{calls}").as_bytes()).unwrap();
        caught_up(&server, &mirror).await;
        let others = others.lock().unwrap();
        assert_eq!(others.len(), 1, "it has ended");
        assert_eq!(others[0].0.load(Ordering::Relaxed), calls);
    }
    assert_eq!(Arc::strong_count(&own), 1, "it is freed");
}

/// A listener that panics costs nobody else anything.
#[tokio::test(start_paused = true)]
async fn a_listener_that_panics_is_not_called_again() {
    let server = Stage::start().await;
    fill(&server, "/app", 3);
    let client = server.connect().await;
    let (mirror, _) = server.mirror(&client, "/app").await;
    let calls = Arc::<AtomicUsize>::default();
    let counted = calls.clone();
    let (_, _panics) = mirror.listen(move |_, _| {
        counted.fetch_add(1, Ordering::Relaxed);
        std::panic::resume_unwind(Box::new("on purpose"));
    });
    let (goes_on, _listening) = count(&mirror);
    for _ in 0..3 {
        server.set("/app/n00001", b"new").unwrap();
        caught_up(&server, &mirror).await;
    }
    assert_eq!((calls.load(Ordering::Relaxed), goes_on.load(Ordering::Relaxed)), (1, 3));
    assert!(is_freed(&calls));
}

#[tokio::test(start_paused = true)]
async fn listeners_are_freed_with_the_session_and_none_is_kept_behind_it() {
    let server = Stage::start().await;
    fill(&server, "/app", 3);
    let client = server.connect().await;
    let (mirror, _) = server.mirror(&client, "/app").await;
    let (calls, _listening) = count(&mirror);
    within(client.close()).await;
    settle().await;
    assert_eq!(calls.load(Ordering::Relaxed), 1, "the gap");
    assert!(is_freed(&calls));
    let (late, _listening) = count(&mirror);
    assert!(is_freed(&late));
    let (_, mut changes) = mirror.subscribe();
    while let Some(update) = within(changes.next()).await {
        assert!(matches!(update, Update::Gap(_)), "{update:?}");
    }
}
