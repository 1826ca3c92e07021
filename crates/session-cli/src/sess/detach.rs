//! `sess -x`: the client of this terminal, or the current one, leaves. Its session asks it to, so it need not be awake.

use std::process::ExitCode;

use serde::de::IgnoredAny;
use session_protocol::{Call, Code};

use super::place::{Current, Place};
use crate::failure::Failure;

pub(super) fn detach(place: &Place) -> Result<ExitCode, Failure> {
    let none = || Failure::new(Code::NotRunning, "Not attached to any session");
    let Current { session, client } = place.current()?.ok_or_else(none)?;
    // Attached by other means than `sess`, there is no knowing which of several it is.
    if client.is_none() && session.status()?.clients == 0 {
        return Err(none());
    }
    let pid = client.map(|client| client.pid);
    let mut connection = session_client::connect(&session)?.ok_or_else(none)?;
    connection.call::<IgnoredAny>(Call::Detach { pid })?;
    if let Some(pid) = pid {
        place.sess.leave(pid)?;
    }
    Ok(ExitCode::SUCCESS)
}
