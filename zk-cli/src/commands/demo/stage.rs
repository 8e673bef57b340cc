//! The server that the demo kills: one in this process, or a real one.
//!
//! Must not know what is played.

use crate::error::Failure;
use std::net::SocketAddr;
use zk_testkit::{
    launcher::{Ensemble, Launcher, Server, Version},
    server::TestServer,
};

/// One server.
pub(super) enum Stage {
    /// The test kit's own, without Java.
    Test(TestServer),
    /// ZooKeeper itself.
    Real(Ensemble),
}

impl Stage {
    pub(super) async fn start(real: bool) -> Result<Self, Failure> {
        Ok(if real {
            Self::Real(Launcher::new(Version::any()).start().await.map_err(Failure::says)?)
        } else {
            Self::Test(TestServer::start().await.map_err(Failure::says)?)
        })
    }

    pub(super) fn addr(&mut self) -> Result<SocketAddr, Failure> {
        match self {
            Self::Test(server) => Ok(server.addr()),
            Self::Real(ensemble) => only(ensemble).map(|server| server.addr()),
        }
    }

    /// What it is, in a line.
    pub(super) fn describe(&mut self) -> Result<String, Failure> {
        match self {
            Self::Test(server) => {
                Ok(format!("a test server in this process listens on {} (--real: ZooKeeper itself)", server.addr()))
            }
            Self::Real(ensemble) => {
                let server = only(ensemble)?;
                Ok(format!("ZooKeeper {} listens on {}, process {}", server.version(), server.addr(), pid(server)))
            }
        }
    }

    /// Ends it without a warning; answers how that is called.
    pub(super) async fn kill(&mut self) -> Result<&'static str, Failure> {
        match self {
            Self::Test(server) => {
                server.stop().await;
                Ok("was stopped, all its connections cut")
            }
            Self::Real(ensemble) => {
                only(ensemble)?.kill_9().await.map_err(Failure::says)?;
                Ok("was killed with -9")
            }
        }
    }

    /// Starts it again with what it had; answers what it is now.
    pub(super) async fn start_again(&mut self) -> Result<String, Failure> {
        match self {
            Self::Test(server) => {
                server.start_again().await.map_err(Failure::says)?;
                Ok(String::new())
            }
            Self::Real(ensemble) => {
                let server = only(ensemble)?;
                server.start().await.map_err(Failure::says)?;
                Ok(format!(", process {}", pid(server)))
            }
        }
    }
}

fn only(ensemble: &mut Ensemble) -> Result<&mut Server, Failure> {
    ensemble.server_mut(0).ok_or_else(|| Failure::says("the launcher started no server"))
}

fn pid(server: &Server) -> String {
    server.pid().map_or_else(|| "gone".to_owned(), |pid| pid.to_string())
}
