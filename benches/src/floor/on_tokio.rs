//! The floor of clients on tokio: the same frames by hand, and tokio's current-thread runtime to wait for them, a task a
//! session. What this needs beyond the floor, no client on tokio can save.

use super::notify::Watch;
use crate::{
    args::WatcherArgs,
    error::Failure,
    report,
    samples::{NotifyLine, Samples},
};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::{io::AsyncReadExt as _, net::TcpStream};

pub(super) fn run(args: &WatcherArgs) -> Result<NotifyLine, Failure> {
    let watches = (0..args.sessions).map(|_| Watch::open(args)).collect::<Result<Vec<_>, _>>()?;
    let samples = Arc::new(Mutex::new(Samples::new(args.count, args.sessions)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(Failure::io("start a runtime"))?.block_on(async {
        let tasks: Vec<_> = watches.into_iter().map(|watch| tokio::spawn(follow(watch, samples.clone()))).collect();
        report::print("READY")?;
        for task in tasks {
            task.await.map_err(|error| Failure::io("wait for a task")(error.into()))??;
        }
        Ok::<(), Failure>(())
    })?;
    let mut samples = samples.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(samples.line(&args.name, args.split))
}

async fn follow(mut watch: Watch, samples: Arc<Mutex<Samples>>) -> Result<(), Failure> {
    let socket = watch.raw.inbox.socket().try_clone().map_err(Failure::io("share a socket"))?;
    socket.set_nonblocking(true).map_err(Failure::io("share a socket"))?;
    let mut socket = TcpStream::from_std(socket).map_err(Failure::io("share a socket"))?;
    while !watch.ended {
        let room = watch.raw.inbox.room().map_err(Failure::io("receive"))?;
        let read = socket.read(room).await.map_err(Failure::io("receive"))?;
        watch.raw.inbox.arrived(read).map_err(Failure::io("receive"))?;
        let mut samples = samples.lock().unwrap_or_else(PoisonError::into_inner);
        while watch.raw.inbox.has_frame() {
            watch.next_frame(&mut samples)?;
        }
    }
    Ok(())
}
