//! The ensemble's own configuration: what `/zookeeper/config` says, and what can be changed of it.
//!
//! Text in, types out; must not know how it travels. Source: protocol.md section 3.5.

use std::fmt;
use zk_proto::{
    Bytes, Stat, Zxid,
    records::{GetDataResponse, ReconfigRequest},
};

/// Where every server keeps the configuration; no chroot changes that.
pub(crate) const CONFIG_PATH: &str = "/zookeeper/config";

/// Where a member takes clients on every address it has.
const ANY_HOST: &str = "0.0.0.0";

/// The members of an ensemble. A server that stands alone has none and no version.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = zk_testkit::server::TestServer::start().await?;
/// # let client = zk_client::Client::connect(&server.connect_string()).await?;
/// let config = client.get_config().await?;
/// for member in &config.members {
///     println!("{} is {}, clients: {:?}", member.id, member.role, member.client);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EnsembleConfig {
    /// The transaction that made it; [`Reconfig::replacing`] takes it.
    pub version: Option<Zxid>,
    /// Everybody, in the order of the text.
    pub members: Vec<Member>,
    /// The text as the server sent it, also what is not understood here.
    pub text: Bytes,
    /// The metadata of `/zookeeper/config`; its `version` counts nothing since 3.9.
    pub stat: Stat,
}

/// One server of an ensemble.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Member {
    /// Its number, `N` of `server.N`.
    pub id: i64,
    /// Where the others reach it; several since 3.6.
    pub addresses: Vec<MemberAddress>,
    /// Whether it votes.
    pub role: Role,
    /// Where clients reach it, as `host:port`; a member that takes them on every address is named by its first one.
    /// `None` when the configuration does not say.
    pub client: Option<String>,
}

/// Where the other members reach one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemberAddress {
    /// A name or an address; IPv6 in brackets.
    pub host: String,
    /// Where followers talk to it when it leads.
    pub quorum_port: u16,
    /// Where it is elected.
    pub election_port: u16,
}

/// What a member does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It votes.
    Participant,
    /// It serves clients and does not vote.
    Observer,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Participant => "participant",
            Self::Observer => "observer",
        })
    }
}

impl EnsembleConfig {
    pub(crate) fn new(GetDataResponse { data, stat }: GetDataResponse) -> Self {
        let text = data.unwrap_or_default();
        let (version, members) = parse(&String::from_utf8_lossy(&text));
        Self { version, members, text, stat }
    }

    /// Where clients reach the members, as a connect string without a chroot. Empty when the configuration does not
    /// say.
    #[must_use]
    pub fn connect_string(&self) -> String {
        connect_string(&self.members)
    }
}

/// The same, if every member is in it: a list with some of them only would take load from the others.
pub(crate) fn where_clients_go(members: &[Member]) -> Option<String> {
    let is_whole = !members.is_empty() && members.iter().all(|member| member.client.is_some());
    is_whole.then(|| connect_string(members))
}

fn connect_string(members: &[Member]) -> String {
    members.iter().filter_map(|member| member.client.as_deref()).collect::<Vec<_>>().join(",")
}

/// Version and members of a configuration; what cannot be read is left out.
pub(crate) fn parse(text: &str) -> (Option<Zxid>, Vec<Member>) {
    let lines = || text.lines().filter_map(|line| line.trim().split_once('='));
    let version = lines().find_map(|(key, value)| (key == "version").then(|| i64::from_str_radix(value, 16)));
    let members = lines().filter_map(|(key, value)| member(key, value)).collect();
    (version.and_then(Result::ok).map(Zxid), members)
}

/// Reads `server.1=host:2888:3888|host:2889:3889:participant;host:2181;host:2281`; `None` for anything else.
fn member(key: &str, value: &str) -> Option<Member> {
    let id = key.strip_prefix("server.")?.parse().ok()?;
    let mut parts = value.split(';');
    let (mut addresses, mut role) = (Vec::new(), Role::Participant);
    for text in parts.next()?.split('|') {
        let (address, says) = member_address(text)?;
        addresses.push(address);
        role = says.unwrap_or(role);
    }
    let first = addresses.first().map_or("", |address| &address.host);
    let client = parts.next().and_then(|text| client(text, first));
    Some(Member { id, addresses, role, client })
}

/// Reads `host:2181` or `2181`.
fn client(text: &str, first: &str) -> Option<String> {
    let (host, port) = split_port(text).unwrap_or((ANY_HOST, text));
    let port: u16 = port.parse().ok()?;
    Some(format!("{}:{port}", if host == ANY_HOST { first } else { host }))
}

/// Reads `host:2888:3888` with or without a role behind it.
fn member_address(text: &str) -> Option<(MemberAddress, Option<Role>)> {
    let (rest, last) = split_port(text)?;
    let role = match last {
        "participant" => Some(Role::Participant),
        "observer" => Some(Role::Observer),
        _ => None,
    };
    let (rest, election) = if role.is_some() { split_port(rest)? } else { (rest, last) };
    let (host, quorum) = split_port(rest)?;
    let (quorum_port, election_port) = (quorum.parse().ok()?, election.parse().ok()?);
    Some((MemberAddress { host: host.to_owned(), quorum_port, election_port }, role))
}

/// What is before the last colon, and what is behind it. A colon inside of `[..]` is none.
fn split_port(text: &str) -> Option<(&str, &str)> {
    text.rsplit_once(':').filter(|(_, port)| !port.ends_with(']'))
}

/// A change of the ensemble, for [`Client::reconfig`](crate::Client::reconfig).
///
/// ```
/// use zk_client::Reconfig;
///
/// let swap = Reconfig::new().join("server.4=zk4:2888:3888:participant;2181").leave(2);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "nothing changes before it is given to `Client::reconfig`"]
pub struct Reconfig {
    joining: Option<String>,
    leaving: Option<String>,
    members: Option<String>,
    replacing: Option<Zxid>,
}

impl Reconfig {
    /// No change yet; servers since 3.9 answer such a one with the configuration.
    pub const fn new() -> Self {
        Self { joining: None, leaving: None, members: None, replacing: None }
    }

    /// The whole new list, each as in [`join`](Self::join). Servers refuse it unless their quorums are plain majorities.
    pub fn members<'a>(members: impl IntoIterator<Item = &'a str>) -> Self {
        let members = members.into_iter().collect::<Vec<_>>().join(",");
        Self { members: Some(members), ..Self::new() }
    }

    /// A server comes in, or is described anew:
    /// `server.<id>=<host>:<quorum port>:<election port>[:participant|:observer];[<client host>:]<client port>`.
    ///
    /// Not together with [`members`](Self::members): servers then look at this only.
    pub fn join(mut self, server: &str) -> Self {
        append(&mut self.joining, server);
        self
    }

    /// A member goes. Not together with [`members`](Self::members), as [`join`](Self::join).
    pub fn leave(mut self, id: i64) -> Self {
        append(&mut self.leaving, &id.to_string());
        self
    }

    /// Only if this is still the present configuration ([`EnsembleConfig::version`]); refused with
    /// [`BAD_VERSION`](crate::ErrorCode::BAD_VERSION) otherwise.
    pub const fn replacing(mut self, version: Zxid) -> Self {
        self.replacing = Some(version);
        self
    }

    pub(crate) fn request(&self) -> ReconfigRequest<'_> {
        ReconfigRequest {
            joining_servers: self.joining.as_deref().map(Into::into),
            leaving_servers: self.leaving.as_deref().map(Into::into),
            new_members: self.members.as_deref().map(Into::into),
            config_id: self.replacing.map_or(-1, |Zxid(version)| version),
        }
    }
}

fn append(list: &mut Option<String>, item: &str) {
    match list {
        Some(list) => {
            list.push(',');
            list.push_str(item);
        }
        None => *list = Some(item.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_read() {
        let (version, members) = parse(
            "server.1=127.0.0.1:2:3:participant;127.0.0.1:1\nserver.2=zk2:2888:3888:observer;0.0.0.0:2181\n\
             server.3=[::1]:4:5|zk3:6:7;2181\nserver.4=zk4:8:9\nversion=100000003",
        );
        assert_eq!(version, Some(Zxid(0x1_0000_0003)));
        let seen: Vec<_> = members.iter().map(|m| (m.id, m.role, m.client.as_deref())).collect();
        let expected = [
            (1, Role::Participant, Some("127.0.0.1:1")),
            (2, Role::Observer, Some("zk2:2181")),
            (3, Role::Participant, Some("[::1]:2181")),
            (4, Role::Participant, None),
        ];
        assert_eq!(seen, expected);
        assert_eq!(connect_string(&members), "127.0.0.1:1,zk2:2181,[::1]:2181");
        let address =
            |host: &str, quorum_port, election_port| MemberAddress { host: host.into(), quorum_port, election_port };
        assert_eq!(members[2].addresses, [address("[::1]", 4, 5), address("zk3", 6, 7)]);
    }

    /// The text is a peer's: what can be read of it is.
    #[test]
    fn what_cannot_be_read_is_left_out() {
        let (version, members) = parse(
            "server.x=a:1:2\nserver.5=a:1\nserver.6=a:1:99999;1\nserver.7=;;\nversion=xyz\ngroup.1=1:2\n\
             server.8=b:1:2:participant;[::1]\nserver.9=c:1:2;",
        );
        assert_eq!(version, None);
        let seen: Vec<_> = members.iter().map(|member| (member.id, member.client.as_deref())).collect();
        assert_eq!(seen, [(8, None), (9, None)]);
        assert_eq!(parse(""), (None, Vec::new()));
    }

    #[test]
    fn changes_are_lists_with_commas() {
        let change = Reconfig::new().join("server.4=a:1:2;3").join("server.5=b:1:2;3").leave(1).leave(2);
        let request = change.request();
        assert_eq!(request.joining_servers.as_deref(), Some("server.4=a:1:2;3,server.5=b:1:2;3"));
        assert_eq!((request.leaving_servers.as_deref(), request.config_id), (Some("1,2"), -1));
        let whole = Reconfig::members(["server.1=a:1:2;3"]).replacing(Zxid(7));
        assert_eq!((whole.request().new_members.as_deref(), whole.request().config_id), (Some("server.1=a:1:2;3"), 7));
    }
}
