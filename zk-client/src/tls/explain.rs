//! Why a handshake failed, in words that say what to do.
//!
//! Which server it was is told by whoever tried. Must not judge: rustls has done that.

use super::TlsError;
use rustls::{AlertDescription, CertificateError, Error as Rustls};
use std::{fmt::Write as _, io};

/// The error of a handshake. `complaint` is why changed files are not in use, if they are not.
pub(super) fn handshake(error: &io::Error, complaint: Option<&TlsError>) -> io::Error {
    let mut text = format!("TLS: {}", why(error));
    if let Some(complaint) = complaint {
        let _ = write!(text, " (files have changed and are not used: {complaint})"); // writing to a string cannot fail
    }
    io::Error::new(error.kind(), text)
}

/// An error of a stream behind its handshake: with TLS 1.3 a server says only there that it refuses our certificate.
pub(super) fn stream(error: io::Error) -> io::Error {
    match of_rustls(&error) {
        Some(_) => io::Error::new(error.kind(), format!("TLS: {}", why(&error))),
        None => error,
    }
}

fn of_rustls(error: &io::Error) -> Option<&Rustls> {
    error.get_ref()?.downcast_ref()
}

fn why(error: &io::Error) -> String {
    match of_rustls(error) {
        Some(Rustls::InvalidCertificate(certificate)) => of_certificate(certificate),
        Some(Rustls::AlertReceived(alert)) => of_alert(*alert),
        Some(Rustls::InvalidMessage(_)) => {
            "what the server says is not TLS; connect to its secureClientPort".to_owned()
        }
        Some(Rustls::InvalidCertRevocationList(list)) => format!("a revocation list does not serve: {list:?}"),
        Some(other) => format!("the handshake failed: {other}"),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            "the server closed the connection in the handshake; is this its secureClientPort? Its plain port does that"
                .to_owned()
        }
        None => format!("the connection failed in the handshake: {error}"),
    }
}

fn of_certificate(error: &CertificateError) -> String {
    let (what, remedy) = match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            ("has expired", "have it renewed, and check this machine's clock")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            ("is not valid yet", "check this machine's clock")
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => (
            "is for another name",
            "connect to a name that it has as subjectAltName (its CN does not count), or have it issued with this one",
        ),
        CertificateError::UnknownIssuer => (
            "was not issued by an authority that we trust",
            "add the authority with TlsBuilder::roots_file, or have the server send the certificates in between",
        ),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            ("is not meant for servers", "have it issued with the purpose serverAuth")
        }
        CertificateError::BadSignature => {
            ("has a signature that is wrong", "somebody may have changed it; have it issued again")
        }
        CertificateError::Revoked => ("was revoked", "have a new one issued"),
        CertificateError::UnknownRevocationStatus => (
            "is of an authority whose revocation list was not given",
            "give the lists of all authorities with TlsBuilder::revocation_lists_file",
        ),
        CertificateError::BadEncoding | CertificateError::Other(_) | _ => {
            ("cannot be accepted", "have it issued by the rules of RFC 5280")
        }
    };
    format!("the server's certificate {what} ({error}); {remedy}")
}

fn of_alert(alert: AlertDescription) -> String {
    let remedy = match alert {
        AlertDescription::CertificateRequired => "it demands one: TlsBuilder::client_certificate_files",
        AlertDescription::UnknownCA => "it does not trust the authority of our certificate; see its ssl.trustStore",
        AlertDescription::CertificateExpired => "our certificate has expired",
        AlertDescription::CertificateRevoked => "our certificate was revoked",
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateUnknown => {
            "it does not accept our certificate, or demands one: TlsBuilder::client_certificate_files; see its log"
        }
        AlertDescription::ProtocolVersion => "it speaks neither TLS 1.2 nor 1.3",
        AlertDescription::HandshakeFailure => {
            "we have no cipher suite in common, or it demands a certificate; see its log"
        }
        AlertDescription::InternalError | AlertDescription::AccessDenied | _ => "see its log",
    };
    format!("the server refuses us ({alert:?}): {remedy}")
}
