//! Targets of texts: paths, chroots, connect strings, answers to four-letter words.

use super::memory::bounded;
use std::fmt::{Debug, Display};
use zk_proto::{
    path::{Chroot, validate, validate_sequential},
    words::{
        Connections, Imok, IsReadOnly, Monitor, ServerStatus, WatchSummary, WatchesByPath, WatchesBySession, WordError,
    },
};

/// Paths and connect strings.
pub fn texts(data: &[u8]) {
    let text = bounded(data.len(), || zk_proto::jute::decode_utf8(data));
    if validate(&text).is_ok() {
        assert!(validate_sequential(&text).is_ok());
    }
    if validate(&text).is_ok() && text != "/" {
        let parent = zk_proto::path::parent(&text).expect("only the root has no parent");
        assert!(validate(parent).is_ok());
        let chroot = Chroot::new(&text).expect("a path");
        assert_eq!(chroot.to_client(&chroot.to_server("/x")), "/x");
        assert_eq!(chroot.to_client(&chroot.to_server("/")), "/");
    }
    if let Ok(parsed) = text.parse::<zk_client::ConnectString>() {
        let hosts: Vec<String> = parsed.hosts().iter().map(ToString::to_string).collect();
        let again = format!("{}{}", hosts.join(","), parsed.chroot());
        assert_eq!(again.parse::<zk_client::ConnectString>().as_ref(), Ok(&parsed), "{again}");
    }
}

/// Answers to four-letter words: what can be read can be written, and is then read as the same.
pub fn words(data: &[u8]) {
    fn twice<T: PartialEq + Debug + Display>(text: &str, parse: fn(&str) -> Result<T, WordError>) {
        if let Ok(answer) = parse(text) {
            let written = answer.to_string();
            assert_eq!(parse(&written).as_ref(), Ok(&answer), "{written:?}");
        }
    }
    let Some((first, answer)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(answer);
    // A name inside an answer may be what a refusal looks like: text has no way to tell.
    if ["is not executed because", "is not currently serving"].iter().any(|refusal| text.contains(refusal)) {
        return;
    }
    match first % 8 {
        0 => twice(&text, Imok::parse),
        1 => twice(&text, IsReadOnly::parse),
        2 => twice(&text, ServerStatus::parse),
        3 => twice(&text, Monitor::parse),
        4 => twice(&text, Connections::parse),
        5 => twice(&text, WatchSummary::parse),
        6 => twice(&text, WatchesByPath::parse),
        _ => twice(&text, WatchesBySession::parse),
    }
}
