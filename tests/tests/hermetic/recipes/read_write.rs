//! The lock of readers and writers, in the order that Curator's gives.

use std::time::Duration;

use super::children;
use crate::stage::{Stage, settle, within};
use zk_client::{OPEN_ACL_UNSAFE, recipes::ReadWriteLock};

const SHORT: Duration = Duration::from_millis(100);

/// Curator's TestInterProcessReadWriteLock.testBasic and its node names.
// goal: K1
#[tokio::test(start_paused = true)]
async fn readers_share_and_a_writer_excludes() {
    let server = Stage::start().await;
    let (one, two) = (server.connect().await, server.connect().await);
    let lock = |client| ReadWriteLock::new(client, "/rw", OPEN_ACL_UNSAFE);
    let readers = [within(lock(&one).read()).await.unwrap(), within(lock(&two).read()).await.unwrap()];
    let names = server.children("/rw").unwrap();
    assert!(names.iter().all(|name| name.starts_with("_c_") && name.contains("-__READ__000000000")), "{names:?}");
    assert!(within(lock(&two).write_within(SHORT)).await.unwrap().is_none());
    for reader in readers {
        within(reader.release()).await.unwrap();
    }
    let writer = within(lock(&two).write()).await.unwrap();
    let names = server.children("/rw").unwrap();
    assert!(names.iter().all(|name| name.contains("-__WRIT__")), "{names:?}");
    assert!(within(lock(&one).read_within(SHORT)).await.unwrap().is_none());
    assert!(within(lock(&one).write_within(SHORT)).await.unwrap().is_none());
    within(writer.release()).await.unwrap();
    assert!(within(lock(&one).read_within(SHORT)).await.unwrap().is_some());
}

/// A writer that waits is not passed by readers who come later; those before it are not in its way for ever.
#[tokio::test(start_paused = true)]
async fn the_order_is_that_of_coming() {
    let server = Stage::start().await;
    let (told, mut order) = tokio::sync::mpsc::channel(100);
    let mut releases = Vec::new();
    for (number, kind) in "rrwrrwwr".chars().enumerate() {
        let (client, told) = (server.connect().await, told.clone());
        let (release, released) = tokio::sync::oneshot::channel::<()>();
        releases.push(Some(release));
        tokio::spawn(async move {
            let lock = ReadWriteLock::new(&client, "/rw", OPEN_ACL_UNSAFE);
            let guard = if kind == 'r' { lock.read().await } else { lock.write().await }.unwrap();
            told.send(number).await.unwrap();
            drop(released.await);
            guard.release().await.unwrap();
        });
        children(&server, "/rw", number + 1).await;
    }
    let mut release = |number: usize| drop(releases[number].take());
    let mut granted = Vec::new();
    let mut now = async || {
        settle().await;
        while let Ok(number) = order.try_recv() {
            granted.push(number);
        }
        granted.sort_unstable();
        std::mem::take(&mut granted)
    };
    assert_eq!(now().await, [0, 1], "readers share; the writer waits, and readers behind it");
    release(0);
    assert_eq!(now().await, [0; 0], "another reader is still there");
    release(1);
    assert_eq!(now().await, [2], "the writer, alone");
    release(2);
    assert_eq!(now().await, [3, 4], "both readers behind it");
    release(3);
    release(4);
    assert_eq!(now().await, [5]);
    release(5);
    assert_eq!(now().await, [6], "one writer at a time");
    release(6);
    assert_eq!(now().await, [7]);
    release(7);
    children(&server, "/rw", 0).await;
}
