//! A session with a thread of its own ([`Connector::own_thread`](crate::Connector::own_thread)): no reactor between the socket and
//! the driver.
//!
//! The driver stays the one task that it is: its timer, its handles and its attempts to connect wake it as ever. Only what a
//! server sends comes another way. A thread waits for it in `recv`, and then polls the driver itself, here, where the driver has
//! its seat while nobody polls it. So nothing of the driver knows of this, and a turn that something else brings about finds
//! the same driver in the same place. Must not know what the bytes mean.

mod arrivals;
mod receiver;

use crate::dial::{Transport, in_task};
use std::{
    future::{Future, poll_fn},
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
    thread,
};
use tokio::{net::TcpStream, runtime::Handle};

tokio::task_local! {
    /// The seat of the driver that is being polled; what it dials finds it.
    static SEAT: Arc<Seat>;
}

/// Runs a driver whose connections have threads.
pub(crate) async fn run(driver: impl Future<Output = ()> + Send + 'static) {
    let seat = Arc::<Seat>::default();
    seat.seated().driver = Some(Box::pin(SEAT.scope(seat.clone(), driver)));
    let task = DriversTask(seat);
    poll_fn(|cx| {
        let mut seated = task.0.seated();
        if !seated.is_of(cx.waker()) {
            seated.task = Some(cx.waker().clone());
        }
        task.0.poll(seated, cx)
    })
    .await;
}

/// The transport over a connection that stands: with a thread, if it is a driver's that asked for one.
pub(crate) fn transport(stream: TcpStream) -> io::Result<Box<dyn Transport>> {
    match SEAT.try_with(Arc::clone) {
        Ok(seat) => receiver::start(stream.into_std()?, thread::Builder::new(), &seat, &Handle::current()),
        Err(_) => Ok(in_task(stream)),
    }
}

/// Where the driver is while nobody polls it. Whoever does has the lock meanwhile.
#[derive(Default)]
struct Seat {
    seated: Mutex<Seated>,
    /// The task has ended inside of a poll, so that the driver was not here.
    is_left: AtomicBool,
}

#[derive(Default)]
struct Seated {
    /// None when it has ended, and when a panic ended it.
    driver: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// The task that polls it where no thread does.
    task: Option<Waker>,
}

impl Seat {
    /// Does what waking a task is to bring about: polls the driver in this thread, if it is the driver's task.
    fn wake(&self, waker: Waker) {
        let seated = self.seated();
        if !seated.is_of(&waker) {
            drop(seated);
            return waker.wake();
        }
        // The task ends with the driver, also where a panic ends that.
        let task = WakeOnDrop(&waker);
        if self.poll(seated, &mut Context::from_waker(&waker)).is_pending() {
            std::mem::forget(task);
        }
    }

    fn poll(&self, mut seated: MutexGuard<'_, Seated>, cx: &mut Context<'_>) -> Poll<()> {
        // A panic drops it, as it would in a task.
        let Some(mut driver) = seated.driver.take() else { return Poll::Ready(()) };
        if driver.as_mut().poll(cx).is_ready() || self.is_left.load(Ordering::Relaxed) {
            return Poll::Ready(());
        }
        seated.driver = Some(driver);
        Poll::Pending
    }

    fn seated(&self) -> MutexGuard<'_, Seated> {
        self.seated.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seated {
    fn is_of(&self, waker: &Waker) -> bool {
        self.task.as_ref().is_some_and(|task| task.will_wake(waker))
    }
}

/// The driver's task: whatever ends it ends the driver. It waits for a thread that polls.
struct DriversTask(Arc<Seat>);

impl Drop for DriversTask {
    fn drop(&mut self) {
        let is_in_poll = SEAT.try_with(|seat| Arc::ptr_eq(seat, &self.0)).unwrap_or(false);
        if is_in_poll {
            // Whom the driver calls has ended the runtime: it would wait for itself. What the driver still asks of the runtime
            // may panic, which ends the driver, too.
            self.0.is_left.store(true, Ordering::Relaxed);
        } else {
            let driver = self.0.seated().driver.take();
            drop(driver);
        }
    }
}

struct WakeOnDrop<'a>(&'a Waker);

impl Drop for WakeOnDrop<'_> {
    fn drop(&mut self) {
        self.0.wake_by_ref();
    }
}
