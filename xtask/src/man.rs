//! `cargo xtask man`: the man pages, from the very definitions that parse the command line.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use clap_mangen::Man;
use session_cli::{command, sess_command};

/// Writes the pages to `directory`, and removes those of verbs that are gone.
pub(crate) fn write(directory: &Path) -> Result<(), String> {
    let pages = pages()?;
    let failed = |why: std::io::Error| format!("cannot write to {}: {why}", directory.display());
    fs::create_dir_all(directory).map_err(failed)?;
    for name in present(directory).into_keys() {
        if !pages.contains_key(&name) {
            fs::remove_file(directory.join(name)).map_err(failed)?;
        }
    }
    for (name, page) in pages {
        fs::write(directory.join(name), page).map_err(failed)?;
    }
    Ok(())
}

/// Compares the pages in `directory` with what they would be.
pub(crate) fn check(directory: &Path) -> Result<(), String> {
    let (pages, present) = (pages()?, present(directory));
    let names = pages.keys().chain(present.keys());
    let mut stale: Vec<&str> = names
        .filter(|name| pages.get(*name) != present.get(*name))
        .map(String::as_str)
        .collect();
    stale.sort_unstable();
    stale.dedup();
    if stale.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "not up to date: {}; run `cargo xtask man`",
            stale.join(", ")
        ))
    }
}

fn present(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let page = name.ends_with(".1").then(|| fs::read(entry.path()).ok());
            Some((name, page??))
        })
        .collect()
}

/// File name and text of each page.
fn pages() -> Result<BTreeMap<String, Vec<u8>>, String> {
    let mut whole = command();
    // Hands the options of every verb down to the verbs, and calls them `session-create` and so on.
    whole.build();
    let verbs = whole.get_subcommands().cloned();
    let mut commands: Vec<_> = verbs.filter(|verb| verb.get_name() != "help").collect();
    commands.push(whole);
    commands.push(sess_command());
    let mut pages = BTreeMap::new();
    for command in commands {
        let command = command.disable_help_subcommand(true);
        let name = command.get_display_name().unwrap_or(command.get_name());
        let name = name.to_owned();
        let mut page = Vec::new();
        let man = Man::new(command)
            .title(name.to_uppercase())
            .manual("Session");
        man.render(&mut page).map_err(|why| why.to_string())?;
        let page = String::from_utf8(page).map_err(|why| why.to_string())?;
        pages.insert(format!("{name}.1"), readable(&page).into_bytes());
    }
    Ok(pages)
}

/// What the generator does not know: that the help's last part is examples, line by line, and that there is no page
/// for `help`.
fn readable(page: &str) -> String {
    let page = page.replace(
        ".TP\nsession\\-help(1)\nPrint this message or the help of the given subcommand(s)\n",
        "",
    );
    let Some((before, examples)) = page.split_once(".SH EXTRA\nExamples:\n") else {
        return page;
    };
    let (examples, after) = match examples.find("\n.SH") {
        Some(end) => examples.split_at(end + 1),
        None => (examples, ""),
    };
    format!("{before}.SH EXAMPLES\n.nf\n{examples}.fi\n{after}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_page_for_the_command_and_each_verb() {
        let pages = pages().unwrap();
        for name in [
            "session.1",
            "session-create.1",
            "session-doctor.1",
            "sess.1",
        ] {
            let page = String::from_utf8(pages[name].clone()).unwrap();
            assert!(page.contains(".SH NAME") && page.contains(".SH SYNOPSIS"));
        }
        let create = String::from_utf8(pages["session-create.1"].clone()).unwrap();
        assert!(create.contains("restart\\-delay") && create.contains(".SH EXAMPLES\n.nf\n"));
    }

    #[test]
    fn stale_and_surplus_pages_are_found() {
        let place = tempfile::tempdir().unwrap();
        assert!(check(place.path()).is_err());
        write(place.path()).unwrap();
        check(place.path()).unwrap();
        fs::write(place.path().join("session-gone.1"), "old").unwrap();
        assert!(check(place.path()).unwrap_err().contains("session-gone.1"));
        write(place.path()).unwrap();
        check(place.path()).unwrap();
    }
}
