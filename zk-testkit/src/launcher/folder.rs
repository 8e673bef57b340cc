//! The folder of an ensemble: it goes with the ensemble, and where the process was killed, when the next one is made.
//!
//! A process that is killed drops nothing, and the folder of a temporary server lies in memory often enough. So each has a
//! file that its process holds locked, which ends with the process, and whoever makes a folder removes those beside it that
//! nobody holds. Must not know what lies in it.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use tempfile::TempDir;

const PREFIX: &str = "zk-testkit-";
/// The file that is locked; it has that name only while it is, so that nobody takes a new folder for one that was left.
const LOCK: &str = "in-use";

/// A folder of this process. Dropping it removes it.
#[derive(Debug)]
pub(super) struct Folder {
    temp: TempDir,
    // Behind the folder, so that nobody else removes it meanwhile.
    _lock: File,
}

impl Folder {
    pub(super) fn new() -> io::Result<Self> {
        Self::new_in(&tempfile::env::temp_dir())
    }

    fn new_in(parent: &Path) -> io::Result<Self> {
        let temp = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent)?;
        let unlocked = temp.path().join("lock");
        let lock = File::create_new(&unlocked)?;
        // Where the file system knows no locks nobody can say what was left.
        if lock.try_lock().is_ok() {
            fs::rename(&unlocked, temp.path().join(LOCK))?;
            remove_left(parent, temp.path().metadata()?.uid());
        }
        Ok(Self { temp, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        self.temp.path()
    }
}

/// Removes this user's folders that nobody holds. One whose servers are just being killed may resist: the next one tries again.
fn remove_left(parent: &Path, user: u32) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let is_ours = entry.metadata().is_ok_and(|folder| folder.is_dir() && folder.uid() == user);
        if is_ours
            && entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes())
            && let Ok(lock) = File::open(entry.path().join(LOCK))
            && lock.try_lock().is_ok()
        {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;
    use std::process::Command;

    /// What a killed process leaves: the folder, and no lock.
    fn left(parent: &Path) -> PathBuf {
        let Folder { temp, _lock } = Folder::new_in(parent).unwrap();
        temp.keep()
    }

    #[test]
    fn what_a_killed_process_left_goes_when_the_next_folder_is_made() {
        let parent = tempfile::tempdir().unwrap();
        let held = Folder::new_in(parent.path()).unwrap();
        fs::create_dir(held.path().join("server-1")).unwrap();
        let left = left(parent.path());
        fs::create_dir(left.join("server-1")).unwrap();
        let (new, foreign) = (parent.path().join("zk-testkit-new"), parent.path().join("others"));
        for folder in [&new, &foreign] {
            fs::create_dir(folder).unwrap();
        }
        File::create(new.join("lock")).unwrap(); // not locked yet
        File::create(foreign.join(LOCK)).unwrap();

        let next = Folder::new_in(parent.path()).unwrap();
        assert!(!left.exists());
        for kept in [held.path(), next.path(), &new, &foreign] {
            assert!(kept.exists(), "{}", kept.display());
        }
    }

    #[test]
    fn a_program_that_was_started_meanwhile_does_not_hold_the_folder() {
        let parent = tempfile::tempdir().unwrap();
        let Folder { temp, _lock: lock } = Folder::new_in(parent.path()).unwrap();
        let mut program = Command::new("sleep").arg("1000").spawn().unwrap();
        drop(lock);
        let left = temp.keep();
        let _next = Folder::new_in(parent.path()).unwrap();
        program.kill().unwrap();
        program.wait().unwrap();
        assert!(!left.exists());
    }

    #[test]
    fn a_folder_goes_with_its_owner() {
        let parent = tempfile::tempdir().unwrap();
        drop(Folder::new_in(parent.path()).unwrap());
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    }
}
