//! Where the person sits who attached last: kept in memory alone, for the caller's environment is not written to disk.

use session_protocol::{ByteString, Environment, Variables, variables};

use crate::holder::Holder;

/// The one of them that processes of the session are given another value of.
const AGENT: &str = "SSH_AUTH_SOCK";

impl Holder {
    /// A person attached and said what there is; an older client says nothing, and then what was said before stays.
    pub(crate) fn follow(&mut self, variables: Option<Variables>) {
        if let Some(variables) = variables {
            self.followed = Some(Environment::of(&variables));
        }
    }

    /// What `session.environment` answers. Before anyone attached it is the environment of whoever started the holder.
    pub(crate) fn environment(&self) -> Environment {
        let mut environment = match &self.followed {
            Some(environment) => environment.clone(),
            None => Environment::of(&variables::followed(std::env::vars_os())),
        };
        if let Some(agent) = self.agent() {
            environment.variables.insert(AGENT.to_owned(), Some(agent));
        }
        environment
    }

    /// The agent that processes of the session are given.
    fn agent(&self) -> Option<ByteString> {
        let set = self.in_force.env.get(AGENT).cloned();
        let link = || self.owned.session().agent();
        set.or_else(|| Some(link()?.into_os_string().into()))
    }
}
