//! SRV records by the system's name servers.
//!
//! Records are handed on as they come: order and chance are not decided here.

use super::SrvRecord;
use crate::connect_string::HostPort;
use hickory_resolver::{TokioResolver, proto::rr::RData};
use std::io;

/// Asks for all records of a service. The system's configuration is read each time, because it may have changed; nothing is
/// cached here either.
pub(super) async fn lookup(service: &str) -> io::Result<Vec<SrvRecord>> {
    let builder = TokioResolver::builder_tokio().map_err(io::Error::other)?;
    ask(&builder.build().map_err(io::Error::other)?, service).await
}

async fn ask(resolver: &TokioResolver, service: &str) -> io::Result<Vec<SrvRecord>> {
    // With a dot at its end a name is whole; no search domain is put behind it.
    let name = format!("{}.", service.trim_end_matches('.'));
    let found = resolver.srv_lookup(name).await.map_err(io::Error::other)?;
    let record = |data: &RData| {
        let RData::SRV(srv) = data else { return None };
        let host = srv.target.to_ascii().trim_end_matches('.').to_owned();
        Some(SrvRecord { priority: srv.priority, weight: srv.weight, target: HostPort { host, port: srv.port } })
    };
    Ok(found.answers().iter().filter_map(|answer| record(&answer.data)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_resolver::{
        config::{ConnectionConfig, NameServerConfig, ResolverConfig},
        net::runtime::TokioRuntimeProvider,
    };
    use std::net::{IpAddr, Ipv4Addr, SocketAddr};
    use tokio::net::UdpSocket;

    fn byte(len: usize) -> u8 {
        len.try_into().unwrap()
    }

    /// Labels of a name, with their lengths.
    fn name(text: &str) -> Vec<u8> {
        let labels = text.split('.').filter(|label| !label.is_empty());
        labels.flat_map(|label| [&[byte(label.len())][..], label.as_bytes()].concat()).chain([0]).collect()
    }

    /// A name server that answers each question with these SRV records, or that there is no such name.
    async fn name_server(records: Vec<(u16, u16, u16, &'static str)>) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let addr = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut query = [0; 512];
            while let Ok((_, from)) = socket.recv_from(&mut query).await {
                let end = 12 + query[12..].iter().position(|byte| *byte == 0).unwrap() + 5;
                let code = if records.is_empty() { 3 } else { 0 };
                let mut answer = [&query[..2], &[0x81, 0x80 | code, 0, 1, 0, byte(records.len()), 0, 0, 0, 0]].concat();
                answer.extend(&query[12..end]);
                for (priority, weight, port, target) in &records {
                    let target = name(target);
                    answer.extend([0xc0, 12, 0, 33, 0, 1, 0, 0, 0, 60, 0, byte(6 + target.len())]);
                    answer.extend([priority.to_be_bytes(), weight.to_be_bytes(), port.to_be_bytes()].concat());
                    answer.extend(target);
                }
                socket.send_to(&answer, from).await.unwrap();
            }
        });
        addr
    }

    fn resolver(server: SocketAddr) -> TokioResolver {
        let mut way = ConnectionConfig::udp();
        way.port = server.port();
        let server = NameServerConfig::new(IpAddr::V4(Ipv4Addr::LOCALHOST), true, vec![way]);
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()).build().unwrap()
    }

    // goal: N8
    #[tokio::test]
    async fn records_of_a_name_server_are_read() {
        let server = name_server(vec![(1, 2, 2181, "zk1.example.org"), (3, 4, 2182, "zk2.example.org")]).await;
        let records = ask(&resolver(server), "_zookeeper._tcp.example.org").await.unwrap();
        let seen: Vec<_> = records.iter().map(|it| (it.priority, it.weight, it.target.to_string())).collect();
        assert_eq!(seen, [(1, 2, "zk1.example.org:2181".to_owned()), (3, 4, "zk2.example.org:2182".to_owned())]);
    }

    #[tokio::test]
    async fn a_service_that_is_not_there_is_an_error_or_has_no_host() {
        let nobody = ask(&resolver(name_server(Vec::new()).await), "_zookeeper._tcp.example.org").await;
        assert!(nobody.is_err(), "{nobody:?}");
        let root = ask(&resolver(name_server(vec![(0, 0, 0, "")]).await), "example.org").await.unwrap();
        assert_eq!(root[0].target, HostPort { host: String::new(), port: 0 });
    }
}
