//! The ensemble's configuration: read, and changed.

use super::Client;
use crate::{
    call::{Call, Reply},
    ensemble::{CONFIG_PATH, EnsembleConfig, Reconfig},
    error::Error,
};
use zk_proto::{ops, records::GetDataRequest};

impl Client {
    /// Reads who is in the ensemble. Needs 3.5. A server that stands alone answers a configuration without members.
    ///
    /// It is the znode `/zookeeper/config` of the server, whatever this client's chroot is.
    ///
    /// # Ordering
    /// Queued when this method is called, not when the future is first polled.
    /// # Cancel safety
    /// Dropping the future drops the answer; the request is still sent.
    /// # Errors
    /// [`Error::Refused`] with [`NO_NODE`](crate::ErrorCode::NO_NODE) from servers before 3.5, or
    /// [`NO_AUTH`](crate::ErrorCode::NO_AUTH) where the ACL was changed; everybody may read it otherwise.
    pub fn get_config(&self) -> Call<EnsembleConfig> {
        self.call::<ops::GetData, _>(Ok(GetDataRequest { path: CONFIG_PATH.into(), watch: false }), config)
            .at(CONFIG_PATH)
    }

    /// Changes who is in the ensemble; answers the new configuration. Needs 3.5, `reconfigEnabled=true` at the servers
    /// since 3.5.3, and WRITE on `/zookeeper/config`, which by default only the super user has.
    ///
    /// A server that joins must run and have reached the ensemble before. Who is connected to a member that leaves, or
    /// to the leader when it leaves, loses the connection and goes on with another member of its connect string.
    ///
    /// # Ordering
    /// Queued when this method is called, not when the future is first polled.
    /// # Cancel safety
    /// Dropping the future drops the answer; the change is still made.
    /// # Errors
    /// [`Error::Refused`] with, in the order in which servers look:
    /// [`RECONFIG_DISABLED`](crate::ErrorCode::RECONFIG_DISABLED);
    /// [`UNIMPLEMENTED`](crate::ErrorCode::UNIMPLEMENTED) by a server that stands alone;
    /// [`RECONFIG_IN_PROGRESS`](crate::ErrorCode::RECONFIG_IN_PROGRESS);
    /// [`NEW_CONFIG_NO_QUORUM`](crate::ErrorCode::NEW_CONFIG_NO_QUORUM) while too few of the new members follow;
    /// [`BAD_VERSION`](crate::ErrorCode::BAD_VERSION), see [`Reconfig::replacing`];
    /// [`BAD_ARGUMENTS`](crate::ErrorCode::BAD_ARGUMENTS) for a server that cannot be read, or too few voters;
    /// [`NO_AUTH`](crate::ErrorCode::NO_AUTH).
    /// # Examples
    /// ```no_run
    /// # async fn swap(client: &zk_client::Client) -> Result<(), zk_client::Error> {
    /// use zk_client::Reconfig;
    ///
    /// let now = client.get_config().await?;
    /// let mut swap = Reconfig::new().join("server.4=zk4:2888:3888:participant;2181").leave(2);
    /// if let Some(version) = now.version {
    ///     swap = swap.replacing(version); // nobody else has changed it meanwhile
    /// }
    /// let new = client.reconfig(&swap).await?;
    /// println!("clients may use {}", new.connect_string());
    /// # Ok(())
    /// # }
    /// ```
    pub fn reconfig(&self, change: &Reconfig) -> Call<EnsembleConfig> {
        self.call::<ops::Reconfig, _>(Ok(change.request()), config)
    }
}

pub(super) fn config(reply: &Reply<'_>) -> Result<EnsembleConfig, Error> {
    reply.decode().map(EnsembleConfig::new)
}
