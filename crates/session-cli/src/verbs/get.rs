//! `session get`: the attributes of a session, all of them or one.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Map, Value};
use session_protocol::{ByteString, Code, Status};
use session_store::{Record, Session, attribute};

use super::status::changed;
use crate::context::Context;
use crate::failure::Failure;

/// Show the attributes of a session
///
/// All that have a value, one a line, with the values of variables masked; or, with KEY, the value of one alone
/// and in full. Besides the attributes that `set` knows there are id, state, pid and dir (where its files are).
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  session get backend
  session get backend restart
  session get backend env.PORT")]
pub(crate) struct Get {
    /// Name or id
    name: String,
    /// The attribute whose value is wanted
    key: Option<String>,
}

impl Get {
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        let session = context.session(&self.name)?;
        let record = session.read_record()?;
        let status = session.status()?;
        match &self.key {
            Some(key) => {
                let value = value(&session, &record, &status, key)?;
                if context.json {
                    context.print_json(&value)?;
                } else if context.is_terminal() {
                    context.print(value.escaped())?;
                } else {
                    // A program gets it byte for byte.
                    context.write(&[value.0.as_slice(), b"\n"].concat())?;
                }
            }
            None if context.json => context.print_json(&object(&session, &record, &status)?)?,
            None => context.print(list(&record, &status))?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn list(record: &Record, status: &Status) -> String {
    let mut lines = vec![format!("name={}", record.name)];
    let attributes = record.spec.attributes();
    lines.extend(
        attributes
            .iter()
            .map(|(key, value)| format!("{key}={value}")),
    );
    if !status.changed.is_empty() {
        lines.push(changed(&status.changed));
    }
    lines.join("\n")
}

fn value(
    session: &Session,
    record: &Record,
    status: &Status,
    key: &str,
) -> Result<ByteString, Failure> {
    let text = |text: String| ByteString(text.into_bytes());
    Ok(match key {
        "name" => text(record.name.to_string()),
        "id" => text(record.id.to_string()),
        "state" => text(status.state.word().to_owned()),
        "pid" => text(status.pid.map(|pid| pid.to_string()).unwrap_or_default()),
        "dir" => session.path().into_os_string().into(),
        key => match record.spec.get(key)? {
            Some(value) => value,
            None if attribute::find(key)?.0.is_family() => {
                return Err(Failure::new(
                    Code::BadAttribute,
                    format!("{key} is not set"),
                ));
            }
            None => ByteString::default(),
        },
    })
}

fn object(session: &Session, record: &Record, status: &Status) -> Result<Value, Failure> {
    let mut object = Map::new();
    object.insert("name".into(), record.name.to_string().into());
    object.insert("id".into(), record.id.to_string().into());
    object.insert("state".into(), status.state.word().into());
    object.insert("pid".into(), status.pid.into());
    object.insert(
        "dir".into(),
        json(&ByteString::from(session.path().into_os_string()))?,
    );
    for (key, value) in record.spec.attributes() {
        let value = match key.as_str() {
            "command" => json(&record.spec.command)?,
            _ => value.into(),
        };
        object.insert(key, value);
    }
    object.insert("changed".into(), status.changed.clone().into());
    Ok(object.into())
}

fn json(value: &impl serde::Serialize) -> Result<Value, Failure> {
    serde_json::to_value(value).map_err(|why| Failure::new(Code::Other, why.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use session_store::{Root, Spec, Wanted};

    #[test]
    fn attributes_come_in_the_order_of_the_contract() {
        let state = tempfile::tempdir().unwrap();
        let root = Root::open(&state.path().join("root")).unwrap();
        let mut spec = Spec::new(
            vec!["/usr/local/sbin/myserver".into()],
            "/usr/local/sbin/myserver".into(),
            "/".into(),
        );
        spec.set("start-suspended", Some(b"yes")).unwrap();
        spec.set("env.SECRET", Some(b"s3cr3t")).unwrap();
        let wanted = Wanted::Exact("backend".parse().unwrap());
        let owned = root.create(wanted, spec).unwrap();
        let (session, record, status) = (owned.session(), owned.record(), owned.status());
        let text = list(record, &status);
        assert!(text.starts_with(
            "name=backend\ncommand=['/usr/local/sbin/myserver']\nstart-suspended=yes\n"
        ));
        assert!(!text.contains("s3cr3t"));
        let one = |key| value(session, record, &status, key).map(|value| value.escaped());
        assert_eq!(one("env.SECRET").unwrap(), "s3cr3t");
        assert_eq!(one("state").unwrap(), "suspended");
        assert_eq!(one("title").unwrap(), "");
        for unknown in ["env.NONE", "colour"] {
            assert_eq!(one(unknown).unwrap_err().code(), Some(Code::BadAttribute));
        }
        let object = object(session, record, &status).unwrap();
        assert_eq!(object["command"][0], "/usr/local/sbin/myserver");
        assert!(object["pid"].is_null() && !object.to_string().contains("s3cr3t"));
    }
}
