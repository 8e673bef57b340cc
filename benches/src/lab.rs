//! A mirror in this process behind a wire that can be broken: the proxy on one thread, the mirror on another.
//!
//! Must not know what is measured.

use crate::{
    args::Runtime,
    error::Failure,
    ours,
    value::{now_ns, thread_cpu_ns},
};
use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};
use tokio::{sync::oneshot, task::JoinHandle};
use zk_client::{Connector, Dial, Dialed, HostPort, TcpDial, Transport};
use zk_config::Mirror;
use zk_testkit::proxy::{Proxy, Towards};

/// A mirror is loaded after this, or never.
pub(crate) const READY_PATIENCE: Duration = Duration::from_secs(120);

/// The proxy, and the runtime that waits in the harness.
pub(crate) struct Lab {
    pub(crate) runtime: tokio::runtime::Runtime,
    pub(crate) proxy: Proxy,
}

impl Lab {
    pub(crate) fn start(server: SocketAddr) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(Failure::io("start threads"))?;
        let proxy = runtime.block_on(Proxy::start(server)).map_err(Failure::io("start the proxy"))?;
        Ok(Self { runtime, proxy })
    }

    /// Bytes so far, to the server and from it.
    pub(crate) fn bytes(&self) -> [u64; 2] {
        [Towards::Server, Towards::Client].map(|towards| self.proxy.traffic(towards).bytes)
    }
}

/// When the last connection came about; 0: none yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Connected(Arc<AtomicU64>);

impl Connected {
    pub(crate) fn at_ns(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

impl Dial for Connected {
    fn resolve<'a>(&'a self, host: &'a HostPort) -> Dialed<'a, Vec<SocketAddr>> {
        TcpDial.resolve(host)
    }

    fn dial<'a>(&'a self, host: &'a HostPort, addr: SocketAddr) -> Dialed<'a, Box<dyn Transport>> {
        Box::pin(async move {
            let stream = TcpDial.dial(host, addr).await?;
            self.0.store(now_ns(), Ordering::Release);
            Ok(stream)
        })
    }
}

/// A mirror on threads of its own; it ends when this is dropped.
pub(crate) struct Subject {
    pub(crate) mirror: Mirror,
    pub(crate) connected: Connected,
    /// CPU time of the mirror's thread, as of its last look; where it has more than one, of the whole process.
    cpu_ns: Arc<AtomicU64>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

/// The application on the mirror's threads.
pub(crate) type Application = Box<dyn FnOnce(&Mirror) -> JoinHandle<()> + Send>;

impl Subject {
    /// Connects and loads; then the application starts.
    pub(crate) fn start(
        addr: &str,
        root: &str,
        timeout: Duration,
        kind: Runtime,
        application: Application,
    ) -> Result<Self, Failure> {
        let connected = Connected::default();
        let connector = ours::connector_to(addr, timeout, kind)?.dial(connected.clone());
        let runtime = ours::runtime(kind)?;
        let (started, starting) = mpsc::sync_channel(1);
        let (end, ended) = oneshot::channel();
        let root = root.to_owned();
        let cpu_ns = Arc::<AtomicU64>::default();
        let cpu = cpu_ns.clone();
        let thread = thread::spawn(move || {
            runtime.block_on(async {
                let outcome = begin(connector, &root).await;
                if let Ok(mirror) = &outcome {
                    application(mirror);
                    tokio::spawn(account(kind, cpu));
                }
                // Whoever gave up waiting wants no mirror.
                if started.send(outcome).is_ok() {
                    let _ = ended.await;
                }
            });
            runtime.shutdown_background();
        });
        let lost = || Failure::io("start the mirror")(io::ErrorKind::TimedOut.into());
        let mirror = starting.recv_timeout(READY_PATIENCE).map_err(|_| lost())??;
        Ok(Self { mirror, connected, cpu_ns, end: Some(end), thread: Some(thread) })
    }

    pub(crate) fn cpu_ns(&self) -> u64 {
        self.cpu_ns.load(Ordering::Relaxed)
    }
}

async fn begin(connector: Connector, root: &str) -> Result<Mirror, Failure> {
    let client = connector.connect().await?;
    let mirror = Mirror::start(&client, root)?;
    mirror.ready().await?;
    Ok(mirror)
}

/// Says from time to time how much CPU was used.
async fn account(kind: Runtime, cpu: Arc<AtomicU64>) {
    let mut every = tokio::time::interval(Duration::from_millis(20));
    loop {
        every.tick().await;
        let used = match kind {
            Runtime::CurrentThread => thread_cpu_ns(),
            Runtime::MultiThread | Runtime::Own => crate::value::cpu_ns(),
        };
        cpu.store(used, Ordering::Relaxed);
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // It broke down: then it has said so on stderr.
            let _ = thread.join();
        }
    }
}
