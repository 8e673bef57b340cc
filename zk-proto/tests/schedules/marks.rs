//! How often the schedules came to the places that matter: a test that never gets there proves nothing.

macro_rules! marks {
    ($($name:ident $text:literal;)*) => {
        /// A rare state that a long run must reach.
        #[derive(Clone, Copy, Debug)]
        pub(crate) enum Mark { $($name,)* }

        const NAMES: &[&str] = &[$($text),*];
    };
}

marks! {
    CutInConnectAnswer "cut inside the connect answer";
    RearmedInSeveralFrames "watches set again in several frames";
    CutBetweenRearmFrames "cut between two answers to frames of watches";
    ExpiryWhileRearming "session expired by the servers while watches were being set again";
    CloseWhileRearming "close() while watches were being set again";
    WatchesRefused "watches refused";
    WatchesNeedAuth "watches refused for want of authentication (-124)";
    ToldByRearming "change found by setting watches again";
    XidWrap "xid wrapped at i32::MAX";
    ServerBehind "server behind the zxid that the client has seen";
    SessionMoved "session taken over on another connection";
    MovedBetweenServers "session resumed on another server";
    AuthOvertakes "auth reply overtook a request's";
    RefusalOvertakes "refusal of a read-only server overtook a read's reply";
    ReadOnlySession "session of a read-only server";
    ReadOnlyRefusal "16-byte refusal of a read-only server";
    ReadOnlyHangsUp "read-only server hung up on a client that wants to write";
    SilentlyReplaced "session silently replaced by another";
    Gone "answer that the session has expired";
    GoneWithWaiting "answer that the session has expired, while requests waited";
    GoneWithoutSession "answer that no session has expired";
    NoAnswer "closed without an answer to the greeting";
    HoleInGreeting "black hole found by silence in the greeting";
    Hole "black hole found by silence";
    Dribble "peer that dribbles found dead";
    PartIsLife "part of a long reply taken for a sign of life";
    GarbageHttp "HTTP in place of an answer to the greeting";
    GarbageTls "TLS in place of an answer to the greeting";
    GarbageGreeting "other garbage in place of an answer to the greeting";
    GarbageLength "negative length of a frame";
    GarbageHuge "frame of two gigabytes";
    GarbageHeader "frame too short for a reply's header";
    GarbageXid "reply to no request";
    GarbageAuth "auth reply to no auth packet";
    GarbageEvent "truncated event";
    Oddity "strange frame that is no reason to hang up";
    Oversize "reply over the limit";
    OversizeSkipped "frame behind a reply over the limit";
    OwnExpiryDown "own expiry at 4/3 T without a connection";
    OwnExpiryGreeting "own expiry at 4/3 T in a greeting";
    ExpiryEnds "expiry that ends a session that is not to be renewed";
    Late "driver that woke up late and found the peer dead";
    AuthRefused "identity refused";
    AuthDemanded "authentication demanded (-124)";
    Refused "request refused";
    CloseUp "close() answered";
    CloseLost "close() ended by the end of the connection";
    CloseDown "close() without a connection";
    CloseGreeting "close() in a greeting";
    ResumedGood "session of another process resumed";
    ResumedBad "dead session of another process given up";
    UnknownApplied "request with an unknown outcome that was carried out";
    UnknownLost "request with an unknown outcome that was not carried out";
    AppliedAfterLoss "request carried out after its connection was lost";
    WaitedForConnection "request that waited for a connection";
    NotSent "request never sent";
    LostBeforeSending "connection lost in the bytes that brought it, before the requests that waited had left";
    EventsOfOneTxn "several events of one transaction";
    LagSeen "read on a server that lags behind the leader";
    Twin "twin with bytes split in another way";
    Rest "healed, told of everything and at rest";
}

/// One counter a mark.
#[derive(Clone)]
pub(crate) struct Marks([u64; NAMES.len()]);

impl Marks {
    pub(crate) const fn new() -> Self {
        Self([0; NAMES.len()])
    }

    pub(crate) const fn hit(&mut self, mark: Mark) {
        self.0[mark as usize] += 1;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(sum, part)| *sum += part);
    }

    pub(crate) fn table(&self) -> String {
        NAMES.iter().zip(self.0).map(|(name, count)| format!("{count:>12}  {name}\n")).collect()
    }

    /// The marks that nothing came to.
    pub(crate) fn missed(&self) -> Vec<&'static str> {
        NAMES.iter().zip(self.0).filter(|(_, count)| *count == 0).map(|(name, _)| *name).collect()
    }
}
