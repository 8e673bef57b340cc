//! Changing data that others change, too.

use super::Client;
use crate::error::Error;
use zk_proto::{Bytes, ErrorCode, OpCode, Stat};

/// How often a change is tried while others are faster: each time one of them has made theirs.
const TRIES_MAX: usize = 256;

impl Client {
    /// Reads data, lets `change` make new data of it, and sets that unless somebody was faster; then all of it again,
    /// at most 256 times. Where `change` answers `None`, nothing is set and the result is `None`. It is called once a
    /// try, so let it do nothing else.
    ///
    /// Versions are compared, and a znode that was deleted and created anew counts from 0 again: the change may then
    /// have been made of the data of the old one. [`Stat::czxid`] tells them apart.
    ///
    /// # Ordering
    /// The first read is queued when the future is first polled.
    /// # Cancel safety
    /// Dropping the future drops the answer; the change may have been made.
    /// # Errors
    /// As [`get_data`](Self::get_data) and [`set_data`](Self::set_data); [`ErrorCode::BAD_VERSION`] when others were
    /// faster every time. [`Error::Interrupted`] is not tried again: the change may have been made already.
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = zk_testkit::server::TestServer::start().await?;
    /// # let client = zk_client::Client::connect(&server.connect_string()).await?;
    /// # server.create("/visits", b"41").unwrap();
    /// let counted = client
    ///     .update("/visits", |data, _stat| {
    ///         let count: u64 = std::str::from_utf8(data).ok()?.parse().ok()?;
    ///         Some((count + 1).to_string())
    ///     })
    ///     .await?;
    /// assert_eq!(counted.map(|stat| stat.version), Some(1));
    /// assert_eq!(&client.get_data("/visits").await?.0[..], b"42");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn update<D: AsRef<[u8]>>(
        &self,
        path: &str,
        mut change: impl FnMut(&Bytes, &Stat) -> Option<D>,
    ) -> Result<Option<Stat>, Error> {
        for _ in 0..TRIES_MAX {
            let (data, stat) = self.get_data(path).await?;
            let Some(new) = change(&data, &stat) else { return Ok(None) };
            match self.set_data(path, new.as_ref(), Some(stat.version)).await {
                Err(Error::Refused { code: ErrorCode::BAD_VERSION, .. }) => {}
                done => return done.map(Some),
            }
        }
        Err(Error::Refused { op: OpCode::SET_DATA, code: ErrorCode::BAD_VERSION })
    }
}
