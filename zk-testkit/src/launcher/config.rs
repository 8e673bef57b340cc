//! The text of a server's configuration and the arguments of its Java.
//!
//! Must not know processes or the network: settings in, text out.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::jars::Jars;

/// Starts a standalone server or a member of a quorum, as `zoo.cfg` says.
const MAIN_CLASS: &str = "org.apache.zookeeper.server.quorum.QuorumPeerMain";

/// A member has this long to join its leader and load the data.
const INIT_LIMIT: Duration = Duration::from_secs(10);
/// A leader and a member that do not hear of each other for this long part. Long enough for a busy machine, short
/// enough that a test with a paused leader need not wait.
const SYNC_LIMIT: Duration = Duration::from_secs(3);
/// Both limits are at least this many ticks, for tests with long ticks.
const LIMIT_TICKS_MIN: u128 = 5;

/// Small and quick to start; a test server holds little data and does not live long enough for the second compiler.
const JVM_ARGS: [&str; 5] =
    ["-Xmx256m", "-Xshare:auto", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.net.preferIPv4Stack=true"];

const SYSTEM_PROPERTIES: [(&str, &str); 8] = [
    // In KB; the default of 64 MB for each new log file makes small tests write a lot.
    ("zookeeper.preAllocSize", "64"),
    // What was written survives kill -9 without fsync; only a power cut needs it.
    ("zookeeper.forceSync", "no"),
    // Notifications of a lonely server would otherwise back off to a minute.
    ("zookeeper.fastleader.maxNotificationInterval", "1000"),
    // Our logging backend is not log4j.
    ("zookeeper.jmx.log4j.disable", "true"),
    // slf4j-simple, which our jars come with; distributions read the two files below.
    ("org.slf4j.simpleLogger.defaultLogLevel", "warn"),
    ("org.slf4j.simpleLogger.showDateTime", "true"),
    ("org.slf4j.simpleLogger.dateTimeFormat", "HH:mm:ss.SSS"),
    ("org.slf4j.simpleLogger.showShortLogName", "true"),
];

/// Logging of a distribution (`$ZK_HOME`) from 3.8 on: the same lines to the same place.
pub(super) const LOGBACK_XML: &str = r#"<configuration>
  <appender name="OUT" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d{HH:mm:ss.SSS} [%t] %p %c{0} - %m%n</pattern></encoder>
  </appender>
  <root level="WARN"><appender-ref ref="OUT"/></root>
</configuration>
"#;

/// Logging of a distribution before 3.8.
pub(super) const LOG4J_PROPERTIES: &str = "log4j.rootLogger=WARN, OUT
log4j.appender.OUT=org.apache.log4j.ConsoleAppender
log4j.appender.OUT.layout=org.apache.log4j.PatternLayout
log4j.appender.OUT.layout.ConversionPattern=%d{HH:mm:ss.SSS} [%t] %p %c{1} - %m%n
";

/// What the user of the launcher can set, for all servers alike.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) tick: Duration,
    pub(super) properties: Vec<(String, String)>,
    pub(super) system_properties: Vec<(String, String)>,
    pub(super) jvm_args: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            tick: Duration::from_millis(200),
            properties: Vec::new(),
            system_properties: Vec::new(),
            jvm_args: Vec::new(),
        }
    }
}

/// The ports of one server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    pub(super) client: u16,
    pub(super) quorum: u16,
    pub(super) election: u16,
}

/// Where a server keeps its things.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    folder: PathBuf,
}

impl Layout {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    pub(super) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    pub(super) fn my_id(&self) -> PathBuf {
        self.folder.join("data/myid")
    }

    pub(super) fn logging(&self) -> PathBuf {
        self.folder.join("logging")
    }

    pub(super) fn zoo_cfg(&self) -> PathBuf {
        self.folder.join("zoo.cfg")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.folder.join("server.log")
    }
}

/// A server's number in `myid` and `server.N`; they start at 1.
pub(super) fn my_id(index: usize) -> usize {
    index + 1
}

/// A member's `zoo.cfg`. A key may come twice; the last one counts.
pub(super) fn zoo_cfg(settings: &Settings, members: &[Member], data: &Path) -> String {
    let tick_ms = settings.tick.as_millis().max(1);
    let ticks = |limit: Duration| (limit.as_millis() / tick_ms).max(LIMIT_TICKS_MIN);
    let alone = members.len() == 1;
    let mut lines = vec![
        ("dataDir".into(), data.display().to_string()),
        ("tickTime".into(), tick_ms.to_string()),
        ("initLimit".into(), ticks(INIT_LIMIT).to_string()),
        ("syncLimit".into(), ticks(SYNC_LIMIT).to_string()),
        ("minSessionTimeout".into(), (2 * tick_ms).to_string()),
        ("maxSessionTimeout".into(), "60000".into()),
        ("maxClientCnxns".into(), "0".into()),
        ("admin.enableServer".into(), "false".into()),
        ("4lw.commands.whitelist".into(), "*".into()),
        ("quorumListenOnAllIPs".into(), "false".into()),
        ("standaloneEnabled".into(), alone.to_string()),
    ];
    for (at, member) in members.iter().enumerate() {
        let Member { client, quorum, election } = member;
        if alone {
            lines.push(("clientPort".into(), client.to_string()));
            lines.push(("clientPortAddress".into(), "127.0.0.1".into()));
        } else {
            let address = format!("127.0.0.1:{quorum}:{election}:participant;127.0.0.1:{client}");
            lines.push((format!("server.{}", my_id(at)), address));
        }
    }
    lines.extend(settings.properties.iter().cloned());
    lines.iter().fold(String::new(), |mut text, (key, value)| {
        let _ = writeln!(text, "{key}={value}"); // to a String: cannot fail
        text
    })
}

/// The arguments of `java` for this server.
pub(super) fn java_args(settings: &Settings, jars: &Jars, layout: &Layout) -> Vec<OsString> {
    let mut args: Vec<OsString> = JVM_ARGS.map(OsString::from).into();
    args.extend(SYSTEM_PROPERTIES.map(|(key, value)| format!("-D{key}={value}").into()));
    args.extend(settings.system_properties.iter().map(|(key, value)| format!("-D{key}={value}").into()));
    args.extend(settings.jvm_args.iter().map(OsString::from));
    let mut class_path = layout.logging().into_os_string();
    class_path.push(":");
    class_path.push(&jars.class_path);
    args.extend(["-cp".into(), class_path, MAIN_CLASS.into(), layout.zoo_cfg().into_os_string()]);
    args
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMBER: Member = Member { client: 1, quorum: 2, election: 3 };

    #[test]
    fn a_server_alone_is_standalone() {
        let text = zoo_cfg(&Settings::default(), &[MEMBER], Path::new("/d"));
        assert!(text.contains("clientPort=1\nclientPortAddress=127.0.0.1\n"), "{text}");
        assert!(text.contains("tickTime=200\ninitLimit=50\nsyncLimit=15\nminSessionTimeout=400\n"), "{text}");
        assert!(!text.contains("server."), "{text}");
    }

    #[test]
    fn a_quorum_names_its_members_and_the_users_lines_are_last() {
        let mut settings = Settings { tick: Duration::from_secs(2), ..Settings::default() };
        settings.properties.push(("maxClientCnxns".into(), "7".into()));
        let text = zoo_cfg(&settings, &[MEMBER; 3], Path::new("/d"));
        assert!(text.contains("server.3=127.0.0.1:2:3:participant;127.0.0.1:1\n"), "{text}");
        assert!(text.contains("initLimit=5\nsyncLimit=5\n"), "{text}");
        assert!(text.ends_with("maxClientCnxns=7\n"), "{text}");
    }
}
