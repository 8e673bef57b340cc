//! SASL: what a mechanism is to the client.
//!
//! The client carries tokens; a mechanism makes them and does no I/O of its own. Must not know a mechanism's formulas.
//! Source: protocol.md section 6.3.

use zk_proto::session::SaslFailure;

mod digest_md5;

pub use digest_md5::DigestMd5;

/// A way to prove to a server who we are: [`DigestMd5`], or your own (GSSAPI, for Kerberos, needs a C library and so is not
/// here).
///
/// It is asked on every connection, and runs inside the task of the session, so it must not block. One that needs
/// answers of a third party, such as tickets of a KDC, has to get them beforehand, and to fail when they are not there.
///
/// A mechanism that speaks first and is answered once more behind its last token, as GSSAPI is by ZooKeeper:
///
/// ```
/// use zk_client::{SaslExchange, SaslFailure, SaslMechanism, SaslStep};
///
/// struct Ticket(&'static [u8]);
/// struct Said(&'static [u8]);
///
/// impl SaslMechanism for Ticket {
///     fn name(&self) -> &str { "TICKET" }
///     fn begin(&self, _host: &str) -> Result<Box<dyn SaslExchange>, SaslFailure> { Ok(Box::new(Said(self.0))) }
/// }
/// impl SaslExchange for Said {
///     fn first(&mut self) -> Result<Vec<u8>, SaslFailure> { Ok(self.0.to_vec()) }
///     fn step(&mut self, token: Option<&[u8]>) -> Result<SaslStep, SaslFailure> {
///         match token {
///             Some(challenge) => Ok(SaslStep::Send(challenge.to_vec())),
///             None => Ok(SaslStep::Done),
///         }
///     }
/// }
/// ```
pub trait SaslMechanism: Send + Sync + 'static {
    /// Its registered name, for logs. It does not travel: a server speaks the mechanism that it was set up for.
    fn name(&self) -> &str;

    /// Begins an exchange with a server, named by the host of the connect string.
    ///
    /// # Errors
    /// It cannot; the session ends with this.
    fn begin(&self, host: &str) -> Result<Box<dyn SaslExchange>, SaslFailure>;

    /// Whether who listens on the wire learns a secret from the tokens, as with PLAIN. If so, they leave over TLS only, or
    /// with [`Connector::allow_plaintext_auth`](crate::Connector::allow_plaintext_auth). True unless said otherwise.
    fn reveals_secret(&self) -> bool {
        true
    }
}

/// One exchange on one connection.
pub trait SaslExchange: Send {
    /// The first token, empty where the server speaks first.
    ///
    /// # Errors
    /// It cannot; the session ends with this.
    fn first(&mut self) -> Result<Vec<u8>, SaslFailure>;

    /// The server's answer to the last token; `None` where it sent null: it has no SASL, or nothing more to say.
    ///
    /// # Errors
    /// The server is not to be trusted or cannot be understood; the session ends with this.
    fn step(&mut self, token: Option<&[u8]>) -> Result<SaslStep, SaslFailure>;
}

/// What follows an answer of the server.
#[derive(Clone, PartialEq, Eq)]
pub enum SaslStep {
    /// Another token.
    Send(Vec<u8>),
    /// Nothing: both sides know each other.
    Done,
}
