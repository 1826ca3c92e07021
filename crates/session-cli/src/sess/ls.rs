//! `sess ls`: the sessions, whether someone is attached, and which is the current one.

use std::fmt::Write as _;
use std::process::ExitCode;

use super::arguments::print;
use super::attach::minute;
use super::place::Place;
use crate::failure::Failure;

pub(super) fn ls(place: &Place) -> Result<ExitCode, Failure> {
    let members = place.members(false)?;
    if members.is_empty() {
        return print("No active sessions\n");
    }
    let current = place.current()?.map(|current| *current.session.id());
    let mut text = "SESSION  STATUS    CREATED              PID     CMD\n".to_owned();
    let mut last = String::new();
    for member in members {
        let status = &member.status;
        let number = &status.name;
        let is_current = current == Some(*member.session.id());
        if is_current {
            last = format!("\n* indicates current session ({number})\n");
        }
        let mark = if is_current { "* " } else { "  " };
        let attached = match status.clients {
            0 => "detached",
            _ => "attached",
        };
        let created = minute(status.created_at);
        let pid = status.pid.unwrap_or_default();
        let words: Vec<String> = status.command.iter().map(|word| word.escaped()).collect();
        let command = words.join(" ");
        // Writing to a String succeeds.
        let _ = writeln!(
            text,
            "{mark}{number:>3}   {attached:<9} {created:<20} {pid:<7} {command}"
        );
    }
    print(&(text + &last))
}
