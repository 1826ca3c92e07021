//! Control messages: JSON-RPC 2.0 calls, their results, and what a holder says unasked.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Attach, ByteString, Code, Error, Exit, ProcessId, Read, Set, Signal, Size, Spawn, Status, Wait,
    Write,
};

/// One call with its id.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Chosen by the caller, repeated in the response; `None` asks for no response.
    pub id: Option<Value>,
    /// What is asked.
    pub call: Call,
}

/// Everything a holder can be asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", content = "params")]
pub enum Call {
    /// Who is there? Answered by [`Status`].
    #[serde(rename = "session.status")]
    Status {},
    /// Answered, by [`Status`], once the main process runs; by its error if it could not be started.
    #[serde(rename = "session.ready")]
    Ready {},
    /// Start the main process; [`Code::Running`] if it runs. Answered once it runs.
    #[serde(rename = "session.start")]
    Start {},
    /// End every process of the session; answered when none is left.
    #[serde(rename = "session.stop")]
    Stop {
        /// It is to be deleted: that it is to stay down need not get onto a disk that may be full.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        deleting: bool,
    },
    /// Stop and start; answered once the new main process runs.
    #[serde(rename = "session.restart")]
    Restart {},
    /// Freeze every process.
    #[serde(rename = "session.suspend")]
    Suspend {},
    /// Let them go on.
    #[serde(rename = "session.resume")]
    Resume {},
    /// Send a signal to every process.
    #[serde(rename = "session.signal")]
    Signal {
        /// The signal.
        signal: Signal,
    },
    /// Change attributes, all or none.
    #[serde(rename = "session.set")]
    Set(Set),
    /// Detach every attached client but the caller.
    #[serde(rename = "session.detach")]
    Detach {
        /// Only the client that this process is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pid: Option<i32>,
    },
    /// From now on send [`Notice::Changed`] at every change; answered by [`Status`].
    #[serde(rename = "session.subscribe")]
    Subscribe {},
    /// The variables of the client that attached last: [`crate::Environment`].
    #[serde(rename = "session.environment")]
    Environment {},
    /// Who holds the session: [`crate::HolderInfo`].
    #[serde(rename = "session.holder")]
    Holder {},
    /// Go on as another executable, with the same processes and the same pid. Refused where it cannot; else the connection
    /// ends without an answer, and whoever connects then speaks with the new one.
    #[serde(rename = "session.upgrade")]
    Upgrade {
        /// Its absolute path.
        executable: ByteString,
    },
    /// Wait for a text or for silence; answered, by [`crate::Found`] or [`crate::Quiet`], once it came, and never where it does not: a
    /// caller that has had enough hangs up.
    #[serde(rename = "session.wait")]
    Wait(Wait),
    /// Run a further process; answered once it runs. Its exit comes as [`Notice::Exited`].
    #[serde(rename = "process.spawn")]
    Spawn(Spawn),
    /// The session's processes: an array of [`crate::ProcessInfo`].
    #[serde(rename = "process.list")]
    List {},
    /// Watch a process, and type into it.
    #[serde(rename = "process.attach")]
    Attach(Attach),
    /// Tell the size of the caller's terminal.
    #[serde(rename = "process.resize")]
    Resize {
        /// The process attached to.
        #[serde(default)]
        process: ProcessId,
        /// The new size.
        size: Size,
    },
    /// Lend the terminal that a process is shown on, whose descriptor comes with this message (`SCM_RIGHTS`, unix(7)).
    #[serde(rename = "process.lend")]
    Lend {
        /// The process attached to.
        #[serde(default)]
        process: ProcessId,
    },
    /// Neither watch a process nor type into it any more; answered once nothing more of it is sent, nor written to a
    /// terminal that was lent.
    #[serde(rename = "process.leave")]
    Leave {
        /// The process attached to.
        #[serde(default)]
        process: ProcessId,
    },
    /// Send a signal to one process's process group.
    #[serde(rename = "process.signal")]
    SignalProcess {
        /// The process.
        #[serde(default)]
        process: ProcessId,
        /// The signal.
        signal: Signal,
    },
    /// End of input: closes the pipe, or types the end-of-file character on a PTY.
    #[serde(rename = "process.close_stdin")]
    CloseStdin {
        /// The process.
        #[serde(default)]
        process: ProcessId,
    },
    /// Input as a call, for JSON clients and `send`; answered, by [`crate::Written`], once the process took all of it.
    #[serde(rename = "process.write")]
    Write(Write),
    /// Output as a call, for JSON clients.
    #[serde(rename = "process.read")]
    Read(Read),
    /// What a client would see: [`crate::ScreenResult`].
    #[serde(rename = "process.screen")]
    Screen {
        /// The process, which has a terminal.
        #[serde(default)]
        process: ProcessId,
    },
}

/// What a holder says unasked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", content = "params")]
pub enum Notice {
    /// Something about the session changed (after `session.subscribe`).
    #[serde(rename = "session.changed")]
    Changed(Status),
    /// The main process ended for good and all of its output was sent.
    #[serde(rename = "session.ended")]
    Ended(Status),
    /// A spawned process ended and all of its output was sent.
    #[serde(rename = "process.exited")]
    Exited {
        /// Which one.
        process: ProcessId,
        /// How.
        exit: Exit,
    },
    /// From an offset on the caller's terminal is, or is not any more, the one that answers the queries in the output.
    #[serde(rename = "process.answering")]
    Answering {
        /// Of which process.
        process: ProcessId,
        /// From which offset of its terminal's output on.
        from: u64,
        /// Whether it is.
        answers: bool,
    },
    /// Someone else detached this client.
    #[serde(rename = "process.detached")]
    Detached {
        /// From which process.
        process: ProcessId,
    },
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    /// The request's id.
    pub id: Value,
    /// Its result.
    pub outcome: Result<Value, Error>,
}

impl Request {
    /// Reads a request out of a control frame's JSON.
    ///
    /// # Errors
    /// The id to answer to, and why it is not understood.
    pub fn parse(mut json: Value) -> Result<Self, (Option<Value>, Error)> {
        let id = json.get("id").cloned();
        let Some(object) = json.as_object_mut() else {
            return Err((
                None,
                Error::new(Code::Usage, "a control message is a JSON object"),
            ));
        };
        object
            .entry("params")
            .or_insert_with(|| Value::Object(serde_json::Map::new()));
        match serde_json::from_value(json) {
            Ok(call) => Ok(Self { id, call }),
            Err(why) => Err((
                id,
                Error::new(Code::Usage, format!("call not understood: {why}")),
            )),
        }
    }

    /// The request as JSON-RPC.
    pub fn to_json(&self) -> Value {
        let mut json = serde_json::to_value(&self.call).unwrap_or_default();
        json["jsonrpc"] = "2.0".into();
        if let Some(id) = &self.id {
            json["id"] = id.clone();
        }
        json
    }
}

impl Response {
    /// The response as JSON-RPC; the code goes as `error.data.code`, as JSON-RPC's own codes are numbers.
    pub fn to_json(&self) -> Value {
        match &self.outcome {
            Ok(result) => serde_json::json!({ "jsonrpc": "2.0", "id": self.id, "result": result }),
            Err(error) => serde_json::json!({ "jsonrpc": "2.0", "id": self.id, "error": {
                "code": if error.code == Code::Usage { -32600 } else { -32000 },
                "message": error.message,
                "data": { "code": error.code },
            }}),
        }
    }

    /// Reads a response; `None` if the JSON is none (a notice, say).
    pub fn parse(json: &Value) -> Option<Self> {
        let id = json.get("id")?.clone();
        let outcome = if let Some(error) = json.get("error") {
            let code = error.get("data").and_then(|data| data.get("code")).cloned();
            Err(Error {
                code: code
                    .and_then(|code| serde_json::from_value(code).ok())
                    .unwrap_or(Code::Other),
                message: error
                    .get("message")
                    .and_then(Value::as_str)
                    .unwrap_or("unknown error")
                    .to_owned(),
            })
        } else {
            Ok(json.get("result")?.clone())
        };
        Some(Self { id, outcome })
    }
}

impl Notice {
    /// The notice as JSON-RPC notification.
    pub fn to_json(&self) -> Value {
        let mut json = serde_json::to_value(self).unwrap_or_default();
        json["jsonrpc"] = "2.0".into();
        json
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Channel, From, StreamId, Variables, Written};

    #[test]
    fn calls_survive_json_and_need_no_params() {
        let call = Request {
            id: Some(7.into()),
            call: Call::Attach(Attach {
                process: ProcessId::MAIN,
                from: From::Tail(4096),
                window: 1 << 18,
                interactive: true,
                read_only: false,
                size: Some(Size {
                    rows: 50,
                    cols: 100,
                }),
                detach_others: false,
                exclusive: true,
                environment: Some(Variables::from([("DISPLAY".into(), ":1".into())])),
                resume: vec![(StreamId::new(ProcessId::MAIN, Channel::Pty), 7)],
                lossless: true,
            }),
        };
        assert_eq!(Request::parse(call.to_json()).unwrap(), call);
        let short =
            Request::parse(serde_json::json!({ "id": 1, "method": "session.status" })).unwrap();
        assert_eq!(short.call, Call::Status {});
        let later = serde_json::json!({ "id": 1, "method": "process.attach", "params": { "window": 5, "later": [1] } });
        assert!(matches!(
            Request::parse(later).unwrap().call,
            Call::Attach(Attach { window: 5, .. })
        ));
    }

    #[test]
    fn a_wait_says_what_it_waits_for_and_no_more() {
        let wait = Wait {
            text: Some("^ready$".into()),
            since: Some(9),
            ..Wait::default()
        };
        let call = Request {
            id: Some(1.into()),
            call: Call::Wait(wait),
        };
        let json = call.to_json();
        assert_eq!(
            json["params"],
            serde_json::json!({ "process": 0, "text": "^ready$", "since": 9 })
        );
        assert_eq!(Request::parse(json).unwrap(), call);
        // An earlier holder's answer.
        let written: Written = serde_json::from_value(serde_json::json!({})).unwrap();
        assert_eq!(written, Written { offset: None });
    }

    #[test]
    fn nonsense_is_refused_with_its_id() {
        let (id, error) =
            Request::parse(serde_json::json!({ "id": 3, "method": "session.fly" })).unwrap_err();
        assert_eq!((id, error.code), (Some(3.into()), Code::Usage));
        assert!(Request::parse(serde_json::json!([1])).is_err());
    }

    #[test]
    fn errors_keep_their_code_and_unknown_codes_are_other() {
        let response = Response {
            id: 1.into(),
            outcome: Err(Error::new(Code::NotRunning, "it sleeps")),
        };
        assert_eq!(Response::parse(&response.to_json()).unwrap(), response);
        let later = serde_json::json!({ "id": 1, "error": { "message": "m", "data": { "code": "brand_new" } } });
        assert_eq!(
            Response::parse(&later).unwrap().outcome.unwrap_err().code,
            Code::Other
        );
    }
}
