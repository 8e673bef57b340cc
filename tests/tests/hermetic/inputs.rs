//! Bad input: each kind gives one typed error, and the session stays usable where there is one.

use std::{net::SocketAddr, time::Duration};

use crate::stage::{Stage, create, ready, refused, within};
use futures_util::FutureExt as _;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use zk_client::{
    Client, ConnectStringError, Connector, CreateMode, Dial, Dialed, Error, ErrorCode, HostPort, OPEN_ACL_UNSAFE,
    PathError, READ_ACL_UNSAFE, Read, Transaction, Transport, Unreachable, UsageError,
};

const SOON: Duration = Duration::from_millis(1);

/// A server that greets everybody with these bytes, whatever is said to it.
#[derive(Clone, Copy)]
struct Speaks(&'static [u8]);

impl Dial for Speaks {
    fn resolve<'a>(&'a self, _host: &'a HostPort) -> Dialed<'a, Vec<SocketAddr>> {
        ready(Ok(vec![SocketAddr::from(([127, 0, 0, 1], 1))]))
    }

    fn dial<'a>(&'a self, host: &'a HostPort, _addr: SocketAddr) -> Dialed<'a, Box<dyn Transport>> {
        if host.host == "refuses" {
            return ready(Err(refused()));
        }
        let bytes = self.0;
        Box::pin(async move {
            let (client, mut server) = tokio::io::duplex(1024);
            server.write_all(bytes).await?;
            tokio::spawn(async move { server.read_to_end(&mut Vec::new()).await });
            Ok(Box::new(client) as Box<dyn Transport>)
        })
    }
}

/// Why nobody took us.
async fn unreachable(connector: Connector) -> Unreachable {
    match within(connector.connect_timeout(SOON).connect()).await {
        Err(Error::Unreachable(unreachable)) => unreachable,
        other => panic!("{other:?}"),
    }
}

/// Over real sockets: nobody listens.
#[tokio::test]
async fn unreachable_hosts_are_all_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let free = listener.local_addr().unwrap();
    drop(listener);
    let servers = format!("{free},no-such-host.invalid:2181");
    let unreachable = unreachable(Connector::new(&servers).unwrap()).await;
    let of = |server: &str| unreachable.attempts.iter().find(|attempt| attempt.server == server);
    assert!(of(&free.to_string()).unwrap().why.contains("refused"), "{unreachable}");
    assert!(of("no-such-host.invalid:2181").unwrap().why.starts_with("the name does not resolve"), "{unreachable}");
    assert_eq!(unreachable.attempts.len(), 2, "each once: {unreachable}");
    assert!(unreachable.to_string().starts_with("no server could be reached: "), "{unreachable}");
}

/// Over a real socket: a web server that was asked for something else than it knows.
#[tokio::test]
async fn a_port_that_speaks_http_is_named_so() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
        }
    });
    let unreachable = unreachable(Connector::new(&addr.to_string()).unwrap()).await;
    assert_eq!(unreachable.attempts[0].why, "not ZooKeeper: the port speaks HTTP");
}

#[tokio::test(start_paused = true)]
async fn answers_that_are_not_zookeepers_are_named() {
    let why = async |bytes| unreachable(Connector::new("h").unwrap().dial(Speaks(bytes))).await.attempts[0].why.clone();
    assert_eq!(why(b"HTTP/1.1 400").await, "not ZooKeeper: the port speaks HTTP");
    assert_eq!(why(b"\x15\x03\x03\0\x02\x02\x46").await, "not plain ZooKeeper: the port speaks TLS");
    assert_eq!(why(b"\x16\x03\x01\x02\0").await, "not plain ZooKeeper: the port speaks TLS");
    assert_eq!(why(b"SSH-2.0-OpenSSH_9.2\r\n").await, "not ZooKeeper: the answer makes no sense");
    assert_eq!(why(b"\xff\xff\xff\xff").await, "not ZooKeeper: the answer makes no sense");
    assert!(why(b"\0\0\0\x05hello").await.starts_with("the server refused the session"));
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_failure_is_named_by_its_server() {
    let servers = Connector::new("refuses,h:80").unwrap().dial(Speaks(b"HTTP/1.1 "));
    let Unreachable { mut attempts, .. } = unreachable(servers).await;
    attempts.sort_by(|a, b| a.server.cmp(&b.server));
    let lines: Vec<_> = attempts.iter().map(|a| format!("{} | {}", a.server, a.why)).collect();
    assert_eq!(
        lines,
        ["h:80 (127.0.0.1:1) | not ZooKeeper: the port speaks HTTP", "refuses:2181 (127.0.0.1:1) | connection refused"]
    );
}

#[tokio::test(start_paused = true)]
async fn connect_strings_that_are_none_are_refused_at_once() {
    let error = |text| match within(Client::connect(text)).await_now() {
        Err(Error::Usage(UsageError::ConnectString(error))) => error,
        other => panic!("{text}: {other:?}"),
    };
    assert_eq!(error(""), ConnectStringError::NoHost);
    assert_eq!(error("zk1:port"), ConnectStringError::Port("port".into()));
    assert_eq!(error("user:pw@zk1"), ConnectStringError::Credentials);
    assert_eq!(error("zk1/app/"), ConnectStringError::Chroot(PathError::TrailingSlash));
}

/// Awaits a future that needs no waiting.
trait AwaitNow: Future + Sized {
    fn await_now(self) -> Self::Output {
        self.now_or_never().expect("nothing to wait for")
    }
}

impl<F: Future> AwaitNow for F {}

#[tokio::test(start_paused = true)]
async fn paths_that_are_none_are_refused_and_nothing_is_sent() {
    let server = Stage::start().await;
    let client = server.connect().await;
    let bytes_in = server.bytes_in();
    let path = |error: Error| match error {
        Error::Usage(UsageError::Path { error, .. }) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(path(client.get_data("a").await_now().unwrap_err()), PathError::NotAbsolute);
    assert_eq!(path(client.get_data("").await_now().unwrap_err()), PathError::Empty);
    assert_eq!(path(client.exists("/a/").await_now().unwrap_err()), PathError::TrailingSlash);
    assert_eq!(path(client.delete("/a//b", None).await_now().unwrap_err()), PathError::EmptyComponent { at: 3 });
    assert!(matches!(
        path(client.get_children("/a/../b").await_now().unwrap_err()),
        PathError::RelativeComponent { .. }
    ));
    assert_eq!(
        path(client.watch("a", zk_client::WatchMode::PERSISTENT).await_now().unwrap_err()),
        PathError::NotAbsolute
    );
    assert_eq!(path(zk_config::Mirror::start(&client, "a/b").unwrap_err()), PathError::NotAbsolute);
    let text = client.get_data("a").await_now().unwrap_err().to_string();
    assert!(text.starts_with("\"a\" is not a path: "), "{text}");
    assert_eq!(server.bytes_in(), bytes_in);
    within(client.get_data("/")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn refusals_leave_the_session_usable() {
    let server = Stage::start().await;
    let client = server.connect().await;
    let session = client.session_id();
    server.create("/a", b"").unwrap();
    server.set_acl("/a", READ_ACL_UNSAFE).unwrap();
    assert_eq!(within(client.get_data("/none")).await.unwrap_err().code(), Some(ErrorCode::NO_NODE));
    assert_eq!(within(client.set_data("/a", b"", None)).await.unwrap_err().code(), Some(ErrorCode::NO_AUTH));
    within(client.get_data("/a")).await.unwrap();
    assert_eq!((client.session_id(), server.connections().len()), (session, 1));
}

// goal: P3
#[tokio::test(start_paused = true)]
async fn a_value_over_one_megabyte_is_refused_and_nothing_is_sent() {
    let server = Stage::start().await;
    let client = server.connect().await;
    create(&client, "/a", b"").await;
    let bytes_in = server.bytes_in();
    let large = vec![7; 2 * 1024 * 1024];
    let transaction = Transaction::new().set_data("/a", &large, None);
    let calls = [
        client.set_data("/a", &large, None).await_now().unwrap_err(),
        client.create("/b", &large, CreateMode::Persistent, OPEN_ACL_UNSAFE).await_now().unwrap_err(),
        client.commit(&transaction).await_now().unwrap_err(),
    ];
    for error in calls {
        let Error::Usage(UsageError::RequestTooLarge(size)) = error else { panic!("{error:?}") };
        assert_eq!((size.limit, size.len > large.len()), (0xf_ffff, true));
    }
    assert_eq!(server.bytes_in(), bytes_in);
    // The largest request that fits, and the first that does not: 8 bytes of header, then path, data, version.
    let most = 0xf_ffff - 8 - (4 + 2) - 4 - 4;
    within(client.set_data("/a", &large[..most], None)).await.unwrap();
    assert!(client.set_data("/a", &large[..=most], None).await_now().is_err());
    assert_eq!(server.get("/a").unwrap().0.len(), most);
}

// goal: P3
#[tokio::test(start_paused = true)]
async fn a_reply_over_the_limit_is_thrown_away_and_the_session_goes_on() {
    let server = Stage::start().await;
    let client = within(server.connector().reply_len_max(1_000).connect()).await.unwrap();
    create(&client, "/a", &[7; 2_000]).await;
    create(&client, "/b", b"small").await;
    let (large, small) = (client.get_data("/a"), client.get_data("/b"));
    let error = within(large).await.unwrap_err();
    assert!(
        matches!(&error, Error::ReplyTooLarge { size, .. } if size.limit == 1_000 && size.len > 2_000),
        "{error:?}"
    );
    assert!(error.to_string().starts_with("getData /a: the reply is too large: "), "{error}");
    let names: Vec<_> = (0..50).map(|n| format!("/b/{n:030}")).collect();
    for name in &names {
        create(&client, name, b"").await;
    }
    for many in [
        within(client.list_children("/b")).await.map(drop),
        within(client.get_children("/b")).await.map(drop),
        within(client.get_children_and_watch("/b")).await.map(drop),
    ] {
        assert!(
            matches!(&many, Err(Error::ReplyTooLarge { path: Some(path), .. }) if path == "/b"),
            "what was read is named: {many:?}"
        );
    }
    let batch = within(client.read_many([Read::Data("/a")])).await.unwrap_err();
    assert!(batch.to_string().starts_with("multiRead: the reply is too large: "), "{batch}");
    assert_eq!(&within(small).await.unwrap().0[..], b"small");
    assert_eq!(server.connections().len(), 1);
}

/// Nothing takes operations from the queue while no task but this one runs.
#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_and_is_usable_again_when_it_has_drained() {
    let server = Stage::start().await;
    let client = server.connect().await;
    let mut calls = Vec::new();
    let error = loop {
        let mut call = client.exists("/");
        match (&mut call).now_or_never() {
            Some(result) => break result.unwrap_err(),
            None => calls.push(call),
        }
        assert!(calls.len() < 1_000_000, "the queue has no bound");
    };
    assert_eq!(error, Error::Usage(UsageError::QueueFull { limit: 65_536 }));
    for call in calls {
        within(call).await.unwrap();
    }
    within(client.exists("/")).await.unwrap();
}
