//! What only the crate itself can set: with which number a client begins.

use super::Connector;
use crate::{CreateMode, OPEN_ACL_UNSAFE, WatchMode};
use std::time::Duration;
use zk_testkit::server::TestServer;

/// A client that has sent two thousand million requests goes on with number 1, and every answer finds its call: before and
/// behind the turn, across a lost connection and with a watch to set again.
// goal: N6
#[tokio::test]
async fn requests_are_numbered_round_the_end_of_the_numbers() {
    let server = TestServer::start().await.unwrap();
    for left in 0..8 {
        let mut connector =
            Connector::new(&server.connect_string()).unwrap().batch_reads(false).reconnect_spread(Duration::ZERO);
        connector.settings.session.first_xid = i32::MAX - left;
        let client = connector.connect().await.unwrap();
        let _stream = client.watch("/watched", WatchMode::PERSISTENT).await.unwrap();
        let paths = [0; 6].map(|_| client.create("/s-", b"", CreateMode::EphemeralSequential, OPEN_ACL_UNSAFE));
        let mut made = Vec::new();
        for path in paths {
            made.push(path.await.unwrap().0);
        }
        assert!(made.is_sorted(), "{made:?}");
        server.drop_connections();
        while client.get_data(&made[0]).await.is_err() {}
        for path in &made {
            assert_eq!(client.get_data(path).await.unwrap().1.data_length, 0);
        }
        let xids: Vec<_> = server.take_requests().into_iter().map(|request| request.xid).collect();
        // One that was sent while the connection broke may be missing; a ping is -2.
        assert!(xids.iter().all(|xid| *xid > 0 || *xid == -2), "{xids:?}");
        assert!(
            xids.iter().any(|xid| *xid > i32::MAX - 8) && xids.iter().any(|xid| (1..100).contains(xid)),
            "{xids:?}"
        );
        client.close().await;
        drop(server.take_requests());
    }
}
