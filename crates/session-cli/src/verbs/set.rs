//! `session set`: attributes of a session change, through its holder while there is one.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use serde::de::IgnoredAny;
use session_client::Asked;
use session_protocol::{ByteString, Call, Set as Changes};
use session_store::{Name, Owned, Session};

use super::status::changed;
use crate::context::Context;
use crate::creating::{directory, executable};
use crate::failure::Failure;

/// Change an attribute of a session
///
/// These take effect at the next start, and until then `status` and `get` say so: command, directory, env.K,
/// limit.K, pty. All others take effect at once. An unknown attribute or value is refused with a list of the
/// known ones.
#[derive(Args, Debug)]
#[command(after_help = r#"Examples:
  session set backend restart always
  session set backend size smallest
  session set backend env.PORT 8080
  session set backend command '["myserver", "-v"]'
  session set backend command "$(session get other command)"
  session unset backend env.PORT"#)]
pub(crate) struct Set {
    /// Name or id
    name: String,
    /// The attribute
    key: String,
    /// Its new value
    #[arg(allow_hyphen_values = true)]
    value: OsString,
}

impl Set {
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        let session = context.session_to_change(&self.name)?;
        let value = ByteString(self.value.into_vec());
        change(&session, self.key, Some(value), context)
    }
}

/// Sets an attribute, or with `None` restores its default.
pub(super) fn change(
    session: &Session,
    key: String,
    mut value: Option<ByteString>,
    context: &Context,
) -> Result<ExitCode, Failure> {
    // Refused here, not at the next start.
    let mut file = None;
    match (key.as_str(), &mut value) {
        ("command", Some(value)) => {
            let mut spec = session.read_record()?.spec;
            spec.set(&key, Some(&value.0))?;
            // As the caller finds it.
            file = Some(executable(spec.command[0].as_os_str(), &spec)?);
        }
        ("directory", Some(value)) => {
            let given = directory(Some(Path::new(value.as_os_str())))?;
            *value = given.into_os_string().into();
        }
        ("name", Some(value)) => drop(parse_name(value)?),
        _ => {}
    }
    let changes = Changes {
        changes: vec![(key.clone(), value.clone())],
        executable: file,
    };
    match session_client::ask::<IgnoredAny>(session, Call::Set(changes))? {
        Asked::Answer(_, _) => {}
        Asked::Owned(mut owned) => change_owned(&mut owned, &key, value.as_ref())?,
    }
    if context.verbose {
        let waiting = session.status()?.changed;
        if !waiting.is_empty() {
            context.verbose(changed(&waiting))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn change_owned(owned: &mut Owned, key: &str, value: Option<&ByteString>) -> Result<(), Failure> {
    if let ("name", Some(name)) = (key, value) {
        return Ok(owned.rename(parse_name(name)?)?);
    }
    let mut record = owned.record().clone();
    record
        .spec
        .set(key, value.map(|value| value.0.as_slice()))?;
    if key == "command" {
        record.spec.executable = executable(record.spec.command[0].as_os_str(), &record.spec)?;
    }
    Ok(owned.write_record(record)?)
}

fn parse_name(value: &ByteString) -> Result<Name, Failure> {
    let name = String::from_utf8_lossy(&value.0).parse();
    Ok(name.map_err(session_store::Error::Name)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use session_protocol::Code;
    use session_store::attribute::{ATTRIBUTES, Attribute, Effect};
    use session_store::{Root, Spec, Wanted};

    #[test]
    fn the_help_says_what_waits_for_the_next_start() {
        let help = Set::augment_args(clap::Command::new("set"))
            .get_long_about()
            .unwrap()
            .to_string();
        let waiting = ATTRIBUTES
            .iter()
            .filter(|attribute| attribute.effect == Effect::NextStart);
        let waiting: Vec<String> = waiting.map(Attribute::shown).collect();
        assert!(
            help.replace('\n', " ")
                .contains(&format!(": {}.", waiting.join(", "))),
            "{help}"
        );
    }

    #[test]
    fn without_a_holder_the_record_changes() {
        let state = tempfile::tempdir().unwrap();
        let root = Root::open(&state.path().join("root")).unwrap();
        let spec = Spec::new(vec!["true".into()], "/bin/true".into(), "/".into());
        let mut owned = root
            .create(Wanted::Exact("x".parse().unwrap()), spec)
            .unwrap();
        let mut set = |key: &str, value: Option<&str>| {
            let value = value.map(ByteString::from);
            change_owned(&mut owned, key, value.as_ref()).map_err(|failure| failure.code())
        };
        assert_eq!(set("restart", Some("always")), Ok(()));
        assert_eq!(set("restart", None), Ok(()));
        assert_eq!(set("command", Some("[\"sh\", \"-c\", \":\"]")), Ok(()));
        assert_eq!(set("name", Some("y")), Ok(()));
        assert_eq!(set("name", Some("y")), Ok(()));
        assert_eq!(set("name", Some("a/b")), Err(Some(Code::BadName)));
        assert_eq!(set("name", Some("")), Err(Some(Code::Usage)));
        assert_eq!(set("name", None), Err(Some(Code::BadAttribute)));
        assert_eq!(set("colour", Some("red")), Err(Some(Code::BadAttribute)));
        assert_eq!(
            set("command", Some("[\"/nonexistent\"]")),
            Err(Some(Code::NotExecutable))
        );
        let record = root.find("y").unwrap().read_record().unwrap();
        assert!(record.spec.executable.escaped().ends_with("/sh"));
        assert_eq!(record.spec.command.len(), 3);
    }
}
