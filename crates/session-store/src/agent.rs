//! `agent`: a symbolic link in a session's directory to the socket of whichever SSH agent was at hand last. Processes of
//! the session know the link, which stays, and not the socket, which goes with the login that it belonged to.

use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType};
use rustix::io::Errno;

use crate::Session;

const LINK: &str = "agent";
/// The longest path of a socket, without its closing zero (unix(7)).
const LONGEST: usize = 107;
/// Links on the way to one socket (path_resolution(7)).
const MOST_LINKS: usize = 40;

impl Session {
    /// The link, if there is one, made by this user, that sockets can be reached by.
    pub fn agent(&self) -> Option<PathBuf> {
        let path = self.agent_path()?;
        self.is_link().ok().filter(|is_link| *is_link).map(|_| path)
    }

    /// Lets the link lead to the socket at `target` from now on; in between it is never missing. Left as it is: a link
    /// that `target` itself leads through, and whatever someone else put in its place.
    pub fn lead_to_agent(&self, target: &Path) -> std::io::Result<()> {
        if self.agent_path().is_none() || !target.is_absolute() || self.is_on_the_way(target)? {
            return Ok(());
        }
        let directory = self.directory_fd();
        match self.is_link() {
            Ok(true) | Err(Errno::NOENT) => {}
            Ok(false) => return Ok(()),
            Err(errno) => return Err(errno.into()),
        }
        const NEW: &str = "agent.new";
        match rustix::fs::symlinkat(target, directory, NEW) {
            // Left by someone who was killed here, or who is here at this moment and comes first then.
            Err(Errno::EXIST) => {
                let _ = rustix::fs::unlinkat(directory, NEW, AtFlags::empty());
                rustix::fs::symlinkat(target, directory, NEW)?;
            }
            made => made?,
        }
        Ok(rustix::fs::renameat(directory, NEW, directory, LINK)?)
    }

    fn agent_path(&self) -> Option<PathBuf> {
        let path = self.path().join(LINK);
        (path.is_absolute() && path.as_os_str().len() <= LONGEST).then_some(path)
    }

    /// Whether what is there is a link of this user's.
    fn is_link(&self) -> rustix::io::Result<bool> {
        let stat = rustix::fs::statat(self.directory_fd(), LINK, AtFlags::SYMLINK_NOFOLLOW)?;
        let ours = stat.st_uid == session_sys::process::effective_uid();
        Ok(ours && FileType::from_raw_mode(stat.st_mode) == FileType::Symlink)
    }

    /// Whether the way to `target` leads through this session's own link: then it would lead to itself.
    fn is_on_the_way(&self, target: &Path) -> rustix::io::Result<bool> {
        let here = rustix::fs::fstat(self.directory_fd())?;
        let is_here = |directory: &Path| {
            rustix::fs::stat(directory)
                .is_ok_and(|there| (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino))
        };
        let mut hop = target.to_owned();
        for _ in 0..MOST_LINKS {
            let directory = hop.parent().unwrap_or(Path::new("/"));
            if hop.file_name().is_some_and(|name| name == LINK) && is_here(directory) {
                return Ok(true);
            }
            match std::fs::read_link(&hop) {
                Ok(next) => hop = directory.join(next),
                Err(_) => return Ok(false),
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Root, Spec, Wanted};

    fn session(root: &Root, name: &str) -> Session {
        let spec = Spec::new(vec!["true".into()], "/bin/true".into(), "/".into());
        let wanted = Wanted::Exact(name.parse().unwrap());
        root.create(wanted, spec).unwrap().session().clone()
    }

    fn target(session: &Session) -> PathBuf {
        std::fs::read_link(session.path().join(LINK)).unwrap()
    }

    #[test]
    fn the_link_leads_where_it_was_led_last() {
        let state = tempfile::tempdir().unwrap();
        let root = Root::open(&state.path().join("root")).unwrap();
        let session = session(&root, "x");
        assert_eq!(session.agent(), None);
        std::os::unix::fs::symlink("/left", session.path().join("agent.new")).unwrap();
        for path in ["/tmp/one", "/tmp/two"] {
            session.lead_to_agent(Path::new(path)).unwrap();
            assert_eq!(target(&session), Path::new(path));
        }
        session.lead_to_agent(Path::new("relative")).unwrap();
        session.lead_to_agent(Path::new("")).unwrap();
        assert_eq!(target(&session), Path::new("/tmp/two"));
        assert_eq!(session.agent(), Some(session.path().join(LINK)));
        assert!(!session.path().join("agent.new").exists());
    }

    #[test]
    fn no_link_leads_to_itself() {
        let state = tempfile::tempdir().unwrap();
        let root = Root::open(&state.path().join("root")).unwrap();
        let (outer, inner) = (session(&root, "outer"), session(&root, "inner"));
        let [of_outer, of_inner] = [&outer, &inner].map(|session| session.path().join(LINK));
        // Not even one that is not there yet, or by another name of its directory.
        outer.lead_to_agent(&of_outer).unwrap();
        assert_eq!(outer.agent(), None);
        outer.lead_to_agent(Path::new("/tmp/socket")).unwrap();
        inner.lead_to_agent(&of_outer).unwrap();
        assert_eq!(target(&inner), of_outer);
        outer.lead_to_agent(&of_inner).unwrap();
        let alias = state.path().join("alias");
        std::os::unix::fs::symlink(outer.path(), &alias).unwrap();
        outer.lead_to_agent(&alias.join(LINK)).unwrap();
        assert_eq!(target(&outer), Path::new("/tmp/socket"));
    }

    #[test]
    fn what_is_no_link_is_left_alone() {
        let state = tempfile::tempdir().unwrap();
        let root = Root::open(&state.path().join("root")).unwrap();
        let session = session(&root, "x");
        std::fs::write(session.path().join(LINK), "mine").unwrap();
        session.lead_to_agent(Path::new("/tmp/one")).unwrap();
        assert_eq!(std::fs::read(session.path().join(LINK)).unwrap(), b"mine");
        assert_eq!(session.agent(), None);
    }

    #[test]
    fn a_path_too_long_for_sockets_gets_no_link() {
        let state = tempfile::tempdir().unwrap();
        let root = Root::open(&state.path().join("r".repeat(100))).unwrap();
        let session = session(&root, "x");
        session.lead_to_agent(Path::new("/tmp/one")).unwrap();
        assert_eq!(session.agent(), None);
        assert!(std::fs::symlink_metadata(session.path().join(LINK)).is_err());
    }
}
