//! The states of a session's connection and every step between them. All transitions live in this file.
//!
//! ```text
//!              Dialed                 Established
//!   ┌──────┐ ─────────▶ ┌──────────┐ ─────────────▶ ┌──────┐
//!   │ Down │            │ Greeting │                │  Up  │
//!   └──────┘ ◀───────── └──────────┘                └──────┘
//!      ▲         Lost        │ Taken                 ▲  │
//!      │                     ▼                       │  │
//!      │           ┌────────────────┐  Established   │  │
//!      │◀───────── │ Authenticating │ ───────────────┘  │
//!      │    Lost   └────────────────┘                   │
//!      └────────────────────────────────────────────────┘ Lost
//!
//!   End, from everywhere ──▶ Ended (nothing leaves it)
//! ```

/// Where the connection of a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No connection; the session may well be alive on the servers.
    Down,
    /// Connected; the ConnectRequest is out and its answer is awaited.
    Greeting,
    /// The server has taken us; SASL tokens go to and fro.
    Authenticating,
    /// The server has taken us; requests flow.
    Up,
    /// The session is over for good.
    Ended,
}

/// What moves a [`State`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A transport to a server stands.
    Dialed,
    /// The server's answer gives us a session, and SASL is to follow.
    Taken,
    /// The server's answer gives us a session, and SASL, if wanted, is over.
    Established,
    /// The transport is gone, or is given up.
    Lost,
    /// Closed by us, expired without renewal, or refused for good.
    End,
}

impl State {
    /// The state after a step; `None` when the step cannot happen here.
    #[must_use]
    pub const fn next(self, step: Step) -> Option<Self> {
        match (self, step) {
            (Self::Down, Step::Dialed) => Some(Self::Greeting),
            (Self::Greeting, Step::Taken) => Some(Self::Authenticating),
            (Self::Greeting | Self::Authenticating, Step::Established) => Some(Self::Up),
            (Self::Greeting | Self::Authenticating | Self::Up, Step::Lost) => Some(Self::Down),
            (Self::Down | Self::Greeting | Self::Authenticating | Self::Up, Step::End) => Some(Self::Ended),
            (Self::Down, Step::Taken | Step::Established | Step::Lost)
            | (Self::Greeting, Step::Dialed)
            | (Self::Authenticating, Step::Dialed | Step::Taken)
            | (Self::Up, Step::Dialed | Step::Taken | Step::Established)
            | (Self::Ended, Step::Dialed | Step::Taken | Step::Established | Step::Lost | Step::End) => None,
        }
    }
}
