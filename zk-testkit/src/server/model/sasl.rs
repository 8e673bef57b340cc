//! SASL: who may authenticate, where a connection's exchange stands, and what is refused without it.
//!
//! Must not know the mechanism's formulas; those are below. Source: protocol.md sections 6.2 and 6.3.

mod digest_md5;

use std::{collections::BTreeMap, fmt};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use md5::{Digest as _, Md5};
use zk_proto::{
    AuthId, ErrorCode, Zxid,
    jute::Label,
    records::{SaslRequest, SaslResponse, SecretBytes},
};

use super::{Close, ConnId, Model, dispatch::Call};
use digest_md5::{Failure, NONCE_LEN, Proven};

/// A server that offers DIGEST-MD5, as one with a JAAS file does.
#[derive(Clone, Default)]
pub struct SaslConfig {
    /// Users and their passwords.
    pub users: BTreeMap<String, String>,
    /// A failed exchange is answered with a null token and no error, and the connection lives on without an identity
    /// (`zookeeper.allowSaslFailedClients`). Without effect where SASL is required.
    pub allow_failed_clients: bool,
    /// What nonces are made from. They do not repeat on one model, and are the same on another with the same seed.
    pub nonce_seed: u64,
}

/// Names and no passwords.
impl fmt::Debug for SaslConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let users: Vec<&String> = self.users.keys().collect();
        f.debug_struct("SaslConfig").field("users", &users).finish_non_exhaustive()
    }
}

/// Where a connection's only exchange stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Exchange {
    /// Nothing was said.
    #[default]
    Fresh,
    /// The client is to answer the challenge with this nonce.
    Challenged { nonce: String },
    /// It is over, well or not.
    Over,
}

impl Exchange {
    /// One token of the client, and what it is answered with; once also who the client is.
    fn step(&mut self, config: &SaslConfig, conn: ConnId, token: &[u8]) -> Result<(String, Option<String>), Failure> {
        match std::mem::replace(self, Self::Over) {
            // what a client says first is not looked at
            Self::Fresh => {
                let nonce = nonce(config.nonce_seed, conn);
                let challenge = digest_md5::challenge(&nonce);
                *self = Self::Challenged { nonce };
                Ok((challenge, None))
            }
            Self::Challenged { nonce } => {
                let Proven { user, proof } = digest_md5::check(token, &nonce, |user| config.users.get(user).cloned())?;
                Ok((proof, Some(user)))
            }
            Self::Over => Err(Failure::Refused),
        }
    }
}

/// As long as the JDK's: 40 letters.
fn nonce(seed: u64, conn: ConnId) -> String {
    let half = |half: u8| Md5::digest([&seed.to_be_bytes()[..], &conn.0.to_be_bytes(), &[half]].concat());
    let bytes: Vec<u8> = half(0).into_iter().chain(half(1)).take(NONCE_LEN).collect();
    STANDARD.encode(bytes)
}

impl Model {
    /// One step of an exchange. A server without SASL says yes, with a null token.
    pub(super) fn sasl(&mut self, call: &Call<'_>) {
        let Ok(request) = call.record::<SaslRequest<'_>>() else {
            return self.hang_up(call.conn, Close::Gently);
        };
        let (Some(config), Some(conn)) = (&self.config.sasl, self.conns.get_mut(&call.conn)) else {
            return self.answer_token(call, ErrorCode::OK, None);
        };
        match conn.sasl.step(config, call.conn, request.token.0) {
            Ok((token, user)) => {
                let identity = user.map(|user| AuthId { scheme: Label::from_static("sasl"), id: Label::from(&*user) });
                conn.identities = conn.identities.iter().cloned().chain(identity).collect();
                self.answer_token(call, ErrorCode::OK, Some(token));
            }
            Err(Failure::Stumbled) => self.hang_up(call.conn, Close::Gently),
            Err(Failure::Refused) if self.requires_auth_by("sasl") => {
                self.answer_token(call, ErrorCode::SESSION_CLOSED_REQUIRE_SASL_AUTH, None);
                self.hang_up(call.conn, Close::Gently);
            }
            Err(Failure::Refused) if config.allow_failed_clients => self.answer_token(call, ErrorCode::OK, None),
            Err(Failure::Refused) => {
                self.answer_token(call, ErrorCode::AUTH_FAILED, None);
                self.hang_up(call.conn, Close::Gently);
            }
        }
    }

    fn answer_token(&mut self, call: &Call<'_>, code: ErrorCode, token: Option<String>) {
        if let Some(conn) = self.conns.get_mut(&call.conn) {
            let body = SaslResponse { token: token.map(|token| SecretBytes(token.into())) };
            conn.say().reply_with_body(call.xid, Zxid(0), code, &body);
            self.list(call.conn);
        }
    }

    fn requires_auth_by(&self, scheme: &str) -> bool {
        self.config.required_schemes.iter().any(|required| required == scheme)
    }

    /// Whether a connection has one of the identities without which nothing is carried out.
    pub(super) fn is_authenticated(&self, conn: ConnId) -> bool {
        let required = &self.config.required_schemes;
        required.is_empty()
            || self.conns.get(&conn).is_some_and(|conn| {
                conn.identities.iter().any(|identity| required.iter().any(|scheme| **scheme == *identity.scheme))
            })
    }
}
