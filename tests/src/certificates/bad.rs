//! Certificates that a client must refuse, each for one reason.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, NameConstraints,
    date_time_ymd,
};

use super::{Authority, Shown, pem, self_signed};

/// The server that clients mean.
pub const HOST: &str = "zk1.example.org";

/// What its good certificates are for.
pub const NAMES: [&str; 2] = [HOST, "10.0.0.1"];

/// Tells why a certificate is not taken because of its name.
const NAME_REMEDY: &str = "connect to a name that it has as subjectAltName (its CN does not count)";

/// A bad certificate, and whom it is shown to.
pub struct Bad {
    /// What is wrong with it.
    pub what: &'static str,
    /// What the server shows.
    pub shown: Shown,
    /// The host of the client's connect string.
    pub host: &'static str,
    /// Revocation lists of the client.
    pub revoked: Option<String>,
    /// What the client must say: what is wrong, and what to do.
    pub says: [&'static str; 2],
}

impl Bad {
    fn new(what: &'static str, shown: Shown, says: [&'static str; 2]) -> Self {
        Self { what, shown, host: HOST, revoked: None, says }
    }
}

/// All of them, for clients that trust this root.
pub fn bad_certificates(root: &Authority) -> Vec<Bad> {
    [times(root), names(root), authorities(root), uses(root), bounds(root), revocations(root)]
        .into_iter()
        .flatten()
        .collect()
}

fn times(root: &Authority) -> Vec<Bad> {
    let ended = |params: &mut CertificateParams| params.not_after = date_time_ymd(2020, 1, 1);
    let future = |params: &mut CertificateParams| params.not_before = date_time_ymd(4000, 1, 1);
    let between = root.below("between", ended).server(&NAMES, |_| ());
    let renew = ["has expired", "have it renewed, and check this machine's clock"];
    vec![
        Bad::new("expired", root.server(&NAMES, ended), renew),
        Bad::new("not valid yet", root.server(&NAMES, future), ["is not valid yet", "check this machine's clock"]),
        Bad::new("its authority has expired", between, renew),
    ]
}

fn names(root: &Authority) -> Vec<Bad> {
    let good = || root.server(&NAMES, |_| ());
    let other = ["is for another name", NAME_REMEDY];
    let at = |host, bad: Bad| Bad { host, ..bad };
    let common_name = |params: &mut CertificateParams| params.distinguished_name.push(DnType::CommonName, HOST);
    vec![
        at("zk2.example.org", Bad::new("wrong host", good(), ["\"zk2.example.org\"", NAME_REMEDY])),
        at("10.0.0.2", Bad::new("wrong address", good(), ["\"10.0.0.2\"", NAME_REMEDY])),
        at("zk1.example.org.evil.org", Bad::new("a longer host", good(), other)),
        Bad::new("a CN and no subjectAltName", root.server(&[], common_name), other),
        Bad::new("a wildcard for a whole country", root.server(&["*.org"], |_| ()), other),
        at("10.0.0.1", Bad::new("an address as a name", root.server(&["10.0.0.1.example.org"], |_| ()), other)),
    ]
}

fn authorities(root: &Authority) -> Vec<Bad> {
    let unknown = ["was not issued by an authority that we trust", "roots_file"];
    let alone = |mut shown: Shown| {
        shown.chain = pem("CERTIFICATE", &shown.der);
        shown
    };
    let mut changed = root.server(&NAMES, |_| ());
    *changed.der.last_mut().expect("it is not empty") ^= 1;
    let forged = ["the server's certificate", "have"];
    vec![
        Bad::new("an unknown authority", Authority::root("other").server(&NAMES, |_| ()), unknown),
        Bad::new("an authority that only has the name", Authority::root("root").server(&NAMES, |_| ()), forged),
        Bad::new("signed by itself", self_signed(&NAMES), unknown),
        Bad::new(
            "the certificate in between is missing",
            alone(root.below("between", |_| ()).server(&NAMES, |_| ())),
            [unknown[0], "or have the server send the certificates in between"],
        ),
        Bad::new("changed", alone(changed), ["has a signature that is wrong", "have it issued again"]),
    ]
}

fn uses(root: &Authority) -> Vec<Bad> {
    let for_clients = |params: &mut CertificateParams| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    };
    let leaf = root.below("leaf", |params| params.is_ca = IsCa::ExplicitNoCa);
    vec![
        Bad::new(
            "for clients only",
            root.server(&NAMES, for_clients),
            ["is not meant for servers", "have it issued with the purpose serverAuth"],
        ),
        Bad::new("signed by who is no authority", leaf.server(&NAMES, |_| ()), ["EndEntityUsedAsCa", "RFC 5280"]),
        Bad::new("an authority's own", root.shown(), ["CaUsedAsEndEntity", "RFC 5280"]),
    ]
}

fn bounds(root: &Authority) -> Vec<Bad> {
    let elsewhere = root.below("elsewhere", |params| {
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName("example.com".into())],
            excluded_subtrees: Vec::new(),
        });
    });
    let shallow = root.below("shallow", |params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    let deep = shallow.below("too deep", |_| ());
    vec![
        Bad::new(
            "a name that its authority may not give",
            elsewhere.server(&[HOST], |_| ()),
            ["NameConstraintViolation", "RFC 5280"],
        ),
        Bad::new("too long a chain", deep.server(&NAMES, |_| ()), ["PathLenConstraintViolated", "RFC 5280"]),
    ]
}

fn revocations(root: &Authority) -> Vec<Bad> {
    let (shown, other) = (root.server(&NAMES, |_| ()), root.server(&NAMES, |_| ()));
    let with = |revoked, bad| Bad { revoked: Some(revoked), ..bad };
    let list = root.revoke(&shown);
    let strange = Authority::root("stranger").revoke(&shown);
    vec![
        with(list, Bad::new("revoked", shown, ["was revoked", "have a new one issued"])),
        with(
            strange,
            Bad::new(
                "nobody says whether it was revoked",
                other,
                ["whose revocation list was not given", "revocation_lists_file"],
            ),
        ),
    ]
}
