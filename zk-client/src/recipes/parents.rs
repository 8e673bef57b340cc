//! The znodes above a recipe's own.

use super::session::{InSession, is_connection_lost};
use crate::{Acl, Error, ErrorCode, Parents};

/// Creates a znode and what is missing above it, as containers, which the server removes some time after the last child;
/// as Curator does it. Servers before 3.5.1 have no containers: there they stay.
pub(super) async fn create(session: &InSession, dir: &str, acl: &[Acl]) -> Result<(), Error> {
    let mut parents = Parents::Containers(acl);
    loop {
        match session.client.ensure_path(dir, parents).await {
            Err(error) if is_connection_lost(&error) => session.back().await?,
            Err(error) if error.code() == Some(ErrorCode::UNIMPLEMENTED) && parents != Parents::Persistent(acl) => {
                parents = Parents::Persistent(acl);
            }
            done => return done,
        }
    }
}
