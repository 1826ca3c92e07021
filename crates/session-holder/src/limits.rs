//! Limits of a whole session, in its cgroup; those of one process are set in the child (setrlimit(2)).

use std::collections::BTreeMap;

use session_store::attribute::Amount;
use session_sys::cgroup::Group;

/// Sets what the group can enforce; returns the limits that nothing on this machine does.
pub(crate) fn apply(group: Option<&Group>, limits: &BTreeMap<String, String>) -> Vec<String> {
    let unenforced = limits.iter().filter(|(key, value)| {
        let Some((file, text)) = control(key, value) else {
            return false;
        };
        group.is_none_or(|group| group.set(file, &text).is_err())
    });
    unenforced.map(|(key, _)| format!("limit.{key}")).collect()
}

/// The control file of a cgroup limit and what to write there; `None` for a per-process limit.
fn control(key: &str, value: &str) -> Option<(&'static str, String)> {
    let amount = Amount::parse(key, value)?;
    let text = match amount {
        Amount::Unlimited => "max".to_owned(),
        Amount::Most(most) => most.to_string(),
    };
    match key {
        "memory" => Some(("memory.max", text)),
        "pids" => Some(("pids.max", text)),
        // A share of one processor in percent, in a period of 100 ms.
        "cpu" => Some(match amount {
            Amount::Unlimited => ("cpu.max", "max 100000".to_owned()),
            Amount::Most(percent) => (
                "cpu.max",
                format!("{} 100000", percent.saturating_mul(1000)),
            ),
        }),
        _ => None,
    }
}
