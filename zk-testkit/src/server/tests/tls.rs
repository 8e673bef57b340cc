//! TLS with a raw rustls client: the handshake and what ends it, words, who a certificate makes of a client.
//!
//! The certificates beside this file were made by `tls/make.sh`.

use std::{io, sync::Arc};

use bytes::{BufMut, Bytes, BytesMut};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use zk_proto::{
    Acl, AuthId, ErrorCode, OpCode, Permissions,
    jute::{Decode, Encode, Label, Reader, encode_to_bytes},
    records::{AuthPacket, Empty, ReplyHeader, RequestHeader, Secret, SetAclRequest, WhoAmIResponse},
};

use super::{PATIENCE, create};
use crate::server::{ClientAuth, ServerTls, TestServer};

const CA: &[u8] = include_bytes!("tls/ca.pem");
const OTHER_CA: &[u8] = include_bytes!("tls/other.pem");
const SERVER: (&[u8], &[u8]) = (include_bytes!("tls/server.pem"), include_bytes!("tls/server-key.pem"));
const CLIENT: (&[u8], &[u8]) = (include_bytes!("tls/client.pem"), include_bytes!("tls/client-key.pem"));
const STRANGER: (&[u8], &[u8]) = (include_bytes!("tls/stranger.pem"), include_bytes!("tls/stranger-key.pem"));

/// What Java's `X500Principal.getName()` gives for the client's certificate.
const CLIENT_NAME: &str = "1.2.840.113549.1.9.1=#160d7a406578616d706c652e6f7267,CN=zo\u{e9},OU=a\\+b\\=c \\#1\\ ,\
                           O=Test Org\\, Inc.,C=DE";

fn tls(client_auth: ClientAuth) -> ServerTls {
    ServerTls::from_pem(SERVER.0, SERVER.1).unwrap().client_auth(client_auth, CA).unwrap()
}

async fn server(client_auth: ClientAuth) -> TestServer {
    TestServer::builder().tls(tls(client_auth)).start().await.unwrap()
}

fn connector(roots: &[u8], certificate: Option<(&[u8], &[u8])>, tls12: bool) -> TlsConnector {
    let mut store = RootCertStore::empty();
    store.add(CertificateDer::from_pem_slice(roots).unwrap()).unwrap();
    let versions: &[_] = if tls12 { &[&rustls::version::TLS12] } else { &[&rustls::version::TLS13] };
    let provider = Arc::new(rustls_graviola::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
    let builder = builder.with_root_certificates(store);
    let config = match certificate {
        Some((chain, key)) => {
            let chain = vec![CertificateDer::from_pem_slice(chain).unwrap()];
            builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(key).unwrap()).unwrap()
        }
        None => builder.with_no_client_auth(),
    };
    TlsConnector::from(Arc::new(config))
}

async fn within<F: Future>(future: F) -> F::Output {
    timeout(PATIENCE, future).await.expect("it hangs")
}

async fn dial(addr: std::net::SocketAddr, connector: TlsConnector) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(addr).await?;
    within(connector.connect(ServerName::try_from("localhost").unwrap(), stream)).await
}

/// A client by hand over any stream.
struct Raw<S>(S);

impl<S: AsyncRead + AsyncWrite + Unpin> Raw<S> {
    /// Greets; fails where the handshake did after all: TLS 1.3 tells a client late.
    async fn greet(stream: S) -> io::Result<Self> {
        let mut raw = Self(stream);
        let greeting = [&[0; 12][..], &10_000_u32.to_be_bytes(), &[0; 8], &16_u32.to_be_bytes(), &[0; 17]].concat();
        raw.send(&greeting).await?;
        assert_eq!(raw.receive().await?.len(), 37);
        Ok(raw)
    }

    async fn send(&mut self, payload: &[u8]) -> io::Result<()> {
        let mut frame = BytesMut::new();
        frame.put_u32(u32::try_from(payload.len()).unwrap());
        frame.extend_from_slice(payload);
        self.0.write_all(&frame).await?;
        self.0.flush().await
    }

    async fn receive(&mut self) -> io::Result<Bytes> {
        within(async {
            let len = self.0.read_u32().await?;
            let mut frame = vec![0; usize::try_from(len).unwrap()];
            self.0.read_exact(&mut frame).await?;
            Ok(Bytes::from(frame))
        })
        .await
    }

    async fn call(&mut self, op: OpCode, body: &impl Encode) -> (ErrorCode, Bytes) {
        let mut payload = encode_to_bytes(&RequestHeader { xid: 1, op });
        body.encode(&mut payload);
        self.send(&payload).await.unwrap();
        let frame = self.receive().await.unwrap();
        let header = ReplyHeader::decode(&mut Reader::new(&frame)).unwrap();
        (header.err, frame.slice(16..))
    }

    async fn who_am_i(&mut self) -> Vec<(String, String)> {
        let (_, body) = self.call(OpCode::WHO_AM_I, &Empty {}).await;
        let who = WhoAmIResponse::decode(&mut Reader::new(&body)).unwrap();
        who.identities.iter().map(|id| (id.scheme.to_string(), id.user.to_string())).collect()
    }
}

#[tokio::test]
async fn both_ports_serve_one_tree_and_words() {
    let server = server(ClientAuth::None).await;
    let secure = server.secure_addr().unwrap();
    for tls12 in [true, false] {
        let stream = dial(secure, connector(CA, None, tls12)).await.unwrap();
        let mut client = Raw::greet(stream).await.unwrap();
        let path = format!("/{tls12}");
        assert_eq!(client.call(OpCode::CREATE, &create(&path)).await.0, ErrorCode::OK);
        assert_eq!(client.who_am_i().await, [("ip".to_owned(), "127.0.0.1".to_owned())]);
        let mut word = dial(secure, connector(CA, None, tls12)).await.unwrap();
        word.write_all(b"ruok").await.unwrap();
        let mut answer = Vec::new();
        within(word.read_to_end(&mut answer)).await.unwrap();
        assert_eq!(answer, b"imok", "and the end is a clean one");
    }
    let mut plain = Raw::greet(TcpStream::connect(server.addr()).await.unwrap()).await.unwrap();
    assert_eq!(plain.call(OpCode::CREATE, &create("/true")).await.0, ErrorCode::NODE_EXISTS);
}

#[tokio::test]
async fn plain_text_at_the_secure_port_is_closed() {
    let server = server(ClientAuth::None).await;
    for text in [&b"ruok"[..], &[0, 0, 0, 45, 0, 0, 0, 0], b"GET / HTTP/1.1\r\n\r\n", &[22, 3, 1, 0, 4, 9, 9, 9, 9]] {
        let mut plain = TcpStream::connect(server.secure_addr().unwrap()).await.unwrap();
        plain.write_all(text).await.unwrap();
        let mut answer = Vec::new();
        // bytes that the server has not read make a reset of the end
        let _ = within(plain.read_to_end(&mut answer)).await;
        assert!(answer.len() <= 7, "an alert at most: {answer:?}");
    }
    assert!(server.connections().is_empty());
    assert!(dial(server.addr(), connector(CA, None, false)).await.is_err(), "nor is TLS welcome at the plain one");
}

#[tokio::test]
async fn one_port_may_take_both() {
    let tls = tls(ClientAuth::None).unify_ports();
    let server = TestServer::builder().tls(tls).start().await.unwrap();
    Raw::greet(dial(server.addr(), connector(CA, None, false)).await.unwrap()).await.unwrap();
    Raw::greet(TcpStream::connect(server.addr()).await.unwrap()).await.unwrap();
    assert_eq!(server.sessions().len(), 2);
}

#[tokio::test]
async fn a_client_refuses_a_server_that_its_authority_does_not_know() {
    let server = server(ClientAuth::None).await;
    let error = dial(server.secure_addr().unwrap(), connector(OTHER_CA, None, false)).await.unwrap_err();
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");
}

#[tokio::test]
async fn who_must_show_a_certificate_shows_a_trusted_one() {
    let me = ("x509".to_owned(), CLIENT_NAME.to_owned());
    let cases = [
        (ClientAuth::Need, None, None),
        (ClientAuth::Need, Some(STRANGER), None),
        (ClientAuth::Need, Some(CLIENT), Some(true)),
        (ClientAuth::Want, None, Some(false)),
        (ClientAuth::Want, Some(STRANGER), None),
        (ClientAuth::Want, Some(CLIENT), Some(true)),
        (ClientAuth::None, Some(CLIENT), Some(false)),
    ];
    for (client_auth, certificate, has_identity) in cases {
        for tls12 in [true, false] {
            let server = server(client_auth).await;
            let secure = server.secure_addr().unwrap();
            let client = match dial(secure, connector(CA, certificate, tls12)).await {
                Ok(stream) => Raw::greet(stream).await,
                Err(error) => Err(error),
            };
            let has = match client {
                Ok(mut client) => Some(client.who_am_i().await.contains(&me)),
                Err(_) => None,
            };
            assert_eq!(has, has_identity, "{client_auth:?} {}", certificate.is_some());
        }
    }
}

#[tokio::test]
async fn acls_know_the_certificate() {
    let server = server(ClientAuth::Want).await;
    let secure = server.secure_addr().unwrap();
    let mut me = Raw::greet(dial(secure, connector(CA, Some(CLIENT), false)).await.unwrap()).await.unwrap();
    let mut other = Raw::greet(dial(secure, connector(CA, None, false)).await.unwrap()).await.unwrap();
    assert_eq!(me.call(OpCode::CREATE, &create("/mine")).await.0, ErrorCode::OK);
    let set = |scheme, id: &'static str| {
        let id = AuthId { scheme: Label::from_static(scheme), id: Label::from_static(id) };
        let acl = vec![Acl { permissions: Permissions(31), id }];
        SetAclRequest { path: "/mine".into(), acl: acl.into(), version: -1 }
    };
    assert_eq!(me.call(OpCode::SET_ACL, &set("x509", "nobody")).await.0, ErrorCode::INVALID_ACL);
    assert_eq!(me.call(OpCode::SET_ACL, &set("x509", CLIENT_NAME)).await.0, ErrorCode::OK);
    assert_eq!(me.call(OpCode::SET_ACL, &set("auth", "")).await.0, ErrorCode::OK);
    assert_eq!(other.call(OpCode::SET_ACL, &set("world", "anyone")).await.0, ErrorCode::NO_AUTH);
    let auth = AuthPacket { auth_type: 0, scheme: "x509".into(), auth: Some(Secret(b"")) };
    assert_eq!(me.call(OpCode::AUTH, &auth).await.0, ErrorCode::OK);
    assert_eq!(other.call(OpCode::AUTH, &auth).await.0, ErrorCode::AUTH_FAILED);
}

#[tokio::test]
async fn the_secure_port_stops_and_starts_with_its_server() {
    let server = server(ClientAuth::None).await;
    let secure = server.secure_addr().unwrap();
    let mut client = Raw::greet(dial(secure, connector(CA, None, false)).await.unwrap()).await.unwrap();
    server.stop().await;
    assert_eq!(client.receive().await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(TcpStream::connect(secure).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    server.start_again().await.unwrap();
    Raw::greet(dial(secure, connector(CA, None, false)).await.unwrap()).await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_a_servers_certificate_is_refused_at_the_start() {
    assert!(ServerTls::from_pem(b"", SERVER.1).is_err());
    assert!(ServerTls::from_pem(SERVER.0, b"-----BEGIN").is_err());
    let strange = ServerTls::from_pem(SERVER.0, CLIENT.1).unwrap();
    let shown = format!("{strange:?}");
    assert!(!shown.contains("PRIVATE") && shown.len() < 60, "{shown}");
    assert!(TestServer::builder().tls(strange).start().await.is_err(), "not the certificate's key");
    let nobody = ServerTls::from_pem(SERVER.0, SERVER.1).unwrap().client_auth(ClientAuth::Need, b"");
    assert!(nobody.is_err(), "nobody to vouch for clients");
}
