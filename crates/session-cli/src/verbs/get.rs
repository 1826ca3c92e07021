//! `session get`: the attributes of a session, all of them or one.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Map, Value};
use session_protocol::{ByteString, Code, Status};
use session_store::{Record, Session};

use super::status::changed;
use crate::context::Context;
use crate::failure::Failure;

/// Show the attributes of a session
///
/// All that have a value, one a line, with the values of variables masked; or, with KEY, the value of one alone
/// and in full. One without a value (no title, a variable that is not set, the pid of what does not run) is
/// refused. Besides the attributes that `set` knows there are id, state, pid and dir (where its files are).
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
                if context.json {
                    context.print_json(&json(&session, &record, &status, key)?)?;
                    return Ok(ExitCode::SUCCESS);
                }
                let value = value(&session, &record, &status, key)?;
                if context.is_terminal() {
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

/// Safe on a terminal; the escapes of the command are Python's and complete.
fn list(record: &Record, status: &Status) -> String {
    let mut lines = vec![format!("name={}", record.name)];
    let attributes = record.spec.attributes().into_iter();
    lines.extend(attributes.map(|(key, value)| {
        let key = ByteString::from(key.as_str());
        format!("{}={}", key.escaped(), value.escaped())
    }));
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
    let value = match key {
        "name" => Some(record.name.as_str().into()),
        "id" => Some(record.id.to_string().as_str().into()),
        "state" => Some(status.state.word().into()),
        "pid" => status.pid.map(|pid| pid.to_string().as_str().into()),
        "dir" => Some(session.path().into_os_string().into()),
        key => record.spec.get(key)?,
    };
    value.ok_or_else(|| {
        let key = ByteString::from(key).brief();
        Failure::new(
            Code::BadAttribute,
            format!("session '{}' has no {key}", record.name),
        )
    })
}

/// The same value in JSON, where the command is a list and the pid a number.
fn json(session: &Session, record: &Record, status: &Status, key: &str) -> Result<Value, Failure> {
    let value = value(session, record, status, key)?;
    let value = match key {
        "command" => serde_json::to_value(&record.spec.command),
        "pid" => Ok(status.pid.into()),
        _ => serde_json::to_value(value),
    };
    value.map_err(|why| Failure::new(Code::Other, why.to_string()))
}

fn object(session: &Session, record: &Record, status: &Status) -> Result<Value, Failure> {
    let mut object = Map::new();
    object.insert("pid".into(), status.pid.into());
    for key in ["name", "id", "state", "dir"] {
        object.insert(key.into(), json(session, record, status, key)?);
    }
    for (key, masked) in record.spec.attributes() {
        let value = match key.as_str() {
            key if key.starts_with("env.") => masked.escaped().into(),
            key => json(session, record, status, key)?,
        };
        object.insert(key, value);
    }
    object.insert("changed".into(), status.changed.clone().into());
    Ok(object.into())
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
        spec.set("directory", Some(b"/\x1b[2J\xff")).unwrap();
        let wanted = Wanted::Exact("backend".parse().unwrap());
        let owned = root.create(wanted, spec).unwrap();
        let (session, record, status) = (owned.session(), owned.record(), owned.status());
        let text = list(record, &status);
        assert!(text.starts_with(
            "name=backend\ncommand=['/usr/local/sbin/myserver']\nstart-suspended=yes\n"
        ));
        assert!(text.contains("\ndirectory=/\\u{1b}[2J\\xff\n"));
        assert!(!text.contains("s3cr3t"));
        let one = |key| value(session, record, &status, key).map(|value| value.escaped());
        assert_eq!(one("env.SECRET").unwrap(), "s3cr3t");
        assert_eq!(one("state").unwrap(), "suspended");
        for without in ["env.NONE", "limit.core", "title", "pid", "colour"] {
            assert_eq!(one(without).unwrap_err().code(), Some(Code::BadAttribute));
        }
        let object = object(session, record, &status).unwrap();
        assert_eq!(object["command"][0], "/usr/local/sbin/myserver");
        assert!(object["pid"].is_null() && !object.to_string().contains("s3cr3t"));
        for (key, listed) in object.as_object().unwrap() {
            if !["changed", "env.SECRET", "pid"].contains(&key.as_str()) {
                assert_eq!(
                    *listed,
                    json(session, record, &status, key).unwrap(),
                    "{key}"
                );
            }
        }
    }
}
