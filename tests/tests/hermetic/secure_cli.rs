//! `zk`, the binary, with TLS and SASL: options, and what is said when they do not serve.

use std::fs;

use crate::serve::binary::Zk;
use zk_testkit::server::{ClientAuth, ServerTls, TestServer};
use zk_tests::certificates::Authority;

// goal: N12, N13
#[tokio::test]
async fn encryption_and_identities_are_options() {
    let root = Authority::root("root");
    let (shown, me) = (root.server(&["localhost"], |_| ()), root.client("me"));
    let tls = ServerTls::from_pem(shown.chain.as_bytes(), shown.key.as_bytes()).unwrap();
    let tls = tls.client_auth(ClientAuth::Need, root.pem().as_bytes()).unwrap();
    let server = TestServer::builder().tls(tls).sasl_user("bob", "geheim").require_sasl().start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (ca, chain, key) = (file("ca.pem", &root.pem()), file("chain.pem", &me.chain), file("key.pem", &me.key));
    let (password, wrong) = (file("password", "geheim\n"), file("wrong", "Geheim\n"));
    let zk = Zk::new(format!("localhost:{}", server.secure_addr().unwrap().port()));
    let encrypted = ["--tls-ca", &ca, "--tls-cert", &chain, "--tls-key", &key, "--sasl-user", "bob"];
    let good = [&encrypted[..], &["--sasl-password-file", &password]].concat();
    zk.out(&[&good[..], &["create", "/a", "data"]].concat()).await;
    assert_eq!(zk.out(&[&good[..], &["get", "/a"]].concat()).await, "data\n");

    let fails = async |args: &[&str], words: &[&str]| {
        let ran = zk.run(&[args, &["get", "/a"]].concat()).await;
        assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{}", ran.err);
        assert!(words.iter().all(|word| ran.err.contains(word)), "{words:?}: {}", ran.err);
        assert!(!ran.err.contains("eheim"), "{}", ran.err);
    };
    fails(&[&encrypted[..], &["--sasl-password-file", &wrong]].concat(), &["SASL failed", "check --sasl-user"]).await;
    fails(&["--tls-ca", &ca], &["the server refuses us", "--tls-cert and --tls-key"]).await;
    let other = file("other.pem", &Authority::root("other").pem());
    fails(&["--tls-ca", &other], &["was not issued by an authority that we trust", "--tls-ca"]).await;
    fails(&[&good[..], &["--tls-name", "zk1"]].concat(), &["is for another name"]).await;
}
