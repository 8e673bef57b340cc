//! The list of servers of a client that runs.

use super::Client;
use crate::{
    connect_string::{ConnectString, ConnectStringError},
    driver::ticket::Command,
    error::{Error, UsageError},
};
use zk_proto::OpCode;

impl Client {
    /// Replaces the list of servers, while the session goes on. When the server in use is not in the new list, or when the
    /// list has grown and chance says so, the client moves: it waits for what is on its way (two seconds at most), keeps
    /// what is called meanwhile, and goes on with the same session at another server, at once. Chances are such that every
    /// server gets its share of the clients if each of them is told, and the same as the Java client's.
    ///
    /// The connect string names the chroot of the one that the client was made with, or none.
    ///
    /// # Ordering
    /// Queued when this is called: operations that were called before are answered by the old server, unless it dies.
    /// # Errors
    /// [`UsageError::ConnectString`] with what is wrong, [`UsageError::ChrootChanged`]; [`Error::Interrupted`] when the
    /// session is over.
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let ensemble = zk_testkit::server::TestEnsemble::start(3).await?;
    /// # let [one, two, three] = ensemble.members() else { unreachable!() };
    /// # let (before, after) = (one.connect_string(), format!("{},{}", two.connect_string(), three.connect_string()));
    /// let client = zk_client::Client::connect(&before).await?;
    /// let session = client.session_id();
    /// client.update_servers(&after)?;
    /// // Answered by one of the others.
    /// client.exists("/app").await?;
    /// assert_eq!(client.session_id(), session);
    /// # Ok(())
    /// # }
    /// ```
    pub fn update_servers(&self, connect_string: &str) -> Result<(), Error> {
        let servers: ConnectString = connect_string.parse().map_err(|error: ConnectStringError| Error::from(error))?;
        let (servers, chroot) = servers.into_list().map_err(Error::from)?;
        let root = &self.shared.root;
        if !chroot.as_str().is_empty() && chroot.as_str() != "/" && chroot.as_str() != root.as_str() {
            let (is, wanted) = (root.as_str().to_owned(), chroot.as_str().to_owned());
            return Err(UsageError::ChrootChanged { is, wanted }.into());
        }
        self.try_send(OpCode::CREATE_SESSION, Command::UpdateServers(servers))
    }
}
