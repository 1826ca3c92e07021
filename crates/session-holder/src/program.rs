//! From a session's attributes to what the kernel executes: environment, directory, limits, and the command's file.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::io::Read as _;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use session_protocol::{ByteString, Code, Error};
use session_store::attribute::Amount;
use session_store::{Id, Name, Spec};
use session_sys::spawn::{ChildStdio, Limit, Program};

/// Where `command` is to be executed from: as execvp(3) finds it, but checked, and absolute.
///
/// # Errors
/// [`Code::NotExecutable`] with the path and the reason.
pub fn resolve(command: &OsStr, path: Option<&OsStr>, directory: &Path) -> Result<PathBuf, Error> {
    if command.is_empty() {
        return Err(Error::new(Code::NotExecutable, "the command is empty"));
    }
    if command.as_bytes().contains(&b'/') {
        let file = directory.join(command);
        return executable(&file)
            .map(|()| file)
            .map_err(|why| refused(command, &why));
    }
    let default = OsStr::new("/usr/local/bin:/usr/bin:/bin");
    let mut denied = None;
    for entry in std::env::split_paths(path.unwrap_or(default)) {
        let file = directory.join(entry).join(command);
        match executable(&file) {
            Ok(()) => return Ok(file),
            // As a shell: a file that is found but not executable is named only if no later one is better.
            Err(why) if why != NOT_FOUND => denied = denied.or(Some((file, why))),
            Err(_) => {}
        }
    }
    match denied {
        Some((file, why)) => Err(refused(file.as_os_str(), &why)),
        None => Err(refused(command, "command not found")),
    }
}

const NOT_FOUND: &str = "No such file or directory";

fn refused(command: &OsStr, why: &str) -> Error {
    let shown = ByteString(command.as_bytes().to_vec()).escaped();
    Error::new(
        Code::NotExecutable,
        format!("cannot execute '{shown}': {why}"),
    )
}

/// Whether `file` is a regular file that the caller may execute.
fn executable(file: &Path) -> Result<(), String> {
    let found = std::fs::metadata(file).map_err(|error| crate::process::reason(&error))?;
    if found.is_dir() {
        return Err("Is a directory".to_owned());
    }
    if !found.is_file() {
        return Err("not a regular file".to_owned());
    }
    rustix::fs::accessat(
        rustix::fs::CWD,
        file,
        rustix::fs::Access::EXEC_OK,
        rustix::fs::AtFlags::EACCESS,
    )
    .map_err(|error| crate::process::reason(&error.into()))?;
    let interpreter = interpreter(file).filter(|interpreter| interpreter.is_absolute());
    match interpreter.map(std::fs::metadata) {
        Some(Err(error)) => Err(missing_part(file, &error) + &crate::process::reason(&error)),
        _ => Ok(()),
    }
}

/// The interpreter that a script names behind `#!`; `None` for what is no script, or cannot be read.
fn interpreter(file: &Path) -> Option<PathBuf> {
    let mut head = [0; 256];
    let read = std::fs::File::open(file).ok()?.read(&mut head).ok()?;
    let line = head[..read]
        .strip_prefix(b"#!")?
        .split(|byte| *byte == b'\n');
    let line = line.into_iter().next()?;
    let word = line
        .split(u8::is_ascii_whitespace)
        .find(|word| !word.is_empty())?;
    Some(OsStr::from_bytes(word).into())
}

/// What execve(2) misses if it says ENOENT of a file that is there.
pub(crate) fn missing_part(file: &Path, error: &std::io::Error) -> String {
    if error.kind() != std::io::ErrorKind::NotFound || !file.exists() {
        return String::new();
    }
    match interpreter(file) {
        Some(interpreter) => {
            let shown = ByteString(interpreter.into_os_string().into_vec()).escaped();
            format!("interpreter '{shown}': ")
        }
        None => "program interpreter (dynamic loader): ".to_owned(),
    }
}

/// The environment of a session's processes: the holder's (which is that of whoever started it), what is set
/// with `--env`, and who they are. `agent` is where they find whichever SSH agent is at hand.
pub(crate) fn environment(
    spec: &Spec,
    id: &Id,
    name: &Name,
    pty: bool,
    agent: Option<PathBuf>,
) -> BTreeMap<OsString, OsString> {
    let mut env: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
    if pty
        && env
            .get(OsStr::new("TERM"))
            .is_none_or(|term| term.is_empty() || term == "dumb")
    {
        env.insert("TERM".into(), "xterm-256color".into());
    }
    if let Some(agent) = agent {
        env.insert("SSH_AUTH_SOCK".into(), agent.into());
    }
    for (key, value) in &spec.env {
        env.insert(key.into(), OsString::from_vec(value.0.clone()));
    }
    env.insert("SESSION_NAME".into(), name.to_string().into());
    env.insert("SESSION_ID".into(), id.to_string().into());
    env
}

/// What to execute, ready for the kernel.
pub(crate) struct Launch<'a> {
    pub(crate) executable: &'a Path,
    pub(crate) command: &'a [ByteString],
    pub(crate) env: &'a BTreeMap<OsString, OsString>,
    pub(crate) directory: &'a Path,
    pub(crate) umask: u32,
    /// The caller's own.
    pub(crate) inherited: &'a [Limit],
    pub(crate) limits: &'a BTreeMap<String, String>,
}

impl Launch<'_> {
    /// Prepares everything that allocates, so that the child need not.
    pub(crate) fn program(&self, stdio: ChildStdio) -> Result<Program, Error> {
        let zero = |_| {
            Error::new(
                Code::NotExecutable,
                "a zero byte in the command, environment or directory",
            )
        };
        let string = |bytes: &[u8]| CString::new(bytes).map_err(zero);
        Ok(Program {
            executable: string(self.executable.as_os_str().as_bytes())?,
            argv: self
                .command
                .iter()
                .map(|word| string(&word.0))
                .collect::<Result<_, _>>()?,
            env: self
                .env
                .iter()
                .map(|(key, value)| string(&[key.as_bytes(), b"=", value.as_bytes()].concat()))
                .collect::<Result<_, _>>()?,
            directory: string(self.directory.as_os_str().as_bytes())?,
            stdio,
            umask: self.umask,
            // The session's come second and prevail.
            limits: self
                .inherited
                .iter()
                .copied()
                .chain(
                    self.limits
                        .iter()
                        .filter_map(|(key, value)| rlimit(key, value)),
                )
                .collect(),
        })
    }
}

/// The kernel's resource of a per-process limit (setrlimit(2)); cgroup limits give `None`.
fn rlimit(key: &str, value: &str) -> Option<Limit> {
    let resource = match key {
        "cputime" => 0,
        "fsize" => 1,
        "data" => 2,
        "stack" => 3,
        "core" => 4,
        "nproc" => 6,
        "nofile" => 7,
        "memlock" => 8,
        "as" => 9,
        _ => return None,
    };
    let amount = match Amount::parse(key, value)? {
        Amount::Unlimited => u64::MAX,
        Amount::Most(most) => most,
    };
    Some(Limit {
        resource,
        soft: amount,
        hard: amount,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_found_like_a_shell_finds_them() {
        let path = Some(OsStr::new("/nonexistent:/bin:/usr/bin"));
        let root = Path::new("/");
        assert_eq!(
            resolve(OsStr::new("sh"), path, root).unwrap(),
            Path::new("/bin/sh")
        );
        assert_eq!(
            resolve(OsStr::new("./sh"), path, Path::new("/bin")).unwrap(),
            Path::new("/bin/./sh")
        );
        for (command, why) in [
            ("", "the command is empty"),
            (
                "no-such-command",
                "cannot execute 'no-such-command': command not found",
            ),
            ("/", "cannot execute '/': Is a directory"),
            (
                "/etc/passwd",
                "cannot execute '/etc/passwd': Permission denied",
            ),
            (
                "/no/such",
                "cannot execute '/no/such': No such file or directory",
            ),
            ("a\nb", "cannot execute 'a\\nb': command not found"),
        ] {
            assert_eq!(
                resolve(OsStr::new(command), path, root)
                    .unwrap_err()
                    .message,
                why
            );
        }
    }
}
