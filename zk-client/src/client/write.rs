//! Operations that change the tree.

use super::Client;
use crate::{
    call::{Call, Reply},
    error::{Error, UsageError},
    transaction::{Step, Transaction, TransactionResult, finish_transaction},
};
use std::borrow::Cow;
use zk_proto::{
    CreateMode, Stat,
    create::{Create, CreateFlags},
    multi::MultiRequest,
    ops,
    records::{
        Acl, Create2Response, CreateRequest, CreateResponse, Empty, PathVersionRequest, SetAclRequest, SetDataRequest,
        StatResponse,
    },
    session::EncodedRequest,
};

impl Client {
    /// Creates a znode; answers its path, which for a sequential one has a number at its end, and its
    /// [`Stat`]. There is no default ACL: [`OPEN_ACL_UNSAFE`](crate::OPEN_ACL_UNSAFE) is one that lets everybody
    /// do everything. Needs servers since 3.5, which are the first to answer the stat.
    ///
    /// # Ordering
    /// Queued when this method is called, not when the future is first polled.
    /// # Cancel safety
    /// Dropping the future drops the answer; the request is still sent.
    /// # Errors
    /// [`Error::Refused`] with `NODE_EXISTS`, `NO_NODE` (no parent), `NO_AUTH`, `INVALID_ACL` or
    /// `NO_CHILDREN_FOR_EPHEMERALS`.
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = zk_testkit::server::TestServer::start().await?;
    /// # let client = zk_client::Client::connect(&server.connect_string()).await?;
    /// use zk_client::{CreateMode, OPEN_ACL_UNSAFE};
    ///
    /// let (path, stat) = client.create("/app", b"", CreateMode::Persistent, OPEN_ACL_UNSAFE).await?;
    /// assert_eq!((path.as_str(), stat.version), ("/app", 0));
    /// let (path, _) = client.create("/app/job-", b"", CreateMode::EphemeralSequential, OPEN_ACL_UNSAFE).await?;
    /// assert_eq!(path, "/app/job-0000000000");
    /// # Ok(())
    /// # }
    /// ```
    pub fn create(&self, path: &str, data: &[u8], mode: CreateMode, acl: &[Acl]) -> Call<(String, Stat)> {
        self.submit(mode.op(), self.encode_create(path, data, mode, acl), created)
    }

    /// [`create`](Self::create) that answers the path alone, by the request that every server knows: 3.4, and servers that
    /// only speak like ZooKeeper. Containers and times to live need the newer ones.
    ///
    /// # Ordering
    /// Queued when this method is called, not when the future is first polled.
    /// # Cancel safety
    /// Dropping the future drops the answer; the request is still sent.
    /// # Errors
    /// As [`create`](Self::create).
    pub fn create_without_stat(&self, path: &str, data: &[u8], mode: CreateMode, acl: &[Acl]) -> Call<String> {
        let flags = match mode {
            CreateMode::Persistent => CreateFlags::PERSISTENT,
            CreateMode::PersistentSequential => CreateFlags::PERSISTENT_SEQUENTIAL,
            CreateMode::Ephemeral => CreateFlags::EPHEMERAL,
            CreateMode::EphemeralSequential => CreateFlags::EPHEMERAL_SEQUENTIAL,
            CreateMode::Container | CreateMode::PersistentWithTtl(_) | CreateMode::PersistentSequentialWithTtl(_) => {
                let encoded = self.encode_create(path, data, mode, acl);
                return self.submit(mode.op(), encoded, |reply| created(reply).map(|(path, _)| path));
            }
        };
        let request = self.check_create(path, mode, acl);
        let request = request.map(|path| CreateRequest { path, data: Some(data), acl: acl.into(), flags });
        self.call::<ops::Create, _>(request, |reply| {
            let CreateResponse { path } = reply.decode()?;
            Ok(reply.chroot.to_client(&path).to_owned())
        })
    }

    /// Deletes a znode without children, of this version if one is given.
    ///
    /// # Ordering
    /// Queued when this method is called, not when the future is first polled.
    /// # Cancel safety
    /// Dropping the future drops the answer; the request is still sent.
    /// # Errors
    /// [`Error::Refused`] with `NO_NODE`, `BAD_VERSION`, `NOT_EMPTY`, `NO_AUTH` (on the parent) or
    /// `BAD_ARGUMENTS` for a znode of ZooKeeper's own.
    pub fn delete(&self, path: &str, version: Option<i32>) -> Call<()> {
        let version = version.unwrap_or(-1);
        let request = self.server_path(path, false).map(|path| PathVersionRequest { path, version });
        self.call::<ops::Delete, _>(request, |reply| reply.decode::<Empty>().map(drop))
    }

    /// Sets the data of a znode, of this version if one is given; answers the new [`Stat`], whose `mzxid`
    /// is the transaction that did it.
    ///
    /// # Ordering
    /// Queued when this method is called, not when the future is first polled.
    /// # Cancel safety
    /// Dropping the future drops the answer; the request is still sent.
    /// # Errors
    /// [`Error::Refused`] with `NO_NODE`, `BAD_VERSION` or `NO_AUTH`.
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = zk_testkit::server::TestServer::start().await?;
    /// # let client = zk_client::Client::connect(&server.connect_string()).await?;
    /// # server.create("/app", b"1").unwrap();
    /// use zk_client::ErrorCode;
    ///
    /// let (_, stat) = client.get_data("/app").await?;
    /// let new = client.set_data("/app", b"2", Some(stat.version)).await?;
    /// assert_eq!(new.version, stat.version + 1);
    /// // Somebody was faster: read again.
    /// let error = client.set_data("/app", b"3", Some(stat.version)).await.unwrap_err();
    /// assert_eq!(error.code(), Some(ErrorCode::BAD_VERSION));
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_data(&self, path: &str, data: &[u8], version: Option<i32>) -> Call<Stat> {
        let (data, version) = (Some(data), version.unwrap_or(-1));
        let request = self.server_path(path, false).map(|path| SetDataRequest { path, data, version });
        self.call::<ops::SetData, _>(request, stat)
    }

    /// Sets the ACL of a znode, of this `aversion` if one is given. No watch tells of it.
    ///
    /// # Ordering
    /// Queued when this method is called, not when the future is first polled.
    /// # Cancel safety
    /// Dropping the future drops the answer; the request is still sent.
    /// # Errors
    /// [`Error::Refused`] with `NO_NODE`, `BAD_VERSION`, `INVALID_ACL` or `NO_AUTH`.
    pub fn set_acl(&self, path: &str, acl: &[Acl], aversion: Option<i32>) -> Call<Stat> {
        let request = check_acl(acl).and_then(|()| self.server_path(path, false)).map(|path| SetAclRequest {
            path,
            acl: acl.into(),
            version: aversion.unwrap_or(-1),
        });
        self.call::<ops::SetAcl, _>(request, stat)
    }

    /// Carries out a transaction: all of it, or nothing. Answers one result an operation.
    ///
    /// # Ordering
    /// Queued when this method is called, not when the future is first polled.
    /// # Cancel safety
    /// Dropping the future drops the answer; the request is still sent.
    /// # Errors
    /// [`Error::Aborted`] names the operation that was refused, and why, and what the server says of each other one.
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = zk_testkit::server::TestServer::start().await?;
    /// # let client = zk_client::Client::connect(&server.connect_string()).await?;
    /// # server.create("/app", b"1").unwrap();
    /// use zk_client::{CreateMode, Error, ErrorCode, OPEN_ACL_UNSAFE, Transaction};
    ///
    /// let change = Transaction::new()
    ///     .set_data("/app", b"2", Some(0))
    ///     .create("/app/new", b"", CreateMode::Persistent, OPEN_ACL_UNSAFE);
    /// assert_eq!(client.commit(&change).await?.len(), 2);
    /// // The version has moved on: nothing is done.
    /// match client.commit(&change).await {
    ///     Err(Error::Aborted { index: 0, code, .. }) => assert_eq!(code, ErrorCode::BAD_VERSION),
    ///     other => panic!("{other:?}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn commit(&self, transaction: &Transaction<'_>) -> Call<Vec<TransactionResult>> {
        let checked = |step: &Step<'_>| match *step {
            Step::Create { path, mode, acl, .. } => self.check_create(path, mode, acl).map(drop),
            Step::Delete { path, .. } | Step::SetData { path, .. } | Step::Check { path, .. } => {
                self.server_path(path, false).map(drop)
            }
        };
        let request =
            transaction.steps.iter().try_for_each(checked).map(|()| MultiRequest {
                ops: transaction.steps.iter().map(|step| step.to_op(&self.chroot)).collect(),
            });
        self.call::<ops::Multi, _>(request, finish_transaction)
    }

    fn encode_create(
        &self,
        path: &str,
        data: &[u8],
        mode: CreateMode,
        acl: &[Acl],
    ) -> Result<EncodedRequest, UsageError> {
        let path = self.check_create(path, mode, acl)?;
        let create = Create { path, data: Some(data), acl: acl.into(), mode };
        create.encode(self.shared.request_len_max).map_err(UsageError::RequestTooLarge)
    }

    /// Everything about a create that can be known before it is sent; answers the server's path.
    pub(super) fn check_create<'a>(
        &self,
        path: &'a str,
        mode: CreateMode,
        acl: &[Acl],
    ) -> Result<Cow<'a, str>, UsageError> {
        check_acl(acl)?;
        mode.ttl().map_or(Ok(()), |ttl| ttl.check().map_err(UsageError::Ttl))?;
        self.server_path(path, mode.is_sequential())
    }
}

pub(super) fn check_acl(acl: &[Acl]) -> Result<(), UsageError> {
    if acl.is_empty() { Err(UsageError::EmptyAcl) } else { Ok(()) }
}

pub(super) fn created(reply: &Reply<'_>) -> Result<(String, Stat), Error> {
    let Create2Response { path, stat } = reply.decode()?;
    Ok((reply.chroot.to_client(&path).to_owned(), stat))
}

fn stat(reply: &Reply<'_>) -> Result<Stat, Error> {
    reply.decode::<StatResponse>().map(|response| response.stat)
}
