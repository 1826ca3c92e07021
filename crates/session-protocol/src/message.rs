//! Control messages: JSON-RPC 2.0 calls, their results, and what a holder says unasked.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    ByteString, Channel, Code, Error, Exit, ProcessId, Signal, Status, StreamId, Variables,
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
    Detach {},
    /// From now on send [`Notice::Changed`] at every change; answered by [`Status`].
    #[serde(rename = "session.subscribe")]
    Subscribe {},
    /// The variables of the client that attached last: [`crate::Environment`].
    #[serde(rename = "session.environment")]
    Environment {},
    /// Wait for a text or for silence; answered, by [`Found`] or [`Quiet`], once it came, and never where it does not: a
    /// caller that has had enough hangs up.
    #[serde(rename = "session.wait")]
    Wait(Wait),
    /// Run a further process; answered once it runs. Its exit comes as [`Notice::Exited`].
    #[serde(rename = "process.spawn")]
    Spawn(Spawn),
    /// The session's processes: an array of [`ProcessInfo`].
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
    /// Input as a call, for JSON clients and `send`; answered, by [`Written`], once the process took all of it.
    #[serde(rename = "process.write")]
    Write(Write),
    /// Output as a call, for JSON clients.
    #[serde(rename = "process.read")]
    Read(Read),
    /// What a client would see: [`ScreenResult`].
    #[serde(rename = "process.screen")]
    Screen {
        /// The process, which has a terminal.
        #[serde(default)]
        process: ProcessId,
    },
}

/// Attributes to change, in order; `None` restores the default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Set {
    /// Attribute and new value.
    pub changes: Vec<(String, Option<ByteString>)>,
    /// The file of a new `command`, absolute; without it the holder looks in the session's `PATH`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executable: Option<ByteString>,
}

/// A further process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spawn {
    /// Argument vector; its first word is looked up in the session's `PATH`.
    pub command: Vec<ByteString>,
    /// Working directory; the session's if absent.
    #[serde(default)]
    pub directory: Option<ByteString>,
    /// Added to the session's environment.
    #[serde(default)]
    pub env: BTreeMap<String, ByteString>,
    /// A PTY of this size, or pipes.
    #[serde(default)]
    pub stdio: Stdio,
    /// Bytes of output that may be on the way to the caller, a stream; 0 leaves it unattached.
    #[serde(default)]
    pub window: u64,
}

/// What a process's standard streams are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stdio {
    /// Three pipes.
    #[default]
    Pipes,
    /// A terminal.
    Pty(Size),
}

/// A terminal's size in character cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Lines, 1 to 65535.
    pub rows: u16,
    /// Columns, 1 to 65535.
    pub cols: u16,
}

impl Default for Size {
    /// 24 lines of 80 columns, what a process sees before anyone attached.
    fn default() -> Self {
        Self { rows: 24, cols: 80 }
    }
}

/// The new process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spawned {
    /// Its number in the session.
    pub process: ProcessId,
    /// Its pid.
    pub pid: i32,
    /// Its streams, attached from their start if a window was given.
    pub attached: Attached,
}

/// A request to watch a process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attach {
    /// Which one.
    #[serde(default)]
    pub process: ProcessId,
    /// Where to begin.
    #[serde(default)]
    pub from: From,
    /// Bytes of output that may be on the way, a stream.
    pub window: u64,
    /// A person's terminal: counted as a client, may lead the size, and is moved on to the present when it
    /// falls behind. Others get every byte that is still kept.
    #[serde(default)]
    pub interactive: bool,
    /// Without input and without a say in the size.
    #[serde(default)]
    pub read_only: bool,
    /// The terminal's size.
    #[serde(default)]
    pub size: Option<Size>,
    /// Detach every other client first.
    #[serde(default)]
    pub detach_others: bool,
    /// Variables of the caller's environment, of those in [`crate::variables::FOLLOWED`], if it is a person's who types.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Variables>,
}

/// Where an attachment begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum From {
    /// At what comes next.
    #[default]
    Live,
    /// At the oldest byte kept.
    Start,
    /// At this offset, or the oldest byte kept behind it.
    Offset(u64),
    /// At most this many bytes before the end.
    Tail(u64),
    /// At what comes next, behind a SCREEN frame that shows what there is.
    Screen,
}

/// What the caller is attached to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Attached {
    /// Output streams.
    pub streams: Vec<AttachedStream>,
    /// The input stream and the offset of the next byte to send, unless read-only.
    pub input: Option<(StreamId, u64)>,
    /// With [`From::Screen`]: what of the past a person's terminal is to be given, the attribute `restore`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore: Option<String>,
    /// Whether the caller's terminal is the one that answers the queries in the output.
    #[serde(default)]
    pub answers: bool,
}

/// One output stream of an attachment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachedStream {
    /// Its number on the wire.
    pub stream: StreamId,
    /// Offset of the first byte that will be sent.
    pub from: u64,
    /// Offset behind the last byte that exists now: what lies before it is replay.
    pub head: u64,
    /// Milliseconds since the last byte came.
    pub quiet_ms: u64,
}

/// One process of the session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProcessInfo {
    /// Its number; 0 is the main process.
    pub process: ProcessId,
    /// Its pid, while it lives.
    pub pid: Option<i32>,
    /// Its argument vector.
    pub command: Vec<ByteString>,
    /// How it ended.
    pub exit: Option<Exit>,
    /// The size of its terminal, if it lives on one.
    #[serde(default)]
    pub size: Option<Size>,
}

/// Input for a process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Write {
    /// Which one.
    #[serde(default)]
    pub process: ProcessId,
    /// The bytes.
    pub data: ByteString,
}

/// Where the input stands in the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// Offset behind the last byte of output that came before the input: what the process says to it, its terminal's
    /// echo too, has this offset or a higher one. Earlier holders do not tell.
    #[serde(default)]
    pub offset: Option<u64>,
}

/// What to wait for: either a text or silence.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Wait {
    /// Whose output.
    #[serde(default)]
    pub process: ProcessId,
    /// Until a line matches this regular expression, the line that is not ended yet included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Until it runs and for so many milliseconds neither said anything nor was given any input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<u64>,
    /// Look at the output from this offset on, but not at the echo of what was typed; without it, at all output since
    /// the last start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// Answer null at once where what is kept does not have it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub now: bool,
}

/// The line that was waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// In which stream.
    pub stream: Channel,
    /// Offset of the line's first byte.
    pub offset: u64,
    /// The line as it was matched: without terminal sequences, and with `since` without what was an echo.
    pub line: String,
}

/// The silence that was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quiet {
    /// For so many milliseconds by now.
    pub quiet_ms: u64,
}

/// A request for kept output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Read {
    /// Which process.
    #[serde(default)]
    pub process: ProcessId,
    /// Which of its streams; its PTY or standard output if absent.
    #[serde(default)]
    pub channel: Option<Channel>,
    /// First offset wanted.
    #[serde(default)]
    pub from: u64,
    /// At most this many bytes, and never more than 64 KiB.
    #[serde(default)]
    pub max: Option<u32>,
}

/// Kept output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReadResult {
    /// Offset of the first byte of `data`; larger than asked for where bytes are gone.
    pub offset: u64,
    /// The bytes; empty at the end.
    pub data: ByteString,
    /// Offset behind the last byte that exists now.
    pub head: u64,
}

/// A process's screen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScreenResult {
    /// Its lines.
    pub rows: u16,
    /// Its columns.
    pub cols: u16,
    /// Offset behind the last byte of output that is on it.
    pub offset: u64,
    /// Terminal sequences that rebuild it, whatever a terminal of this size showed before.
    pub snapshot: ByteString,
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
                environment: Some(Variables::from([("DISPLAY".into(), ":1".into())])),
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
