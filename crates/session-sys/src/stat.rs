//! `/proc/PID/stat` of one process, through procfs, which knows that a name may hold spaces and parentheses.

use std::io;

use procfs::FromRead;
use procfs::process::Stat;

/// The stat of a process; an error of kind `NotFound` means that it is gone.
pub(crate) fn of(pid: i32) -> io::Result<Stat> {
    Ok(named(pid)?.0)
}

/// The stat of a process, and its name as it is, which need not be UTF-8.
///
/// The kernel shows a process whose first thread has ended as a zombie for as long as others run: its state here is
/// that of one of those.
pub(crate) fn named(pid: i32) -> io::Result<(Stat, Vec<u8>)> {
    let (mut stat, name) = at(&format!("/proc/{pid}/stat"))?;
    if stat.state == 'Z' && stat.num_threads > 1 {
        for tid in numbers(&format!("/proc/{pid}/task")).unwrap_or_default() {
            let Ok((thread, _)) = of_thread(pid, tid) else {
                continue; // it has ended since
            };
            if !matches!(thread.state, 'Z' | 'X') {
                stat.state = thread.state;
                break;
            }
        }
    }
    Ok((stat, name))
}

/// The stat of a thread, and its name as it is.
pub(crate) fn of_thread(pid: i32, tid: i32) -> io::Result<(Stat, Vec<u8>)> {
    at(&format!("/proc/{pid}/task/{tid}/stat"))
}

fn at(path: &str) -> io::Result<(Stat, Vec<u8>)> {
    let line = std::fs::read(path).map_err(|error| {
        // Between open and read the process went away: the same as never having found it.
        match error.raw_os_error() {
            Some(libc::ESRCH) => io::ErrorKind::NotFound.into(),
            _ => error,
        }
    })?;
    let stat = Stat::from_read(&line[..])
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
    Ok((stat, name_in(&line).to_vec()))
}

/// What stands between the first opening and the last closing parenthesis.
fn name_in(line: &[u8]) -> &[u8] {
    let begin = line.iter().position(|&byte| byte == b'(');
    let end = line.iter().rposition(|&byte| byte == b')');
    let range = begin.zip(end).map(|(begin, end)| begin + 1..end);
    range.and_then(|range| line.get(range)).unwrap_or_default()
}

/// The names in a directory that are numbers.
pub(crate) fn numbers(directory: &str) -> io::Result<Vec<i32>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        if let Some(number) = entry?
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        {
            numbers.push(number);
        }
    }
    Ok(numbers)
}

/// True for a process of which nothing runs any more and that only waits for its parent.
///
/// One that looks so although it counts other threads is about to end, or to be seen with one of them.
pub(crate) fn has_ended(state: char, threads: i64) -> bool {
    matches!(state, 'Z' | 'X' | 'x') && threads <= 1
}
