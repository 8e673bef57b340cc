//! Who we are to a server: auth packets and SASL, and which of them must not leave unencrypted.
//!
//! Must not know mechanisms. Addresses on this machine are exempt: what goes there leaves it for nobody to see.

use super::{Driver, ticket::Ticket};
use crate::{call::Outcomes, caller::Caller, error::UsageError, sasl::SaslStep, secret::Secret};
use std::net::SocketAddr;
use zk_proto::{frame::TooLarge, records::SecretBytes, session::SaslFailure};

/// Bytes of an auth packet beside scheme and secret: its header, a type, and two lengths.
const AUTH_OVERHEAD: usize = 8 + 4 + 4 + 4;

/// Refuses an identity that no server would read.
pub(crate) fn check_len(scheme: &str, auth: &Secret, limit: usize) -> Result<(), UsageError> {
    let len = AUTH_OVERHEAD + scheme.len() + auth.expose().len();
    if len > limit { Err(UsageError::RequestTooLarge(TooLarge { len, limit })) } else { Ok(()) }
}

/// What a driver has to keep of who we are.
#[derive(Default)]
pub(super) struct Identity {
    exchange: Option<Box<dyn crate::sasl::SaslExchange>>,
    was_warned: bool,
}

impl Driver {
    /// The identities of the connector. They are there before the first attempt, so that none leads to where they must not go,
    /// and stay: nobody waits for them.
    pub(crate) fn present(&mut self, identities: &[(String, Secret)]) {
        for (scheme, auth) in identities {
            match check_len(scheme, auth, self.settings.request_len_max) {
                Ok(()) => self.session.add_auth(self.now, scheme, auth.expose(), Ticket::Nobody),
                Err(error) => tracing::warn!(scheme, %error, "an identity is left out"),
            }
        }
    }

    pub(super) fn add_auth(&mut self, scheme: &str, auth: &Secret, answer: Caller) {
        if let Err(error) = check_len(scheme, auth, self.settings.request_len_max) {
            return answer.send(Outcomes::Usage(error));
        }
        if let Some((_, addr)) = self.peer.as_ref().filter(|_| !auth.is_empty())
            && let Some(error) = self.revealed(scheme.to_owned(), *addr)
        {
            return answer.send(Outcomes::Usage(error));
        }
        self.session.add_auth(self.now, scheme, auth.expose(), Ticket::Call(answer));
    }

    /// What must not be sent to this server, if anything, because others could read it on the way.
    pub(super) fn overheard(&mut self, addr: SocketAddr) -> Option<UsageError> {
        let mechanism = self.settings.sasl.as_ref().filter(|mechanism| mechanism.reveals_secret());
        let scheme = self.session.secret_schemes().last().or_else(|| mechanism.map(|mechanism| mechanism.name()))?;
        self.revealed(scheme.to_owned(), addr)
    }

    /// The same of one secret that has this name.
    fn revealed(&mut self, scheme: String, addr: SocketAddr) -> Option<UsageError> {
        if self.settings.dial.encrypts() || addr.ip().to_canonical().is_loopback() {
            return None;
        }
        if !self.settings.plaintext_auth {
            return Some(UsageError::PlaintextAuth { scheme: scheme.into(), server: addr });
        }
        if !std::mem::replace(&mut self.identity.was_warned, true) {
            tracing::warn!(scheme, server = %addr, "credentials travel unencrypted, as allow_plaintext_auth says");
        }
        None
    }

    pub(super) fn sasl_wanted(&mut self) {
        let host = self.peer.as_ref().map_or("", |(server, _)| host_of(server));
        let begun = match &self.settings.sasl {
            Some(mechanism) => mechanism.begin(host),
            None => Err(SaslFailure::Mechanism("no mechanism was given")),
        };
        let first = begun.and_then(|mut exchange| exchange.first().map(|token| (exchange, Secret::from(token))));
        match first {
            Ok((exchange, token)) => {
                self.identity.exchange = Some(exchange);
                let now = self.now;
                self.session.sasl_send(now, token.expose());
            }
            Err(why) => self.session.sasl_failed(why),
        }
    }

    pub(super) fn sasl_token(&mut self, token: Option<&SecretBytes>) {
        let now = self.now;
        let Some(exchange) = &mut self.identity.exchange else { return };
        match exchange.step(token.map(|token| &*token.0)) {
            Ok(SaslStep::Send(token)) => self.session.sasl_send(now, Secret::from(token).expose()),
            Ok(SaslStep::Done) => {
                self.identity.exchange = None;
                self.session.sasl_done(now);
            }
            Err(why) => self.session.sasl_failed(why),
        }
    }
}

/// The host of `host:port`, or of `host:port (address)`.
fn host_of(server: &str) -> &str {
    let named = server.split(' ').next().unwrap_or_default();
    let host = named.rsplit_once(':').map_or(named, |(host, _)| host);
    host.trim_matches(['[', ']'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_cut_from_servers() {
        for (server, host) in
            [("zk1:2181", "zk1"), ("zk1:2181 (10.0.0.1:2181)", "zk1"), ("[::1]:2181", "::1"), ("", "")]
        {
            assert_eq!(host_of(server), host);
        }
    }
}
