//! Certificates for tests, good ones and bad ones, made when they are needed.
//!
//! Signed by graviola, so that nothing here needs C. They protect nothing.

mod bad;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use graviola::{
    hashing::Sha256,
    signing::ecdsa::{self, P256},
};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateRevocationListParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData,
    RevokedCertParams, SerialNumber, SignatureAlgorithm, SigningKey, date_time_ymd,
};

pub use bad::{Bad, HOST, NAMES, bad_certificates};

/// Bytes of an uncompressed point, the end of a public key's DER.
const POINT_LEN: usize = 65;

/// Enough for any key or signature of P-256.
const BUFFER_LEN: usize = 512;

static SERIAL: AtomicU64 = AtomicU64::new(1);

/// A key pair.
#[derive(Clone)]
struct Key {
    pair: Arc<ecdsa::SigningKey<P256>>,
    point: Vec<u8>,
}

impl Key {
    fn generate() -> Self {
        let pair = ecdsa::SigningKey::<P256>::generate().expect("random numbers");
        let mut buffer = [0; BUFFER_LEN];
        let spki = pair.to_spki_der(&mut buffer).expect("the buffer is long enough");
        let point = spki[spki.len() - POINT_LEN..].to_vec();
        Self { pair: Arc::new(pair), point }
    }

    fn pem(&self) -> String {
        let mut buffer = [0; BUFFER_LEN];
        pem("PRIVATE KEY", self.pair.to_pkcs8_der(&mut buffer).expect("the buffer is long enough"))
    }
}

impl PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        &self.point
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

impl SigningKey for Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let mut buffer = [0; BUFFER_LEN];
        let signature = self.pair.sign_asn1::<Sha256>(&[message], &mut buffer);
        signature.map(<[u8]>::to_vec).map_err(|_| rcgen::Error::RemoteKeyError)
    }
}

/// A certificate, those between it and its root, and its key; PEM.
#[derive(Clone)]
pub struct Shown {
    /// The certificate first.
    pub chain: String,
    /// PKCS#8.
    pub key: String,
    /// The certificate alone.
    pub der: Vec<u8>,
    serial: SerialNumber,
}

/// Who signs.
pub struct Authority {
    issuer: Issuer<'static, Key>,
    certificate: Certificate,
    /// What leads from it to a root, itself included if it is none.
    between: String,
}

/// Parameters of somebody of this name, valid for long.
fn params(name: &str, key: &Key) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(SerialNumber::from(SERIAL.fetch_add(1, Ordering::Relaxed)));
    params.key_identifier_method = KeyIdMethod::PreSpecified(key.point[1..21].to_vec());
    params
}

/// What makes an authority of somebody.
fn signs(params: &mut CertificateParams) {
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
}

/// A server's certificate for these names, or anything else that `change` makes of it.
fn server(names: &[&str], key: &Key, change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut params = params("server", key);
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    params.subject_alt_names = CertificateParams::new(names).expect("names").subject_alt_names;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    change(&mut params);
    params
}

impl Authority {
    /// A root.
    pub fn root(name: &str) -> Self {
        let key = Key::generate();
        let mut params = params(name, &key);
        signs(&mut params);
        let certificate = params.self_signed(&key).expect("it can be signed");
        Self { issuer: Issuer::new(params, key), certificate, between: String::new() }
    }

    /// An authority that this one vouches for.
    pub fn below(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = Key::generate();
        let mut params = params(name, &key);
        signs(&mut params);
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).expect("it can be signed");
        let between = certificate.pem() + &self.between;
        Self { issuer: Issuer::new(params, key), certificate, between }
    }

    /// Its certificate, as PEM.
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// Its certificate, as DER.
    pub fn der(&self) -> Vec<u8> {
        self.certificate.der().to_vec()
    }

    /// A server's certificate for these names, or anything else that `change` makes of it.
    pub fn server(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Shown {
        let key = Key::generate();
        let params = server(names, &key, change);
        let certificate = params.signed_by(&key, &self.issuer).expect("it can be signed");
        Shown {
            chain: certificate.pem() + &self.between,
            key: key.pem(),
            der: certificate.der().to_vec(),
            serial: params.serial_number.expect("it was set"),
        }
    }

    /// A client's certificate; its subject is `CN=name,O=Test`.
    pub fn client(&self, name: &str) -> Shown {
        self.server(&[], |params| {
            params.distinguished_name = DistinguishedName::new();
            params.distinguished_name.push(DnType::OrganizationName, "Test");
            params.distinguished_name.push(DnType::CommonName, name);
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        })
    }

    /// The authority's own certificate, shown as if it were a server's.
    pub fn shown(&self) -> Shown {
        Shown {
            chain: self.certificate.pem(),
            key: self.issuer.key().pem(),
            der: self.der(),
            serial: SerialNumber::from(0_u64),
        }
    }

    /// A revocation list with this certificate in it, as PEM.
    pub fn revoke(&self, shown: &Shown) -> String {
        let revoked = RevokedCertParams {
            serial_number: shown.serial.clone(),
            revocation_time: date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(4096, 1, 1),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: vec![revoked],
            key_identifier_method: KeyIdMethod::PreSpecified(vec![1]),
        };
        let list = list.signed_by(&self.issuer).expect("it can be signed");
        pem("X509 CRL", list.der())
    }
}

/// A server's certificate that nobody but itself vouches for.
pub fn self_signed(names: &[&str]) -> Shown {
    let key = Key::generate();
    let params = server(names, &key, |_| ());
    let certificate = params.self_signed(&key).expect("it can be signed");
    let serial = params.serial_number.expect("it was set");
    Shown { chain: certificate.pem(), key: key.pem(), der: certificate.der().to_vec(), serial }
}

/// DER as PEM.
pub fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}
