//! The caller's SSH agent, for a session to reach by a path that stays.

use session_store::Session;

/// Lets the session's link lead to the caller's agent, if the caller has one. What fails costs the session that agent
/// and nothing else, so nobody is told.
pub fn lend_agent(session: &Session) {
    if let Some(agent) = std::env::var_os("SSH_AUTH_SOCK") {
        let _ = session.lead_to_agent(agent.as_ref());
    }
}
