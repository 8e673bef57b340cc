//! The SASL exchange of a new connection: tokens to and fro, until the owner says how it went.
//!
//! Knows nothing of mechanisms: tokens are the owner's. Source: protocol.md section 6.3.

use super::{
    End, Established, Event, Loss, Session, State, Step,
    inflight::{Pending, Purpose},
};
use crate::{
    code::{ErrorCode, OpCode},
    jute::{Encode as _, decode_from},
    records::{SaslRequest, SaslResponse, Secret},
};
use bytes::Bytes;
use core::{fmt, time::Duration};

/// Why a SASL exchange came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SaslFailure {
    /// The server does not accept what the mechanism said.
    Refused(ErrorCode),
    /// The server has no SASL, or let the exchange fail without a word.
    Unavailable,
    /// The mechanism cannot go on, or does not trust the server; the text says why.
    Mechanism(&'static str),
}

impl fmt::Display for SaslFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(code) => {
                write!(f, "SASL failed: {code}; check user and password, and the server's JAAS section")
            }
            Self::Unavailable => f.write_str(
                "SASL failed: the server sent no token; it has no SASL (give it a JAAS section `Server` and the \
                 SASLAuthenticationProvider, or connect without), or does not accept user and password",
            ),
            Self::Mechanism(why) => write!(f, "SASL failed: {why}"),
        }
    }
}

impl<T> Session<T> {
    /// The server has taken us; before anything but auth packets comes the exchange.
    pub(super) fn begin_sasl(&mut self, established: Established) {
        // The whole exchange has the time that silence has: a server that asks for ever is no better than a mute one.
        self.timers.greeting_until = self.timers.silent_at();
        self.established = Some(established);
        self.send_auths();
        self.events.push_back(Event::SaslWanted);
    }

    /// Sends a token: the first after [`Event::SaslWanted`], the others after [`Event::SaslToken`].
    pub fn sasl_send(&mut self, now: Duration, token: &[u8]) {
        if self.state == State::Authenticating {
            let request = SaslRequest { token: Secret(token) };
            let xid = self.put_frame(now, OpCode::SASL, request.encoded_len(), |out| request.encode(out));
            self.in_flight.push(Pending { xid, purpose: Purpose::Sasl, change: None });
        }
    }

    /// The exchange is over and good: watches and requests follow, and [`Event::Established`].
    pub fn sasl_done(&mut self, now: Duration) {
        if self.state != State::Authenticating {
            return;
        }
        if let Some(established) = self.established.take()
            && self.step(Step::Established)
        {
            self.events.push_back(Event::Established(established));
            self.greet(now);
        }
    }

    /// The exchange came to nothing, and will not elsewhere: the session ends.
    pub fn sasl_failed(&mut self, why: SaslFailure) {
        if self.state == State::Authenticating {
            self.end(End::SaslFailed(why));
        }
    }

    pub(super) fn handle_sasl(&mut self, err: ErrorCode, body: &Bytes) {
        if err != ErrorCode::OK {
            return self.end(End::SaslFailed(SaslFailure::Refused(err)));
        }
        match decode_from::<SaslResponse>(body) {
            Ok(response) => self.events.push_back(Event::SaslToken(response.token)),
            Err(error) => self.lose(Loss::Decode(error)),
        }
    }
}
