//! The znodes above a recipe's own.

use super::session::InSession;
use crate::{Acl, CreateMode, Error, ErrorCode, path};

/// Creates a znode and what is missing above it, as containers, which the server removes some time after the last child;
/// as Curator does it. Servers before 3.5.1 have no containers: there they stay.
pub(super) async fn create(session: &InSession, dir: &str, acl: &[Acl]) -> Result<(), Error> {
    let mut mode = CreateMode::Container;
    let mut missing = vec![dir];
    while let Some(&path) = missing.last() {
        let created = session.again(|client| client.create(path, b"", mode, acl)).await;
        match created.as_ref().map_err(Error::code) {
            Ok(_) | Err(Some(ErrorCode::NODE_EXISTS)) => drop(missing.pop()),
            Err(Some(ErrorCode::UNIMPLEMENTED)) if mode == CreateMode::Container => mode = CreateMode::Persistent,
            Err(Some(ErrorCode::NO_NODE)) => match path::parent(path) {
                Some(parent) if parent != "/" => missing.push(parent),
                // The chroot does not exist: that is not ours to make.
                _ => return created.map(drop),
            },
            Err(_) => return created.map(drop),
        }
    }
    Ok(())
}
