//! Targets of texts: paths, chroots, connect strings.

use super::memory::bounded;
use zk_proto::path::{Chroot, validate, validate_sequential};

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
