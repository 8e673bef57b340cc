//! Plain reads that are called together, on real servers of every release line: each gets what it gets alone.

use futures_util::future::join_all;
use std::{fmt::Write as _, pin::Pin, time::Duration};
use zk_client::{Acl, AuthId, Bytes, Call, Client, Connector, CreateMode, OPEN_ACL_UNSAFE, Permissions, Stat};
use zk_proto::words::ServerStatus;
use zk_testkit::launcher::{Ensemble, Version};
use zk_tests::real;

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Done = Result<(), Failure>;

const PATIENCE: Duration = Duration::from_secs(30);

/// Calls of a round; most are reads.
const CALLS: usize = 100;
const ROUNDS: usize = 20;

/// Children of a znode that has many.
const WIDE: usize = 300;

/// The same calls by a client that batches and by one that does not, each below a root of its own.
// goal: N18
async fn the_same_answers_from(version: Version) -> Done {
    let ensemble = real(version).start().await?;
    let server = ensemble.server(0).ok_or("no server")?;
    let knows_multi_read = server.version().at_least(3, 6);
    let (mut ends, mut packets) = (Vec::new(), Vec::new());
    for (root, batch) in [("/together", true), ("/alone", false)] {
        prepare(&ensemble, root).await?;
        let servers = format!("{}{root}", ensemble.connect_string());
        let client = Connector::new(&servers)?.batch_reads(batch).connect_timeout(PATIENCE).connect().await?;
        // Here it finds out what the server knows. One that does not know it hangs up, and no read is lost by that.
        for read in join_all((0..CALLS).map(|_| client.get_data("/a"))).await {
            assert_eq!(read?.0, "a", "{root}");
        }
        // A list in a batch is the list that comes alone, with its names in the same order.
        let alone = client.list_children("/wide").await?;
        assert_eq!(alone.len(), WIDE, "{root}");
        for list in join_all((0..CALLS).map(|_| client.list_children("/wide"))).await {
            assert_eq!(list?, alone, "{root}");
        }
        let before = received(&ensemble).await?;
        ends.push(play(&client, 7).await);
        packets.push(received(&ensemble).await? - before);
        client.close().await;
    }
    assert_eq!(ends[0], ends[1]);
    println!("packets to {}: {} together, {} alone", server.version(), packets[0], packets[1]);
    let all = i64::try_from(CALLS * ROUNDS)?;
    assert!(packets[1] >= all, "one a call");
    if knows_multi_read {
        assert!(packets[0] < all / 2, "{} packets for {all} calls", packets[0]);
    } else {
        assert!(packets[0] >= all, "it is not asked again for what it does not know");
    }
    Ok(())
}

async fn received(ensemble: &Ensemble) -> Result<i64, Failure> {
    let server = ensemble.server(0).ok_or("no server")?;
    Ok(ServerStatus::parse(&server.four_letter_word("srvr").await?)?.received)
}

async fn prepare(ensemble: &Ensemble, root: &str) -> Done {
    let client = Connector::new(&ensemble.connect_string())?.connect_timeout(PATIENCE).connect().await?;
    client.create(root, b"", CreateMode::Persistent, OPEN_ACL_UNSAFE).await?;
    for name in ["a", "b"] {
        let path = format!("{root}/{name}");
        client.create(&path, name.as_bytes(), CreateMode::Persistent, OPEN_ACL_UNSAFE).await?;
    }
    let parent = format!("{root}/wide");
    client.create(&parent, b"", CreateMode::Persistent, OPEN_ACL_UNSAFE).await?;
    let child = |n| client.create(&format!("{parent}/{n}-ü"), b"", CreateMode::Persistent, OPEN_ACL_UNSAFE);
    for created in join_all((0..WIDE).map(child)).await {
        created?;
    }
    // Others may not read it.
    client.add_auth("digest", b"u:p").await?;
    let mine = [Acl { permissions: Permissions::ALL, id: AuthId { scheme: "auth".into(), id: "".into() } }];
    client.create(&format!("{root}/secret"), b"s", CreateMode::Persistent, &mine).await?;
    client.close().await;
    Ok(())
}

type End = Pin<Box<dyn Future<Output = String>>>;

fn data(call: Call<(Bytes, Stat)>) -> End {
    let told = |(data, stat): (Bytes, Stat)| (data, stat.version, stat.data_length);
    Box::pin(async move { format!("{:?}\n", call.await.map(told)) })
}

/// Names come in no order.
fn list(call: Call<Vec<String>>) -> End {
    let told = |mut names: Vec<String>| {
        names.sort_unstable();
        names
    };
    Box::pin(async move { format!("{:?}\n", call.await.map(told)) })
}

/// Calls that come in bunches, and how each ended.
async fn play(client: &Client, seed: u64) -> String {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut ends = String::new();
    for _ in 0..ROUNDS {
        let (mut reads, mut writes) = (Vec::new(), Vec::new());
        for _ in 0..CALLS {
            let path = ["/a", "/b", "/secret", "/none", "/", "/wide"][random.usize(..6)];
            match random.u32(..50) {
                0 => writes.push(client.set_data(path, &[random.u8(..)], None)),
                1 => writes.push(client.set_data(path, b"", Some(random.i32(..3)))),
                2 => drop(client.list_children(path)),
                3..20 => reads.push(list(client.list_children(path))),
                _ => reads.push(data(client.get_data(path))),
            }
        }
        join_all(reads).await.into_iter().for_each(|end| ends.push_str(&end));
        for write in join_all(writes).await {
            let _ = writeln!(ends, "{:?}", write.map(|stat| stat.version));
        }
    }
    ends
}

on_versions! {
    the_same_answers_from:
    on_3_5 V3_5;
    on_3_6 V3_6;
    on_3_7 V3_7;
    on_3_8 V3_8;
    on_3_9 V3_9;
}
