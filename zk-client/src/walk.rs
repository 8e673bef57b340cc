//! A subtree, read level by level in bounded batches.
//!
//! Knows nothing of the wire: it asks the client for reads. Invariant: one batch is on its way at a time, and it is
//! repeated as often as its limits say, never for ever.

use crate::{
    call::Call,
    client::Client,
    error::{Error, UsageError},
    transaction::{Read, ReadResult, unexpected},
};
use futures_core::Stream;
use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};
use zk_proto::{Bytes, ErrorCode, OpCode, Stat, path};

/// Znodes of one batch, two reads each: enough that round trips do not count, few enough that the answer is far below
/// any limit unless values are large; then batches shrink.
const BATCH_LEN_MAX: usize = 64;

/// How often a batch is repeated because the connection was lost.
const TRIES_MAX: u32 = 3;

/// One znode of a [`Walk`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Walked {
    /// A znode.
    Node {
        /// Its path.
        path: String,
        /// Its data; null data reads as empty.
        data: Bytes,
        /// Its metadata.
        stat: Stat,
    },
    /// A znode that is there and cannot be read, mostly for [`NO_AUTH`](ErrorCode::NO_AUTH); what is below it stays
    /// unknown. A value over [`reply_len_max`](crate::Connector::reply_len_max) comes so, too; what is below such a one
    /// is walked.
    Unread {
        /// Its path.
        path: String,
        /// Why.
        error: Error,
    },
}

/// The znodes of a subtree as a stream, parents before their children; see [`Client::walk`].
pub struct Walk {
    client: Client,
    /// Found, and not read yet.
    waiting: VecDeque<String>,
    /// Read, and not given out yet.
    read: VecDeque<Walked>,
    batch: Option<Batch>,
    batch_len: usize,
    tries: u32,
    /// The server does not know multiRead.
    singly: bool,
    /// Nothing was read yet: the next znode is the root of the walk.
    at_root: bool,
}

/// Znodes that are being read.
struct Batch {
    paths: Vec<String>,
    calls: Calls,
}

enum Calls {
    Together(Call<Vec<ReadResult>>),
    Alone(Box<Alone>),
}

/// One znode: its data may be too large for an answer together with the names of its children.
struct Alone {
    data: Call<(Bytes, Stat)>,
    children: Call<Vec<String>>,
    found: Option<Result<(Bytes, Stat), Error>>,
}

/// What was read of a znode.
type Found = (Result<(Bytes, Stat), Error>, Result<Vec<String>, Error>);

impl Client {
    /// Walks a subtree: the znode, its children, their children, and so on, each with data and [`Stat`]. Read in
    /// batches of at most 64 znodes; one by one on servers before 3.6.
    ///
    /// It is not a cut: what changes meanwhile is seen before or after the change, and what goes between the read of its
    /// parent and its own is left out. `zk-config` has an exact copy that stays so. The paths that wait to be read are
    /// in memory.
    ///
    /// # Ordering
    /// The first read is queued when the stream is first polled, each further one when the one before was answered.
    /// # Errors
    /// The stream ends behind an error: [`Error::Refused`] with [`ErrorCode::NO_NODE`] when there is no such znode,
    /// [`Error::Interrupted`] when the connection was lost three times during the same reads, or the session ended.
    /// Znodes that may not be read are [`Walked::Unread`] and no error.
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = zk_testkit::server::TestServer::builder().znodes([("/app/a/b", ""), ("/app/c", "")]).start().await?;
    /// # let client = zk_client::Client::connect(&server.connect_string()).await?;
    /// use zk_client::Walked;
    ///
    /// let mut bytes = 0;
    /// let mut walk = client.walk("/app")?;
    /// while let Some(walked) = walk.next().await {
    ///     match walked? {
    ///         Walked::Node { data, .. } => bytes += data.len(),
    ///         unread => println!("{unread:?}"),
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn walk(&self, path: &str) -> Result<Walk, Error> {
        path::validate(path).map_err(|error| UsageError::Path { path: path.to_owned(), error })?;
        Ok(Walk {
            client: self.clone(),
            waiting: VecDeque::from([path.to_owned()]),
            read: VecDeque::new(),
            batch: None,
            batch_len: BATCH_LEN_MAX,
            tries: 0,
            singly: false,
            at_root: true,
        })
    }
}

impl Walk {
    /// The next znode; `None` at the end.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Result<Walked, Error>> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// Asks for the next znodes; `None` when there are none.
    fn start(&mut self) -> Option<Batch> {
        let len = self.waiting.len().min(if self.singly { 1 } else { self.batch_len });
        let paths: Vec<String> = self.waiting.drain(..len).collect();
        let first = paths.first()?;
        let calls = if len == 1 {
            let (data, children) = (self.client.get_data(first), self.client.list_children(first));
            Calls::Alone(Box::new(Alone { data, children, found: None }))
        } else {
            let reads = paths.iter().flat_map(|path| [Read::Data(path), Read::Children(path)]);
            Calls::Together(self.client.read_many(reads))
        };
        Some(Batch { paths, calls })
    }

    /// Takes what was read of some znodes.
    fn take(&mut self, paths: Vec<String>, found: Vec<Found>) -> Result<(), Error> {
        self.tries = 0;
        self.batch_len = (self.batch_len * 2).min(BATCH_LEN_MAX);
        for (path, (data, children)) in paths.into_iter().zip(found) {
            let is_gone = |error: &Error| error.code() == Some(ErrorCode::NO_NODE);
            match data {
                Err(error) if is_gone(&error) && self.at_root => return Err(error),
                Err(error) if is_gone(&error) => continue,
                Err(error) => self.read.push_back(Walked::Unread { path: path.clone(), error }),
                Ok((data, stat)) => self.read.push_back(Walked::Node { path: path.clone(), data, stat }),
            }
            self.at_root = false;
            let names = match children {
                Ok(names) => names,
                Err(Error::Refused { .. }) => continue,
                Err(error) => {
                    self.read.push_back(Walked::Unread { path, error });
                    continue;
                }
            };
            // A server that sends names which are none must not make us ask for them.
            let children = names.iter().map(|name| path::join(&path, name));
            self.waiting.extend(children.filter(|child| path::validate(child).is_ok()));
        }
        Ok(())
    }

    /// Puts a batch that failed as a whole back, to be read in another way; an error when there is none.
    fn again(&mut self, paths: Vec<String>, error: Error) -> Result<(), Error> {
        if matches!(error, Error::ReplyTooLarge { .. } | Error::Usage(UsageError::RequestTooLarge(_))) {
            self.batch_len = (paths.len() / 2).max(1);
        } else if error.code() == Some(ErrorCode::UNIMPLEMENTED) && !self.singly {
            self.singly = true;
        } else if matches!(error, Error::Interrupted { .. }) && self.tries < TRIES_MAX {
            self.tries += 1;
        } else {
            return Err(error);
        }
        paths.into_iter().rev().for_each(|path| self.waiting.push_front(path));
        Ok(())
    }

    fn end(&mut self) {
        self.waiting.clear();
        self.read.clear();
    }
}

impl Stream for Walk {
    type Item = Result<Walked, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(walked) = self.read.pop_front() {
                return Poll::Ready(Some(Ok(walked)));
            }
            if self.batch.is_none() {
                self.batch = self.start();
            }
            let Some(batch) = &mut self.batch else { return Poll::Ready(None) };
            let found = ready!(batch.calls.poll(cx));
            let paths = self.batch.take().map(|batch| batch.paths).unwrap_or_default();
            let done = match found {
                Ok(found) if found.len() == paths.len() => self.take(paths, found),
                Ok(_) => Err(wrong()),
                Err(error) => self.again(paths, error),
            };
            if let Err(error) = done {
                self.end();
                return Poll::Ready(Some(Err(error)));
            }
        }
    }
}

impl Calls {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Vec<Found>, Error>> {
        match self {
            Self::Together(call) => Poll::Ready(ready!(Pin::new(call).poll(cx)).map(|results| pairs(&results))),
            Self::Alone(alone) => {
                let Alone { data, children, found } = &mut **alone;
                if found.is_none() {
                    *found = Some(ready!(Pin::new(data).poll(cx)));
                }
                let children = ready!(Pin::new(children).poll(cx));
                Poll::Ready(match (found.take(), children) {
                    (Some(Err(error @ Error::Interrupted { .. })), _) | (_, Err(error @ Error::Interrupted { .. })) => {
                        Err(error)
                    }
                    (data, children) => Ok(data.into_iter().zip([children]).collect()),
                })
            }
        }
    }
}

/// The answers of a batch by znode.
fn pairs(results: &[ReadResult]) -> Vec<Found> {
    let (pairs, _) = results.as_chunks::<2>();
    let refused = |op, code: &ErrorCode| Error::Refused { op, code: *code };
    let found = |[data, children]: &[ReadResult; 2]| {
        let data = match data {
            ReadResult::Data(data, stat) => Ok((data.clone(), *stat)),
            ReadResult::Refused(code) => Err(refused(OpCode::GET_DATA, code)),
            ReadResult::Children(_) => Err(wrong()),
        };
        let children = match children {
            ReadResult::Children(names) => Ok(names.clone()),
            ReadResult::Refused(code) => Err(refused(OpCode::GET_CHILDREN, code)),
            ReadResult::Data(..) => Err(wrong()),
        };
        (data, children)
    };
    pairs.iter().map(found).collect()
}

/// The server answered something else than it was asked.
fn wrong() -> Error {
    Error::Protocol { op: OpCode::MULTI_READ, error: unexpected(OpCode::MULTI_READ) }
}

impl fmt::Debug for Walk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Walk").field("waiting", &self.waiting.len()).finish_non_exhaustive()
    }
}
