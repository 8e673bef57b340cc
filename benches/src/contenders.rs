//! Who is measured: the floor, our own clients, other clients. Each is a program that follows the contract of
//! `peer-watcher`.
//!
//! Must not know what they measure.

use crate::{
    args::{Ask, OwnWatcher, Peer, RunArgs, Runtime, Told, name_of},
    child::Watcher,
    error::Failure,
    peers,
};
use std::{ffi::OsString, time::Duration};

/// A watcher says what it has to say after this, or never.
pub(crate) const PATIENCE: Duration = Duration::from_secs(600);

/// What the floor is called that tokio wakes. It explains, and is nobody to be compared with.
pub(crate) const FLOOR_ON_TOKIO: &str = "floor on tokio";

/// What ours is called on a runtime.
pub(crate) const fn ours(runtime: Runtime) -> &'static str {
    match runtime {
        Runtime::CurrentThread => "ours",
        Runtime::MultiThread => "ours (multi-thread)",
        Runtime::Own => "ours (own thread)",
    }
}

/// What the name of ours ends with where a task is told, and not a listener.
const IN_A_TASK: &str = ", in a task";
/// What it ends with where it tells when the event came and when the value was published, which costs it some of its time.
const IN_PARTS: &str = ", in parts";

/// The argument that asks for them.
const PARTS: &str = "--parts";

/// Seconds of writes that are not measured.
pub(crate) const WARM_UP_SECONDS: u32 = 1;
/// It compiles what it does often.
const WARM_UP_JAVA_SECONDS: u32 = 5;

/// One program that can be measured.
#[derive(Clone, Debug)]
pub(crate) struct Contender {
    pub(crate) name: String,
    /// The program and its first arguments.
    pub(crate) command: Vec<OsString>,
    /// Whether it knows what the contract does not ask for.
    pub(crate) is_ours: bool,
}

impl Contender {
    /// The raw socket.
    pub(crate) fn floor() -> Result<Self, Failure> {
        Self::own("floor", &["floor-watcher"])
    }

    fn ours(runtime: Runtime) -> Result<Self, Failure> {
        Self::own(ours(runtime), &["peer-watcher", "--runtime", &name_of(&runtime)])
    }

    fn own(name: &str, args: &[&str]) -> Result<Self, Failure> {
        let program = std::env::current_exe().map_err(Failure::io("find this program"))?;
        let command = [program.into_os_string()].into_iter().chain(args.iter().map(OsString::from)).collect();
        Ok(Self { name: name.to_owned(), command, is_ours: true })
    }

    /// Seconds of writes that are not measured before its own.
    pub(crate) fn warm_up_seconds(&self, args: &RunArgs) -> u32 {
        let is_java = self.command.first().is_some_and(|program| program == "java");
        args.warm_up.unwrap_or(if is_java { WARM_UP_JAVA_SECONDS } else { WARM_UP_SECONDS })
    }

    /// Starts it with the contract's arguments.
    pub(crate) fn spawn(&self, args: &[String]) -> Result<Watcher, Failure> {
        Watcher::spawn(&self.name, &self.command, args)
    }
}

/// The floor, and all that are measured; the first of these is ours.
#[derive(Clone)]
pub(crate) struct Contenders {
    floor: Contender,
    measured: Vec<Contender>,
    /// The names of those that are measured.
    pub(crate) names: Vec<String>,
}

impl Contenders {
    /// Those that the arguments ask for; builds what has to be built, and tells what this machine cannot build.
    pub(crate) fn find(args: &RunArgs) -> Result<Self, Failure> {
        let mut measured =
            args.runtime.iter().map(|runtime| Contender::ours(*runtime)).collect::<Result<Vec<_>, _>>()?;
        if let Some(wanted) = &args.peers {
            measured.extend(peers::find(wanted));
        }
        let own = args.watcher.iter().cloned();
        measured.extend(own.map(|OwnWatcher { name, command }| Contender { name, command, is_ours: false }));
        let names = measured.iter().map(|contender| contender.name.clone()).collect();
        Ok(Self { floor: Contender::floor()?, measured, names })
    }

    /// Where an application is told: ours as a listener, and on the first of its runtimes as a task that has subscribed, too.
    pub(crate) fn with_task(mut self) -> Self {
        self.add_ours(IN_A_TASK, &["--told", &name_of(&Told::Task)]);
        self
    }

    /// Where an update is told in parts: all of ours do if they are alone. Where others take part, who can be seen from outside
    /// only, ours is seen so, too, and tells its parts as one more, on the first of its runtimes.
    pub(crate) fn with_parts(mut self) -> Self {
        if self.measured.iter().all(|contender| contender.is_ours) {
            self.measured.iter_mut().for_each(|contender| contender.command.push(PARTS.into()));
        } else {
            self.add_ours(IN_PARTS, &[PARTS]);
        }
        self
    }

    /// One more of ours: the first of them, with more arguments.
    fn add_ours(&mut self, suffix: &str, args: &[&str]) {
        if let Some(mut contender) = self.measured.iter().find(|contender| contender.is_ours).cloned() {
            contender.name.push_str(suffix);
            contender.command.extend(args.iter().map(OsString::from));
            self.names.push(contender.name.clone());
            self.measured.push(contender);
        }
    }

    /// With the floor's own code on tokio, too, if that is wanted; as a client that is seen from outside.
    pub(crate) fn with_floor_on_tokio(mut self, is_wanted: bool, reads_many: bool) -> Result<Self, Failure> {
        if is_wanted {
            let many: &[&str] = if reads_many { &["--many"] } else { &[] };
            let floor = Contender::own(FLOOR_ON_TOKIO, &[&["floor-watcher", "--on-tokio", "--split"], many].concat())?;
            self.names.push(floor.name.clone());
            self.measured.push(Contender { is_ours: false, ..floor });
        }
        Ok(self)
    }

    /// The same operations in several ways, each with what its name ends with; the floor has one of its own. The first
    /// way is the other clients' too.
    pub(crate) fn asking(args: &RunArgs, floor: Ask, ways: &[(&str, Ask)]) -> Result<Self, Failure> {
        let asks = |contender: &Contender, suffix: &str, ask: Ask| {
            let mut contender = contender.clone();
            contender.name.push_str(suffix);
            contender.command.extend(["--ask".into(), name_of(&ask).into()]);
            contender
        };
        let found = Self::find(args)?;
        let (ours, others): (Vec<Contender>, Vec<Contender>) =
            found.measured.into_iter().partition(|contender| contender.is_ours);
        let mut measured = Vec::new();
        for (suffix, ask) in ways {
            measured.extend(ours.iter().map(|contender| asks(contender, suffix, *ask)));
        }
        let by_hand = ways.first().map(|(_, ask)| Contender { name: "raw".to_owned(), ..asks(&found.floor, "", *ask) });
        // CuratorCache reads from its own memory.
        let others = others.into_iter().filter(|contender| contender.name != peers::name(Peer::Curator));
        measured.extend(by_hand.into_iter().chain(others));
        let names = measured.iter().map(|contender| contender.name.clone()).collect();
        Ok(Self { floor: asks(&found.floor, "", floor), measured, names })
    }

    /// Who is at a place in a round.
    pub(crate) fn at(&self, place: crate::rounds::Place) -> &Contender {
        match place {
            crate::rounds::Place::Contender(at) => self.measured.get(at).unwrap_or(&self.floor),
            crate::rounds::Place::FloorBefore | crate::rounds::Place::FloorAfter => &self.floor,
        }
    }
}
