//! Creates whose replies are lost while the member that is left lags: it does not show yet what was made.

use std::time::Duration;

use crate::{
    client::lagging::Three,
    stage::{until_suspended, within},
};
use zk_client::{
    Client, OPEN_ACL_UNSAFE,
    recipes::{Lock, PersistentNode},
};
use zk_testkit::server::Lag;

/// Longer than any pause before a connect.
const LAG: Duration = Duration::from_secs(2);

/// A client whose member takes what comes, answers nothing and fails when something was made in `/dir`; the one that is
/// left is behind.
async fn fails_behind(three: &Three, client: &Client) {
    let member = three.member_of(client);
    let left = three.member(1 - member);
    left.lag(Lag::Time(LAG));
    three.member(member).hold_replies(true);
    tokio::task::yield_now().await;
    let is_made = |names: Option<Vec<String>>| names.is_some_and(|names| !names.is_empty());
    within(three.member(2).wait_until(|model| is_made(model.children("/dir")))).await;
    three.member(member).stop().await;
    until_suspended(client).await;
}

#[tokio::test(start_paused = true)]
async fn a_lock_is_not_made_twice_on_a_member_that_lags() {
    let three = Three::start().await;
    three.member(2).create("/dir", b"").unwrap();
    let client = three.connect(&[0, 1]).await;
    let lock = Lock::new(&client, "/dir", OPEN_ACL_UNSAFE);
    let acquiring = tokio::spawn(async move { lock.acquire().await });
    fails_behind(&three, &client).await;
    let guard = within(acquiring).await.unwrap().unwrap();
    assert!(guard.is_held());
    assert_eq!(three.member(2).get("/dir").unwrap().1.cversion, 1, "made once");
}

#[tokio::test(start_paused = true)]
async fn an_ephemeral_is_not_made_twice_on_a_member_that_lags() {
    for sequential in [true, false] {
        let three = Three::start().await;
        three.member(2).create("/dir", b"").unwrap();
        let client = three.connect(&[0, 1]).await;
        let node = if sequential {
            PersistentNode::start_sequential(&client, "/dir/n", b"", OPEN_ACL_UNSAFE)
        } else {
            PersistentNode::start(&client, "/dir/n", b"", OPEN_ACL_UNSAFE)
        };
        fails_behind(&three, &client).await;
        let path = within(node.present()).await.unwrap();
        assert_eq!(three.member(2).get("/dir").unwrap().1.cversion, 1, "made once");
        let creates = three.member(2).requests();
        let is_create = |op| [zk_client::OpCode::CREATE, zk_client::OpCode::CREATE2].contains(&op);
        assert_eq!(creates.iter().filter(|request| is_create(request.op)).count(), 1, "{path}: and asked for once");
        within(node.close()).await;
        assert!(three.member(2).get(&path).is_none());
    }
}
