//! The executable: the command `session`, and its hidden role as a holder.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    // A holder lives as long as its session: nothing of the command line may cost it a page of memory.
    if arguments.next().is_some_and(|word| word == "__hold") {
        let Some(id) = arguments.next().and_then(|id| id.into_string().ok()) else {
            return ExitCode::from(2);
        };
        let size = arguments.next().and_then(|size| size.into_string().ok());
        return session_holder::run(&id, size.as_deref());
    }
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|word| word == "__keep") {
        let path = arguments.next().unwrap_or_default();
        let how = arguments.next().and_then(|how| how.into_string().ok());
        return session_keeper::run(path.as_ref(), how.as_deref());
    }
    session_cli::run(std::env::args_os())
}
