//! Options that say who we are and whom we trust, and what becomes of them.
//!
//! Secrets come from files and the environment, where nobody else on the machine reads them; `--auth` is for tries. Must not
//! know what the session is for.

use crate::error::Failure;
use clap::Args;
use std::{fs, path::PathBuf};
use zk_client::{Connector, DigestMd5, Secret, tls::Tls};

/// Who we are to the servers, and who they must be.
#[derive(Args)]
#[command(next_help_heading = "Options of every command: who we are, and encryption")]
pub(crate) struct Security {
    /// Who we are, such as digest:user:password; may be given more than once. Others on this machine can see it, unless it
    /// comes from the environment or from --auth-file
    #[arg(long, global = true, value_name = "SCHEME:AUTH", env = "ZK_AUTH", hide_env_values = true)]
    auth: Vec<String>,
    /// A file of such lines
    #[arg(long, global = true, value_name = "FILE", env = "ZK_AUTH_FILE")]
    auth_file: Option<PathBuf>,
    /// The user of SASL's DIGEST-MD5; the password is that of --sasl-password-file or ZK_SASL_PASSWORD
    #[arg(long, global = true, value_name = "USER", env = "ZK_SASL_USER")]
    sasl_user: Option<String>,
    /// A file with the password and nothing else
    #[arg(long, global = true, value_name = "FILE", env = "ZK_SASL_PASSWORD_FILE")]
    sasl_password_file: Option<PathBuf>,
    /// Let passwords travel unencrypted to other machines
    #[arg(long, global = true)]
    allow_plaintext_auth: bool,
    /// Encrypt, and trust servers with a certificate of these authorities: a PEM file. The port is then the servers'
    /// secureClientPort
    #[arg(long, global = true, value_name = "FILE", env = "ZK_TLS_CA")]
    tls_ca: Option<PathBuf>,
    /// Our certificate, with those in between, to show to servers: a PEM file
    #[arg(long, global = true, value_name = "FILE", env = "ZK_TLS_CERT")]
    tls_cert: Option<PathBuf>,
    /// Its key: a PEM file
    #[arg(long, global = true, value_name = "FILE", env = "ZK_TLS_KEY")]
    tls_key: Option<PathBuf>,
    /// The name that servers' certificates must have, if it is not the host of --connect
    #[arg(long, global = true, value_name = "NAME", env = "ZK_TLS_NAME")]
    tls_name: Option<String>,
}

impl Security {
    pub(crate) fn apply(&self, connector: Connector) -> Result<Connector, Failure> {
        let mut connector = self.identities(connector)?;
        if let Some(user) = &self.sasl_user {
            connector = connector.sasl(DigestMd5::new(user, self.sasl_password()?));
        }
        if self.allow_plaintext_auth {
            connector = connector.allow_plaintext_auth();
        }
        Ok(match self.tls()? {
            Some(tls) => connector.tls(tls),
            None => connector,
        })
    }

    fn identities(&self, mut connector: Connector) -> Result<Connector, Failure> {
        // What was given is not repeated: it is a secret.
        for auth in &self.auth {
            let (scheme, auth) = auth.split_once(':').ok_or_else(|| {
                Failure::says("--auth (or ZK_AUTH) is not SCHEME:AUTH; write for example digest:user:password")
            })?;
            connector = connector.auth(scheme, auth);
        }
        if let Some(path) = &self.auth_file {
            let lines = read(path, "--auth-file")?;
            for (number, line) in (1..).zip(lines.expose().split(|byte| *byte == b'\n')) {
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                if line.is_empty() {
                    continue;
                }
                let split = line.iter().position(|byte| *byte == b':').and_then(|at| line.split_at_checked(at));
                let scheme = split.and_then(|(scheme, auth)| Some((str::from_utf8(scheme).ok()?, auth.get(1..)?)));
                let (scheme, auth) = scheme
                    .ok_or_else(|| Failure::says(format!("line {number} of {} is not SCHEME:AUTH", path.display())))?;
                connector = connector.auth(scheme, auth);
            }
        }
        Ok(connector)
    }

    fn sasl_password(&self) -> Result<Secret, Failure> {
        if let Some(path) = &self.sasl_password_file {
            let password = read(path, "--sasl-password-file")?;
            let bytes = password.expose();
            let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
            return Ok(Secret::from(line.strip_suffix(b"\r").unwrap_or(line)));
        }
        let password = std::env::var("ZK_SASL_PASSWORD").map_err(|_| {
            Failure::says(
                "--sasl-user needs a password: put it into a file for --sasl-password-file, or into ZK_SASL_PASSWORD",
            )
        })?;
        Ok(Secret::from(password))
    }

    fn tls(&self) -> Result<Option<Tls>, Failure> {
        let Some(authorities) = &self.tls_ca else {
            if self.tls_cert.is_some() || self.tls_key.is_some() || self.tls_name.is_some() {
                return Err(Failure::says(
                    "encryption needs --tls-ca (or ZK_TLS_CA): the authorities that servers must be of",
                ));
            }
            return Ok(None);
        };
        let mut tls = Tls::builder().roots_file(authorities);
        match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => tls = tls.client_certificate_files(certificate, key),
            (None, None) => {}
            (Some(_), None) | (None, Some(_)) => {
                return Err(Failure::says("--tls-cert and --tls-key belong together; give both"));
            }
        }
        if let Some(name) = &self.tls_name {
            tls = tls.verify_this_name_instead(name);
        }
        tls.build().map(Some).map_err(|error| Failure::says(in_options(&error.to_string())))
    }
}

fn read(path: &std::path::Path, option: &str) -> Result<Secret, Failure> {
    fs::read(path)
        .map(Secret::from)
        .map_err(|error| Failure::says(format!("{} cannot be read: {error} (from {option})", path.display())))
}

/// What the client's errors advise to call, in options of ours.
pub(crate) fn in_options(text: &str) -> String {
    const NAMES: [(&str, &str); 6] = [
        ("Connector::tls", "--tls-ca"),
        ("Connector::allow_plaintext_auth", "--allow-plaintext-auth"),
        ("TlsBuilder::roots_file", "--tls-ca"),
        ("TlsBuilder::client_certificate_files", "--tls-cert and --tls-key"),
        ("TlsBuilder::revocation_lists_file", "a program of yours"),
        ("TlsBuilder::provider", "a program of yours"),
    ];
    NAMES.iter().fold(text.to_owned(), |text, (theirs, ours)| text.replace(theirs, ours))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Options {
        #[command(flatten)]
        security: Security,
    }

    /// What is told of these options; nothing where they are good.
    fn told(arguments: &[&str]) -> String {
        let options = Options::parse_from(["zk"].iter().chain(arguments));
        match options.security.apply(Connector::new("zk1").unwrap()) {
            Ok(connector) => {
                assert!(!format!("{connector:?}").contains("canary"));
                String::new()
            }
            Err(Failure::Says(line)) => line,
            Err(Failure::Told | Failure::OutputClosed) => panic!("nothing is said"),
        }
    }

    #[test]
    fn options_are_checked_before_anything_is_sent() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let good = file("good", "digest:ann:canary\r\n\nip:\n");
        assert_eq!(told(&["--auth-file", &good, "--auth", "digest:bob:canary", "--allow-plaintext-auth"]), "");
        let bad = file("bad", "digest:ann:x\ncanary\n");
        assert_eq!(told(&["--auth-file", &bad]), format!("line 2 of {bad} is not SCHEME:AUTH"));
        assert_eq!(told(&["--sasl-user", "bob", "--sasl-password-file", &file("password", "canary\n")]), "");
        assert!(told(&["--sasl-user", "bob", "--sasl-password-file", "/no/such"]).contains("/no/such cannot be read"));
        assert!(told(&["--sasl-user", "bob"]).contains("ZK_SASL_PASSWORD"));
        assert!(told(&["--tls-name", "zk1"]).contains("--tls-ca"));
        assert!(told(&["--tls-ca", &good, "--tls-key", &good]).contains("belong together"));
        assert_eq!(told(&["--tls-ca", &good]), format!("TLS: {good}: no certificate here: it is not PEM"));
    }

    #[test]
    fn advice_names_options() {
        let advice = "use Connector::tls, or say Connector::allow_plaintext_auth";
        assert_eq!(in_options(advice), "use --tls-ca, or say --allow-plaintext-auth");
    }
}
