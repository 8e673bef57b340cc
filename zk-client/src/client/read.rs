//! Operations that change nothing.

use super::Client;
use crate::{
    call::{Call, Reply},
    error::Error,
    transaction::{Read, ReadResult, read_results},
};
use zk_proto::{
    Bytes, ErrorCode, Stat, Zxid,
    multi::{MultiReadRequest, MultiResponse},
    ops,
    records::{
        Acl, ClientInfo, GetAclResponse, GetAllChildrenNumberResponse, GetChildren2Response, GetChildrenResponse,
        GetDataRequest, GetDataResponse, GetEphemeralsRequest, GetEphemeralsResponse, PathRequest, StatResponse,
        SyncRequest, SyncResponse, WhoAmIResponse,
    },
    watch::is_at_or_below,
};

impl Client {
    /// Reads the data and [`Stat`] of a znode; null data reads as empty.
    ///
    /// The data is a slice of the buffer that the socket was read into, or that TLS hands out what it has decrypted in. Nothing is
    /// copied or moved, for its length is read before it; but where
    /// [`reply_len_max`](crate::Connector::reply_len_max) was raised, an answer over 4 MiB is moved as more of it arrives,
    /// because no more is reserved on a server's word. As long as the data lives, so does the buffer: of an answer over 16 KiB
    /// often alone, otherwise of up to 32 KiB with others in it. Copy what you keep ([`Bytes::copy_from_slice`]).
    ///
    /// # Ordering
    /// Queued when this method is called, not when the future is first polled.
    /// # Cancel safety
    /// Dropping the future drops the answer; the request is still sent.
    /// # Errors
    /// [`Error::Refused`] with [`ErrorCode::NO_NODE`] if there is no such znode, or
    /// [`ErrorCode::NO_AUTH`] if it may not be read.
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = zk_testkit::server::TestServer::start().await?;
    /// # let client = zk_client::Client::connect(&server.connect_string()).await?;
    /// # server.create("/app", b"on").unwrap();
    /// use zk_client::ErrorCode;
    ///
    /// let (data, stat) = client.get_data("/app").await?;
    /// assert_eq!((&data[..], stat.version), (b"on".as_slice(), 0));
    /// let error = client.get_data("/none").await.unwrap_err();
    /// assert_eq!(error.code(), Some(ErrorCode::NO_NODE));
    /// # Ok(())
    /// # }
    /// ```
    pub fn get_data(&self, path: &str) -> Call<(Bytes, Stat)> {
        let request = self.server_path(path, false).map(|path| GetDataRequest { path, watch: false });
        self.call::<ops::GetData, _>(request, data).at(path)
    }

    /// The [`Stat`] of a znode, or `None` if there is no such znode.
    ///
    /// # Ordering
    /// Queued when this method is called, not when the future is first polled.
    /// # Cancel safety
    /// Dropping the future drops the answer; the request is still sent.
    /// # Errors
    /// [`Error::Refused`] with [`ErrorCode::NO_AUTH`] if it may not be read (since 3.8.4 and 3.9.2).
    pub fn exists(&self, path: &str) -> Call<Option<Stat>> {
        let request = self.server_path(path, false).map(|path| GetDataRequest { path, watch: false });
        self.call::<ops::Exists, _>(request, found)
    }

    /// The names of a znode's children, in no order, and its [`Stat`].
    ///
    /// # Ordering
    /// Queued when this method is called, not when the future is first polled.
    /// # Cancel safety
    /// Dropping the future drops the answer; the request is still sent.
    /// # Errors
    /// As [`get_data`](Self::get_data).
    pub fn get_children(&self, path: &str) -> Call<(Vec<String>, Stat)> {
        let request = self.server_path(path, false).map(|path| GetDataRequest { path, watch: false });
        self.call::<ops::GetChildren2, _>(request, children).at(path)
    }

    /// The names of a znode's children, in no order, without its [`Stat`]: the reply is 68 bytes shorter, and
    /// lists that are asked for together travel together ([`Connector::batch_reads`](crate::Connector::batch_reads)), which
    /// [`get_children`](Self::get_children) cannot.
    ///
    /// # Ordering
    /// Queued when this method is called, not when the future is first polled.
    /// # Cancel safety
    /// Dropping the future drops the answer; the request is still sent.
    /// # Errors
    /// As [`get_data`](Self::get_data).
    pub fn list_children(&self, path: &str) -> Call<Vec<String>> {
        let request = self.server_path(path, false).map(|path| GetDataRequest { path, watch: false });
        self.call::<ops::GetChildren, _>(request, |reply| {
            reply.decode::<GetChildrenResponse>().map(|response| response.children.to_strings())
        })
        .at(path)
    }

    /// Many reads in one request, all at one zxid; each of them succeeds or fails by itself. Needs 3.6.
    ///
    /// # Ordering
    /// Queued when this method is called, not when the future is first polled.
    /// # Cancel safety
    /// Dropping the future drops the answer; the request is still sent.
    /// # Errors
    /// [`Error::Refused`] with [`ErrorCode::UNIMPLEMENTED`] from servers before 3.6, which then hang up.
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = zk_testkit::server::TestServer::start().await?;
    /// # let client = zk_client::Client::connect(&server.connect_string()).await?;
    /// # server.create("/app", b"on").unwrap();
    /// use zk_client::{ErrorCode, Read, ReadResult};
    ///
    /// let found = client.read_many([Read::Data("/app"), Read::Children("/"), Read::Data("/none")]).await?;
    /// assert!(matches!(&found[0], ReadResult::Data(data, _) if &data[..] == b"on"));
    /// assert!(matches!(&found[1], ReadResult::Children(names) if names.contains(&"app".to_owned())));
    /// assert_eq!(found[2], ReadResult::Refused(ErrorCode::NO_NODE));
    /// # Ok(())
    /// # }
    /// ```
    pub fn read_many<'a>(&self, reads: impl IntoIterator<Item = Read<'a>>) -> Call<Vec<ReadResult>> {
        let chroot = &self.chroot;
        let checked = |read: Read<'a>| self.server_path(read.path(), false).map(|_| read.to_op(chroot));
        let reads = reads.into_iter().map(checked).collect::<Result<Vec<_>, _>>();
        let asked = reads.as_ref().map_or(0, Vec::len);
        let request = reads.map(|ops| MultiReadRequest { ops: ops.into() });
        let call = self.call::<ops::MultiRead, _>(request, |reply| {
            let response: MultiResponse = reply.decode()?;
            read_results(&response, reply.asked).map_err(|error| Error::Protocol { op: reply.op, error })
        });
        call.of(asked)
    }

    /// The ACL of a znode. Without permission to change it, digests are masked.
    ///
    /// # Ordering
    /// Queued when this method is called, not when the future is first polled.
    /// # Cancel safety
    /// Dropping the future drops the answer; the request is still sent.
    /// # Errors
    /// As [`get_data`](Self::get_data).
    pub fn get_acl(&self, path: &str) -> Call<(Vec<Acl>, Stat)> {
        let request = self.server_path(path, false).map(|path| PathRequest { path });
        self.call::<ops::GetAcl, _>(request, |reply| {
            let GetAclResponse { acl, stat } = reply.decode()?;
            Ok((acl.to_vec(), stat))
        })
        .at(path)
    }

    /// Lets the server catch up with its leader: reads called later see everything committed before this
    /// was called. Answers the zxid that the server has reached.
    ///
    /// It is a flush of the pipeline, not a vote: an old leader that has lost its quorum may answer for a
    /// moment.
    ///
    /// # Ordering
    /// Queued when this method is called, not when the future is first polled.
    /// # Cancel safety
    /// Dropping the future drops the answer; the request is still sent.
    /// # Errors
    /// [`Error::Refused`] with [`ErrorCode::NOT_READ_ONLY`] on a read-only server.
    pub fn sync(&self, path: &str) -> Call<Zxid> {
        let request = self.server_path(path, false).map(|path| SyncRequest { path: Some(path) });
        self.call::<ops::Sync, _>(request, |reply| reply.decode::<SyncResponse>().map(|_| reply.zxid))
    }

    /// Paths of this session's ephemeral znodes that begin with a prefix, as text, not by component. Needs 3.6.
    ///
    /// # Ordering
    /// Queued when this method is called, not when the future is first polled.
    /// # Cancel safety
    /// Dropping the future drops the answer; the request is still sent.
    /// # Errors
    /// [`Error::Refused`] with [`ErrorCode::UNIMPLEMENTED`] from servers before 3.6, which then hang up.
    pub fn get_ephemerals(&self, prefix: &str) -> Call<Vec<String>> {
        let request = self.server_path(prefix, true).map(|prefix| GetEphemeralsRequest { prefix: Some(prefix) });
        self.call::<ops::GetEphemerals, _>(request, |reply| {
            let GetEphemeralsResponse { paths } = reply.decode()?;
            // The server compares text: below the chroot /app, it names what is below /application, too.
            let ours = paths.iter().filter(|path| is_at_or_below(path, reply.chroot.as_str()));
            Ok(ours.map(|path| reply.chroot.to_client(&path).to_owned()).collect())
        })
        .at(prefix)
    }

    /// The number of all descendants of a znode. Needs 3.6.
    ///
    /// # Ordering
    /// Queued when this method is called, not when the future is first polled.
    /// # Cancel safety
    /// Dropping the future drops the answer; the request is still sent.
    /// # Errors
    /// As [`get_data`](Self::get_data); [`ErrorCode::UNIMPLEMENTED`] from servers before 3.6.
    pub fn get_all_children_number(&self, path: &str) -> Call<i32> {
        let request = self.server_path(path, false).map(|path| PathRequest { path });
        self.call::<ops::GetAllChildrenNumber, _>(request, |reply| {
            reply.decode::<GetAllChildrenNumberResponse>().map(|response| response.total)
        })
    }

    /// The identities that the server knows this connection by. Needs 3.7.
    ///
    /// # Ordering
    /// Queued when this method is called, not when the future is first polled.
    /// # Cancel safety
    /// Dropping the future drops the answer; the request is still sent.
    /// # Errors
    /// [`Error::Refused`] with [`ErrorCode::UNIMPLEMENTED`] from servers before 3.7, which then hang up.
    pub fn who_am_i(&self) -> Call<Vec<ClientInfo>> {
        self.call::<ops::WhoAmI, _>(Ok(zk_proto::records::Empty {}), |reply| {
            reply.decode::<WhoAmIResponse>().map(|response| response.identities.to_vec())
        })
    }
}

pub(super) fn data(reply: &Reply<'_>) -> Result<(Bytes, Stat), Error> {
    let GetDataResponse { data, stat } = reply.decode()?;
    Ok((data.unwrap_or_default(), stat))
}

pub(super) fn children(reply: &Reply<'_>) -> Result<(Vec<String>, Stat), Error> {
    let GetChildren2Response { children, stat } = reply.decode()?;
    Ok((children.to_strings(), stat))
}

pub(super) fn found(reply: &Reply<'_>) -> Result<Option<Stat>, Error> {
    match reply.decode::<StatResponse>() {
        Ok(found) => Ok(Some(found.stat)),
        Err(Error::Refused { code: ErrorCode::NO_NODE, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
