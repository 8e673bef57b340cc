//! Creating a znode with the parents that are missing.

use super::{Client, read::found, write::created};
use crate::error::{Error, UsageError};
use std::ops::ControlFlow;
use zk_proto::{
    CreateMode, ErrorCode, OpCode, Stat,
    create::Create,
    ops,
    records::{Acl, GetDataRequest},
};

/// Parents looked for, or created, with one round trip.
const LEVELS_AT_ONCE: usize = 16;

/// How often we begin again because somebody deletes what we create below; a container goes when its last child does.
const ROUNDS_MAX: usize = 8;

/// How parents come to be, where they are missing: empty, with this ACL. Those that exist are left as they are.
///
/// There is no default ACL, and the znode's own is not taken: who may change one job need not create jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parents<'a> {
    /// They stay until somebody deletes them.
    Persistent(&'a [Acl]),
    /// The server deletes each some time after its last child went. Needs 3.5.1.
    Containers(&'a [Acl]),
}

impl<'a> Parents<'a> {
    const fn mode(self) -> CreateMode {
        match self {
            Self::Persistent(_) => CreateMode::Persistent,
            Self::Containers(_) => CreateMode::Container,
        }
    }

    const fn acl(self) -> &'a [Acl] {
        match self {
            Self::Persistent(acl) | Self::Containers(acl) => acl,
        }
    }
}

impl Client {
    /// [`create`](Self::create), and the parents that are missing before it. Any number of clients may do so at once;
    /// who creates a parent first does not matter. Parents above the client's root, the chroot itself, are created too.
    ///
    /// # Ordering
    /// The first create is queued when the future is first polled. Parents become visible one by one.
    /// # Cancel safety
    /// Dropping the future leaves the parents that were created, and perhaps the znode.
    /// # Errors
    /// As [`create`](Self::create), for the znode or a parent; [`ErrorCode::NO_NODE`] only when somebody deletes the
    /// parents again and again.
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = zk_testkit::server::TestServer::start().await?;
    /// # let client = zk_client::Client::connect(&server.connect_string()).await?;
    /// use zk_client::{CreateMode, OPEN_ACL_UNSAFE as OPEN, Parents};
    ///
    /// let mode = CreateMode::EphemeralSequential;
    /// let (path, _) = client.create_all("/jobs/emea/job-", b"", mode, OPEN, Parents::Containers(OPEN)).await?;
    /// assert_eq!(path, "/jobs/emea/job-0000000000");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn create_all(
        &self,
        path: &str,
        data: &[u8],
        mode: CreateMode,
        acl: &[Acl],
        parents: Parents<'_>,
    ) -> Result<(String, Stat), Error> {
        let mut answer = self.create(path, data, mode, acl).await;
        for _ in 1..ROUNDS_MAX {
            if !is(&answer, ErrorCode::NO_NODE) {
                break;
            }
            let server_path = self.check_create(path, mode, acl)?;
            let parent = server_path.rfind('/').and_then(|end| server_path.get(..end)).unwrap_or_default();
            // An answer that somebody has deleted a parent meanwhile is the next round's.
            let _ = self.make_path(parent, parents).await?;
            answer = self.create(path, data, mode, acl).await;
        }
        answer
    }

    /// Creates the parents of a path that are missing, and the znode itself, all in one way (`mkdir -p`). A znode that
    /// exists is no error. On `/` it creates the chroot.
    ///
    /// # Ordering
    /// The first request is queued when the future is first polled.
    /// # Cancel safety
    /// Dropping the future leaves what was created.
    /// # Errors
    /// As [`create_all`](Self::create_all).
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = zk_testkit::server::TestServer::start().await?;
    /// use zk_client::{Client, OPEN_ACL_UNSAFE, Parents};
    ///
    /// let client = Client::connect(&format!("{}/tenants/blue", server.connect_string())).await?;
    /// client.ensure_path("/", Parents::Persistent(OPEN_ACL_UNSAFE)).await?;
    /// assert!(server.get("/tenants/blue").is_some());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn ensure_path(&self, path: &str, parents: Parents<'_>) -> Result<(), Error> {
        let server_path = self.check_create(path, parents.mode(), parents.acl())?;
        for _ in 0..ROUNDS_MAX {
            if self.make_path(server_path.trim_end_matches('/'), parents).await?.is_continue() {
                return Ok(());
            }
        }
        Err(Error::Refused { op: parents.mode().op(), code: ErrorCode::NO_NODE })
    }

    /// Creates what is missing of a server's path; breaks off when somebody deletes it meanwhile. Nothing is written
    /// where nothing is missing, and nobody need have permission to create what exists.
    async fn make_path(&self, path: &str, parents: Parents<'_>) -> Result<ControlFlow<()>, Error> {
        super::write::check_acl(parents.acl())?;
        let ends = path.match_indices('/').map(|(end, _)| end).filter(|end| *end > 0).chain([path.len()]);
        let levels: Vec<&str> = ends.filter_map(|end| path.get(..end)).filter(|level| !level.is_empty()).collect();
        let present = self.deepest(&levels).await?;
        for chunk in levels.get(present..).unwrap_or_default().chunks(LEVELS_AT_ONCE) {
            let create = |level: &&str| {
                let (mode, acl) = (parents.mode(), parents.acl().into());
                let create = Create { path: (*level).into(), data: Some(b""), acl, mode };
                let encoded = create.encode(self.shared.request_len_max).map_err(UsageError::RequestTooLarge);
                self.submit(mode.op(), encoded, created)
            };
            let calls: Vec<_> = chunk.iter().map(create).collect();
            for call in calls {
                let answer = call.await;
                if is(&answer, ErrorCode::NO_NODE) {
                    return Ok(ControlFlow::Break(()));
                }
                if !is(&answer, ErrorCode::NODE_EXISTS) {
                    answer?;
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// How many of these, each the parent of the next, are there.
    async fn deepest(&self, levels: &[&str]) -> Result<usize, Error> {
        let mut present = levels.len();
        for chunk in levels.rchunks(LEVELS_AT_ONCE) {
            let look = |level: &&str| {
                self.call::<ops::Exists, _>(Ok(GetDataRequest { path: (*level).into(), watch: false }), found)
            };
            let calls: Vec<_> = chunk.iter().rev().map(look).collect();
            for call in calls {
                match call.await {
                    Ok(None) => present -= 1,
                    // Servers look for the znode first, so it is there.
                    Ok(Some(_)) | Err(Error::Refused { code: ErrorCode::NO_AUTH, .. }) => return Ok(present),
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(present)
    }

    /// Sets the data of a znode, whatever its version, or creates it, persistent and with this ACL. Its parent must
    /// exist.
    ///
    /// # Ordering
    /// The first request is queued when the future is first polled.
    /// # Cancel safety
    /// Dropping the future drops the answer; the znode may be set or created.
    /// # Errors
    /// As [`set_data`](Self::set_data) and [`create`](Self::create); [`ErrorCode::NODE_EXISTS`] only when somebody
    /// deletes and creates it again and again.
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = zk_testkit::server::TestServer::start().await?;
    /// # let client = zk_client::Client::connect(&server.connect_string()).await?;
    /// use zk_client::OPEN_ACL_UNSAFE;
    ///
    /// assert_eq!(client.create_or_set("/app", b"1", OPEN_ACL_UNSAFE).await?.version, 0);
    /// assert_eq!(client.create_or_set("/app", b"2", OPEN_ACL_UNSAFE).await?.version, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn create_or_set(&self, path: &str, data: &[u8], acl: &[Acl]) -> Result<Stat, Error> {
        self.check_create(path, CreateMode::Persistent, acl)?;
        for _ in 0..ROUNDS_MAX {
            let set = self.set_data(path, data, None).await;
            if !is(&set, ErrorCode::NO_NODE) {
                return set;
            }
            let created = self.create(path, data, CreateMode::Persistent, acl).await;
            if !is(&created, ErrorCode::NODE_EXISTS) {
                return created.map(|(_, stat)| stat);
            }
        }
        Err(Error::Refused { op: OpCode::CREATE2, code: ErrorCode::NODE_EXISTS })
    }
}

/// Whether the server refused with this code.
fn is<R>(answer: &Result<R, Error>, code: ErrorCode) -> bool {
    matches!(answer, Err(Error::Refused { code: refused, .. }) if *refused == code)
}
