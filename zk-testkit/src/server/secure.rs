//! Servers that ask who somebody is.
//!
//! Must not know how; see the model's `sasl` and `acl`.

use super::{Builder, model::SaslConfig};

impl Builder {
    /// Offers SASL's DIGEST-MD5, and knows this user; several may be added.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// # use zk_testkit::server::TestServer;
    /// let server = TestServer::builder().sasl_user("bob", "secret").require_sasl().start().await?;
    /// // a client that does not authenticate gets -124 to its first request, and is hung up on
    /// # Ok::<(), std::io::Error>(()) })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn sasl_user(mut self, user: &str, password: &str) -> Self {
        self.sasl().users.insert(user.to_owned(), password.to_owned());
        self
    }

    /// A client whose exchange fails stays connected without an identity (`zookeeper.allowSaslFailedClients`).
    pub fn allow_sasl_failed_clients(mut self) -> Self {
        self.sasl().allow_failed_clients = true;
        self
    }

    /// Nothing is carried out for who has not authenticated by SASL (`sessionRequireClientSASLAuth`).
    pub fn require_sasl(self) -> Self {
        self.require_auth("sasl")
    }

    /// Nothing is carried out for a connection without an identity of this scheme, or of another one that was named so
    /// (`enforce.auth.enabled` and `enforce.auth.schemes`).
    pub fn require_auth(mut self, scheme: &str) -> Self {
        self.config.required_schemes.push(scheme.to_owned());
        self
    }

    fn sasl(&mut self) -> &mut SaslConfig {
        self.config.sasl.get_or_insert_default()
    }
}
