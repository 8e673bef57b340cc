//! Transactions and batched reads: lists that travel as one request.

use crate::{call::Reply, error::Error};
use std::borrow::Cow;
use zk_proto::{
    Bytes, CreateMode, DecodeError, ErrorCode, OpCode, Stat,
    create::Create,
    jute::Fault,
    multi::{MultiOp, MultiResponse, MultiResult, ReadOp},
    path::Chroot,
    records::{Acl, GetDataRequest, PathVersionRequest, SetDataRequest},
};

/// Operations that happen all together or not at all, under one zxid.
///
/// ```
/// # use zk_client::{Transaction, CreateMode, OPEN_ACL_UNSAFE};
/// let change = Transaction::new()
///     .check("/app", Some(3))
///     .set_data("/app/limits", b"100", None)
///     .create("/app/new", b"", CreateMode::Persistent, OPEN_ACL_UNSAFE);
/// assert_eq!(change.len(), 3);
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a transaction does nothing until it is committed"]
pub struct Transaction<'a> {
    pub(crate) steps: Vec<Step<'a>>,
}

#[derive(Clone, Debug)]
pub(crate) enum Step<'a> {
    Create { path: &'a str, data: &'a [u8], mode: CreateMode, acl: &'a [Acl] },
    Delete { path: &'a str, version: Option<i32> },
    SetData { path: &'a str, data: &'a [u8], version: Option<i32> },
    Check { path: &'a str, version: Option<i32> },
}

/// What one operation of a transaction did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransactionResult {
    /// A znode was created. Servers before 3.7.2, 3.8.2 and 3.9 send no stat.
    Created {
        /// Its path, with the number of a sequential znode.
        path: String,
        /// Its metadata.
        stat: Option<Stat>,
    },
    /// A znode was deleted.
    Deleted,
    /// Data was set.
    Set(Stat),
    /// The version was right.
    Checked,
}

/// One read of [`Client::read_many`](crate::Client::read_many).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read<'a> {
    /// Data and stat of a znode.
    Data(&'a str),
    /// Names of a znode's children.
    Children(&'a str),
}

/// What one read found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadResult {
    /// Data and stat; null data reads as empty.
    Data(Bytes, Stat),
    /// Names of the children, in no order.
    Children(Vec<String>),
    /// This read was refused; the others were not.
    Refused(ErrorCode),
}

impl TransactionResult {
    /// The path of a znode that was created.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::Created { path, .. } => Some(path),
            Self::Deleted | Self::Set(_) | Self::Checked => None,
        }
    }

    /// The metadata of a znode that was created or set, where the server sent it.
    #[must_use]
    pub const fn stat(&self) -> Option<&Stat> {
        match self {
            Self::Created { stat, .. } => stat.as_ref(),
            Self::Set(stat) => Some(stat),
            Self::Deleted | Self::Checked => None,
        }
    }
}

impl<'a> Transaction<'a> {
    /// No operations yet.
    pub const fn new() -> Self {
        Self { steps: Vec::new() }
    }

    /// How many operations it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether it has no operations.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Creates a znode; later operations may create children of it.
    pub fn create(mut self, path: &'a str, data: &'a [u8], mode: CreateMode, acl: &'a [Acl]) -> Self {
        self.steps.push(Step::Create { path, data, mode, acl });
        self
    }

    /// Deletes a znode, of this version if one is given.
    pub fn delete(mut self, path: &'a str, version: Option<i32>) -> Self {
        self.steps.push(Step::Delete { path, version });
        self
    }

    /// Sets the data of a znode, of this version if one is given.
    pub fn set_data(mut self, path: &'a str, data: &'a [u8], version: Option<i32>) -> Self {
        self.steps.push(Step::SetData { path, data, version });
        self
    }

    /// Demands that the znode exists, in this version if one is given.
    pub fn check(mut self, path: &'a str, version: Option<i32>) -> Self {
        self.steps.push(Step::Check { path, version });
        self
    }
}

impl<'a> Step<'a> {
    pub(crate) const fn path(&self) -> &'a str {
        match self {
            Self::Create { path, .. }
            | Self::Delete { path, .. }
            | Self::SetData { path, .. }
            | Self::Check { path, .. } => path,
        }
    }

    /// The wire's form.
    pub(crate) fn to_op(&self, chroot: &Chroot) -> MultiOp<'a> {
        let path: Cow<'a, str> = chroot.to_server(self.path());
        match *self {
            Step::Create { data, mode, acl, .. } => Create { path, data: Some(data), acl: acl.into(), mode }.into(),
            Step::Delete { version, .. } => {
                MultiOp::Delete(PathVersionRequest { path, version: version.unwrap_or(-1) })
            }
            Step::SetData { data, version, .. } => {
                MultiOp::SetData(SetDataRequest { path, data: Some(data), version: version.unwrap_or(-1) })
            }
            Step::Check { version, .. } => MultiOp::Check(PathVersionRequest { path, version: version.unwrap_or(-1) }),
        }
    }
}

impl<'a> Read<'a> {
    pub(crate) const fn path(&self) -> &'a str {
        match self {
            Self::Data(path) | Self::Children(path) => path,
        }
    }

    pub(crate) fn to_op(self, chroot: &Chroot) -> ReadOp<'a> {
        let request = GetDataRequest { path: chroot.to_server(self.path()), watch: false };
        match self {
            Self::Data(_) => ReadOp::GetData(request),
            Self::Children(_) => ReadOp::GetChildren(request),
        }
    }
}

pub(crate) fn finish_transaction(reply: &Reply<'_>) -> Result<Vec<TransactionResult>, Error> {
    let response: MultiResponse = reply.decode()?;
    if let Some((index, code)) = response.failure() {
        let code_of = |result| if let MultiResult::Error(code) = result { code } else { ErrorCode::OK };
        return Err(Error::Aborted { index, code, codes: response.results.iter().map(code_of).collect() });
    }
    let strip = |path: String| reply.chroot.to_client(&path).to_owned();
    let done = |result| match result {
        MultiResult::Create(path) => Ok(TransactionResult::Created { path: strip(path), stat: None }),
        MultiResult::Create2(path, stat) => Ok(TransactionResult::Created { path: strip(path), stat: Some(stat) }),
        MultiResult::Delete => Ok(TransactionResult::Deleted),
        MultiResult::SetData(stat) => Ok(TransactionResult::Set(stat)),
        MultiResult::Check => Ok(TransactionResult::Checked),
        MultiResult::GetData(_) | MultiResult::GetChildren(_) | MultiResult::Error(_) => {
            Err(Error::Protocol { op: OpCode::MULTI, error: unexpected(OpCode::MULTI) })
        }
    };
    response.results.iter().map(done).collect()
}

/// The results of a batch of so many reads.
pub(crate) fn read_results(response: &MultiResponse, asked: usize) -> Result<Vec<ReadResult>, DecodeError> {
    check_count(response, asked)?;
    let done = |result| match result {
        MultiResult::GetData(reply) => Ok(ReadResult::Data(reply.data.unwrap_or_default(), reply.stat)),
        MultiResult::GetChildren(names) => Ok(ReadResult::Children(names.to_strings())),
        MultiResult::Error(code) => Ok(ReadResult::Refused(code)),
        MultiResult::Create(_)
        | MultiResult::Create2(..)
        | MultiResult::Delete
        | MultiResult::SetData(_)
        | MultiResult::Check => Err(unexpected(OpCode::MULTI_READ)),
    };
    // Collecting results of results grows by doubling.
    let mut found = Vec::with_capacity(asked);
    for result in response.results.iter() {
        found.push(done(result)?);
    }
    Ok(found)
}

/// Whether there is a result for each read: else whoever counts on that takes one for another's.
pub(crate) fn check_count(response: &MultiResponse, asked: usize) -> Result<(), DecodeError> {
    let answered = response.results.len();
    if answered == asked {
        return Ok(());
    }
    Err(DecodeError::from(Fault::Short { needed: asked, left: answered }).at("MultiResponse", "results"))
}

/// A result of a kind that the list cannot hold.
pub(crate) fn unexpected(op: OpCode) -> DecodeError {
    DecodeError::from(Fault::UnexpectedType(op.0)).at("MultiResponse", "results")
}
