//! The machine: what the kernel and the init system allow a session, by the means that Session would use.

use std::fs;
use std::path::Path;

use rustix::process::{PidfdFlags, Resource, getrlimit};

use super::Check;

/// All checks of the machine.
pub(crate) fn machine() -> Vec<Check> {
    vec![
        cgroups(),
        limits(),
        processes(),
        terminals(),
        files(),
        logout(),
    ]
}

fn cgroups() -> Check {
    let what = "process trees";
    match session_sys::cgroup::available() {
        Ok(path) => Check::ok(what, format!("by cgroup, in {}", path.display())),
        Err(why) => Check::warn(
            what,
            format!("by repeated scans, for there are no cgroups: {why}"),
        ),
    }
}

/// Limits of a whole session need the controllers of its cgroup; those of a process work everywhere.
fn limits() -> Check {
    let what = "limits";
    let Ok(path) = session_sys::cgroup::available() else {
        return Check::warn(what, "memory, pids and cpu are not enforced");
    };
    let controllers = fs::read_to_string(path.join("cgroup.controllers")).unwrap_or_default();
    let missing: Vec<&str> = ["memory", "pids", "cpu"]
        .into_iter()
        .filter(|wanted| controllers.split_whitespace().all(|word| word != *wanted))
        .collect();
    if missing.is_empty() {
        Check::ok(what, "memory, pids and cpu can be enforced")
    } else {
        let missing = missing.join(", ");
        let path = path.display();
        Check::warn(
            what,
            format!("{missing}: not enforced, no controller in {path}"),
        )
    }
}

fn processes() -> Check {
    let what = "pidfds";
    let kernel = rustix::system::uname();
    let release = kernel.release().to_string_lossy();
    match rustix::process::pidfd_open(rustix::process::getpid(), PidfdFlags::empty()) {
        Ok(_) => Check::ok(what, format!("Linux {release}")),
        Err(errno) => Check::fail(what, format!("Linux {release}: {errno}")),
    }
}

fn terminals() -> Check {
    let what = "terminals";
    if let Err(why) = session_sys::pty::open(24, 80) {
        return Check::fail(what, why);
    }
    let number = |file| {
        let text = fs::read_to_string(Path::new("/proc/sys/kernel/pty").join(file)).ok()?;
        text.trim().parse::<u64>().ok()
    };
    match (number("nr"), number("max")) {
        (Some(used), Some(most)) if used * 10 > most * 9 => Check::warn(
            what,
            format!("{used} of {most} are in use; the sysctl kernel.pty.max allows more"),
        ),
        (Some(used), Some(most)) => Check::ok(what, format!("{used} of {most} are in use")),
        _ => Check::ok(what, "one can be opened"),
    }
}

fn files() -> Check {
    let what = "open files";
    match getrlimit(Resource::Nofile).current {
        Some(most) if most < 256 => Check::warn(
            what,
            format!("at most {most}, few for many clients (ulimit -n)"),
        ),
        Some(most) => Check::ok(what, format!("at most {most}")),
        None => Check::ok(what, "unlimited"),
    }
}

/// systemd can end a user's processes at the last logout, sessions included.
fn logout() -> Check {
    let what = "logout";
    let user = session_sys::process::effective_uid();
    if user == 0 || !Path::new("/run/systemd/system").exists() {
        return Check::ok(what, "sessions stay");
    }
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = user_name(&passwd, user).map(str::to_owned);
    let name = name.or_else(|| std::env::var("USER").ok());
    let lingers = name.is_some_and(|name| {
        let file = Path::new("/var/lib/systemd/linger").join(name);
        file.exists()
    });
    if lingers {
        return Check::ok(what, "sessions stay (lingering is enabled)");
    }
    let files = ["/usr/lib/systemd/logind.conf", "/etc/systemd/logind.conf"].map(Into::into);
    let texts = files
        .into_iter()
        .chain(drop_ins("/etc/systemd/logind.conf.d"));
    let texts: Vec<String> = texts
        .filter_map(|file| fs::read_to_string(file).ok())
        .collect();
    if kills(&texts) {
        Check::warn(
            what,
            "systemd ends sessions at the last logout; `loginctl enable-linger` keeps them",
        )
    } else {
        Check::ok(what, "sessions stay (KillUserProcesses=no)")
    }
}

fn drop_ins(directory: &str) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.path()).collect();
    files.sort();
    files
}

fn user_name(passwd: &str, user: u32) -> Option<&str> {
    let user = user.to_string();
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == user).then_some(name)
    })
}

/// What logind.conf(5) and its drop-ins say, the last word counting.
fn kills(texts: &[String]) -> bool {
    let lines = texts.iter().flat_map(|text| text.lines());
    let mut values = lines.filter_map(|line| line.trim().strip_prefix("KillUserProcesses="));
    values
        .next_back()
        .is_some_and(|value| matches!(value.trim(), "yes" | "true" | "on" | "1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logind_is_read_as_it_reads_itself() {
        let text = |text: &str| text.to_owned();
        assert!(!kills(&[text("#KillUserProcesses=yes\n")]));
        assert!(kills(&[text("[Login]\nKillUserProcesses=yes\n")]));
        assert!(!kills(&[
            text("KillUserProcesses=yes"),
            text("KillUserProcesses=no")
        ]));
        let passwd = "root:x:0:0:root:/root:/bin/sh\nada:x:1000:1000::/home/ada:/bin/sh\n";
        assert_eq!(user_name(passwd, 1000), Some("ada"));
        assert_eq!(user_name(passwd, 7), None);
    }

    #[test]
    fn every_check_says_something() {
        assert!(machine().iter().all(|check| !check.detail.is_empty()));
    }
}
