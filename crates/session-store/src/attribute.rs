//! The one table of attributes: `create`'s options, `set`, `get`, completion and help all come from it.

use std::time::Duration;

use session_protocol::{ByteString, Signal};

use crate::{Error, OnBoot, Restart, RestartLimit, Result, Spec, log, python, size, span};

/// When a change takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// At the next start of the main process.
    NextStart,
    /// At once.
    Now,
}

/// One attribute. Those whose word ends in `.` are families: a key follows (`env.PATH`).
#[derive(Clone, Copy, Debug)]
pub struct Attribute {
    /// Its name in `set` and `get`, and the long option of `create`.
    pub word: &'static str,
    /// One line.
    pub help: &'static str,
    /// The values it takes.
    pub values: &'static str,
    /// Its value when nobody sets one; empty if it has none.
    pub default: &'static str,
    /// When a change takes effect.
    pub effect: Effect,
    set: Setter,
    show: Getter,
}

/// Sets the attribute, with the key in a family; the error says what is allowed.
type Setter = fn(&mut Spec, &str, &[u8]) -> Option<()>;
/// Its value, `None` if it has none.
type Getter = fn(&Spec, &str) -> Option<Vec<u8>>;

/// All attributes, in the order of `get`.
pub const ATTRIBUTES: [Attribute; 19] = [
    Attribute {
        word: "name",
        help: "what the session is called",
        values: "up to 64 of A-Z a-z 0-9 . _ + @ -, a letter or digit first; changed by rename",
        default: "",
        effect: Effect::Now,
        set: |_, _, _| None,
        show: |_, _| None,
    },
    Attribute {
        word: "command",
        help: "the argument vector",
        values: "a list of strings, as get prints it or in JSON, the first not empty",
        default: "",
        effect: Effect::NextStart,
        set: |spec, _, value| {
            let words: Option<Vec<ByteString>> = serde_json::from_slice(value).ok();
            let words = words.or_else(|| python::parse(text(value)?))?;
            let fit = words.first().is_some_and(|word| !word.0.is_empty())
                && !words.iter().any(|word| word.0.contains(&0));
            fit.then(|| spec.command = words)
        },
        show: |spec, _| Some(python::repr(&spec.command).into_bytes()),
    },
    Attribute {
        word: "start-suspended",
        help: "wait for start or attach, also after a reboot",
        values: "yes, no",
        default: "no",
        effect: Effect::Now,
        set: |spec, _, value| yes(value).map(|yes| spec.start_suspended = yes),
        show: |spec, _| word(no_or_yes(spec.start_suspended)),
    },
    Attribute {
        word: "directory",
        help: "the working directory",
        values: "an absolute path",
        default: "",
        effect: Effect::NextStart,
        set: |spec, _, value| {
            let fit = value.starts_with(b"/") && !value.contains(&0);
            fit.then(|| spec.directory = ByteString(value.to_vec()))
        },
        show: |spec, _| Some(spec.directory.0.clone()),
    },
    Attribute {
        word: "env.",
        help: "a variable of the environment",
        values: "any text; the key neither empty nor with = in it",
        default: "",
        effect: Effect::NextStart,
        set: |spec, key, value| {
            let fit = !key.is_empty() && !key.contains(['=', '\0']) && !value.contains(&0);
            fit.then(|| drop(spec.env.insert(key.to_owned(), ByteString(value.to_vec()))))
        },
        show: |spec, key| spec.env.get(key).map(|value| value.0.clone()),
    },
    Attribute {
        word: "restart",
        help: "when to start it again after it ended",
        values: "on-failure, always, no",
        default: "on-failure",
        effect: Effect::Now,
        set: |spec, _, value| {
            spec.restart = match value {
                b"on-failure" => Restart::OnFailure,
                b"always" => Restart::Always,
                b"no" => Restart::No,
                _ => return None,
            };
            Some(())
        },
        show: |spec, _| {
            word(match spec.restart {
                Restart::OnFailure => "on-failure",
                Restart::Always => "always",
                Restart::No => "no",
            })
        },
    },
    Attribute {
        word: "restart-delay",
        help: "delay before the second restart in a row (the first is at once); it doubles from one to the next",
        values: SPAN_VALUES,
        default: "1s",
        effect: Effect::Now,
        set: |spec, _, value| time(value).map(|span| spec.restart_delay = span),
        show: |spec, _| word(&delay(spec.restart_delay)),
    },
    Attribute {
        word: "restart-max-delay",
        help: "longest delay before a restart",
        values: SPAN_VALUES,
        default: "60s",
        effect: Effect::Now,
        set: |spec, _, value| time(value).map(|span| spec.restart_max_delay = span),
        show: |spec, _| word(&delay(spec.restart_max_delay)),
    },
    Attribute {
        word: "restart-limit",
        help: "more restarts than this within that span are a failure",
        values: "a number and a span such as 5/1m; 8760h at most",
        default: "5/1m",
        effect: Effect::Now,
        set: |spec, _, value| {
            let (count, window) = text(value)?.split_once('/')?;
            let count = crate::record::number(count).and_then(|count| u32::try_from(count).ok())?;
            let window = time(window.as_bytes()).filter(|window| !window.is_zero())?;
            spec.restart_limit = RestartLimit { count, window };
            Some(())
        },
        show: |spec, _| {
            word(&format!(
                "{}/{}",
                spec.restart_limit.count,
                span::show(spec.restart_limit.window)
            ))
        },
    },
    Attribute {
        word: "stop-signal",
        help: "the signal that asks it to end",
        values: "a name such as TERM, HUP, INT, or a number from 1 to 64",
        default: "TERM",
        effect: Effect::Now,
        set: |spec, _, value| {
            text(value)?
                .parse::<Signal>()
                .ok()
                .map(|signal| spec.stop_signal = signal)
        },
        show: |spec, _| word(spec.stop_signal.to_string().trim_start_matches("SIG")),
    },
    Attribute {
        word: "stop-timeout",
        help: "how long it may take to end before it is killed",
        values: SPAN_VALUES,
        default: "10s",
        effect: Effect::Now,
        set: |spec, _, value| time(value).map(|span| spec.stop_timeout = span),
        show: |spec, _| word(&delay(spec.stop_timeout)),
    },
    Attribute {
        word: "on-boot",
        help: "what happens when the machine comes up",
        values: "restore, no",
        default: "restore",
        effect: Effect::Now,
        set: |spec, _, value| {
            spec.on_boot = match value {
                b"restore" => OnBoot::Restore,
                b"no" => OnBoot::No,
                _ => return None,
            };
            Some(())
        },
        show: |spec, _| {
            word(if spec.on_boot == OnBoot::Restore {
                "restore"
            } else {
                "no"
            })
        },
    },
    Attribute {
        word: "title",
        help: "free text for people",
        values: "text of up to 1024 bytes",
        default: "",
        effect: Effect::Now,
        set: |spec, _, value| {
            let title = text(value).filter(|title| title.len() <= 1024)?;
            spec.title = (!title.is_empty()).then(|| title.to_owned());
            Some(())
        },
        show: |spec, _| spec.title.clone().map(String::into_bytes),
    },
    Attribute {
        word: "log-limit",
        help: "bytes of output kept, a stream",
        values: "a size such as 64K (the smallest), 16M, 2G",
        default: "16M",
        effect: Effect::Now,
        set: |spec, _, value| {
            let bytes = size::parse(text(value)?).filter(|bytes| *bytes >= log::MIN_LIMIT)?;
            spec.log_limit = bytes;
            Some(())
        },
        show: |spec, _| word(&size::show(spec.log_limit)),
    },
    Attribute {
        word: "limit.",
        help: "a limit of the kernel",
        values: LIMIT_VALUES,
        default: "",
        effect: Effect::NextStart,
        set: |spec, key, value| {
            let amount = Amount::parse(key, text(value)?)?;
            spec.limits.insert(key.to_owned(), amount.show(key));
            Some(())
        },
        show: |spec, key| spec.limits.get(key).map(|value| value.clone().into_bytes()),
    },
    Attribute {
        word: "pty",
        help: "a terminal, or pipes",
        values: "yes, no",
        default: "yes",
        effect: Effect::NextStart,
        set: |spec, _, value| yes(value).map(|yes| spec.pty = yes),
        show: |spec, _| word(no_or_yes(spec.pty)),
    },
    Attribute {
        word: "size",
        help: "whose terminal decides the size: who typed last, the smallest, who came or changed last, or nobody's",
        values: "leader, smallest, latest, or fixed with columns and lines such as 'fixed 120x40'",
        default: "leader",
        effect: Effect::Now,
        set: |spec, _, value| {
            spec.size = text(value)?.parse().ok()?;
            Some(())
        },
        show: |spec, _| word(&spec.size.to_string()),
    },
    Attribute {
        word: "restore",
        help: "what of the past attach shows: the screen, lines before it too, the last output as it was, or nothing",
        values: "screen, lines and a number up to 100000 such as 'lines 1000', raw, none",
        default: "lines 1000",
        effect: Effect::Now,
        set: |spec, _, value| {
            spec.restore = text(value)?.parse().ok()?;
            Some(())
        },
        show: |spec, _| word(&spec.restore.to_string()),
    },
    Attribute {
        word: "remain-on-exit",
        help: "whether the session stays, to be looked at and started again, once its command has ended by itself",
        values: "yes, no",
        default: "yes",
        effect: Effect::Now,
        set: |spec, _, value| yes(value).map(|yes| spec.remain_on_exit = yes),
        show: |spec, _| word(no_or_yes(spec.remain_on_exit)),
    },
];

const SPAN_VALUES: &str = "a span such as 500ms, 1s, 2m, 1h; 8760h at most";

/// A year: who asks for more has slipped.
const LONGEST: Duration = Duration::from_secs(8760 * 60 * 60);

const LIMIT_VALUES: &str = "memory, core, fsize, data, stack, as, memlock: a size such as 512M; pids, nofile, nproc: a number; \
     cpu: percent of one processor such as 150%; cputime: a span such as 1h; all: unlimited";

/// The keys of `limit.`.
pub const LIMITS: [&str; 12] = [
    "memory", "pids", "cpu", "nofile", "core", "fsize", "data", "stack", "as", "nproc", "memlock",
    "cputime",
];

/// How much a limit allows: bytes, processes, files, percent of one processor or seconds, by its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// Not limited.
    Unlimited,
    /// At most this.
    Most(u64),
}

impl Amount {
    /// Reads the value of the limit `key`; `None` if key or value is not known.
    pub fn parse(key: &str, value: &str) -> Option<Self> {
        if !LIMITS.contains(&key) {
            return None;
        }
        if value == "unlimited" {
            return Some(Self::Unlimited);
        }
        let most = match key {
            "pids" | "nofile" | "nproc" => {
                crate::record::number(value).filter(|number| *number > 0)
            }
            "cpu" => crate::record::number(value.strip_suffix('%')?).filter(|percent| *percent > 0),
            "cputime" => span::parse(value)
                .filter(|span| span.subsec_millis() == 0)
                .map(|span| span.as_secs()),
            _ => size::parse(value),
        };
        // An empty text has digits only, too.
        most.filter(|most| *most < u64::MAX && !value.is_empty())
            .map(Self::Most)
    }

    fn show(self, key: &str) -> String {
        match (self, key) {
            (Self::Unlimited, _) => "unlimited".to_owned(),
            (Self::Most(most), "pids" | "nofile" | "nproc") => most.to_string(),
            (Self::Most(most), "cpu") => format!("{most}%"),
            (Self::Most(most), "cputime") => delay(Duration::from_secs(most)),
            (Self::Most(most), _) => size::show(most),
        }
    }
}

/// The attribute of a key such as `restart` or `env.PATH`, and what follows the word of a family.
pub fn find(key: &str) -> Result<(&'static Attribute, &str)> {
    let found = ATTRIBUTES.iter().find_map(|attribute| {
        let rest = key.strip_prefix(attribute.word)?;
        (rest.is_empty() != attribute.is_family()).then_some((attribute, rest))
    });
    let found =
        found.filter(|(attribute, rest)| attribute.word != "limit." || LIMITS.contains(rest));
    found.ok_or_else(|| {
        let shown = ByteString::from(key).brief();
        if key.starts_with("limit.") {
            return Error::Attribute(format!(
                "there is no limit '{shown}'; known are {}",
                LIMITS.join(", ")
            ));
        }
        let known: Vec<String> = ATTRIBUTES.iter().map(Attribute::shown).collect();
        Error::Attribute(format!(
            "there is no attribute '{shown}'; known are {}",
            known.join(", ")
        ))
    })
}

impl Attribute {
    /// Whether a key follows its word.
    pub fn is_family(&self) -> bool {
        self.word.ends_with('.')
    }

    /// The word for people: `restart`, `env.K`.
    pub fn shown(&self) -> String {
        if self.is_family() {
            format!("{}K", self.word)
        } else {
            self.word.to_owned()
        }
    }
}

impl Spec {
    /// Sets an attribute from its text; `None` restores the default, or removes a variable or limit. On an
    /// error nothing is changed.
    pub fn set(&mut self, key: &str, value: Option<&[u8]>) -> Result<()> {
        let (attribute, rest) = find(key)?;
        let shown = ByteString::from(key).brief();
        let value = match (value, attribute.word) {
            (Some(value), _) => value,
            (None, "env.") => {
                self.env.remove(rest);
                return Ok(());
            }
            (None, "limit.") => {
                self.limits.remove(rest);
                return Ok(());
            }
            (None, "name" | "command" | "directory") => {
                return Err(Error::Attribute(format!(
                    "{shown} has no default; set it instead"
                )));
            }
            (None, _) => attribute.default.as_bytes(),
        };
        let mut changed = self.clone();
        let set = (attribute.set)(&mut changed, rest, value);
        set.ok_or_else(|| {
            let value = ByteString(value.to_vec()).brief();
            Error::Attribute(format!(
                "'{value}' is no value of {shown}; it takes {}",
                attribute.values
            ))
        })?;
        *self = changed;
        Ok(())
    }

    /// The value of an attribute, exactly; `None` if it has none. The name is the record's.
    pub fn get(&self, key: &str) -> Result<Option<ByteString>> {
        let (attribute, rest) = find(key)?;
        Ok((attribute.show)(self, rest).map(ByteString))
    }

    /// Every attribute with a value, as `get` lists them: values of variables masked.
    pub fn attributes(&self) -> Vec<(String, ByteString)> {
        let mut list = Vec::new();
        for attribute in &ATTRIBUTES {
            let word = attribute.word;
            match word {
                "env." => {
                    list.extend(
                        self.env
                            .keys()
                            .map(|key| (format!("{word}{key}"), "***".into())),
                    );
                }
                "limit." => list.extend(
                    self.limits
                        .iter()
                        .map(|(key, value)| (format!("{word}{key}"), value.as_str().into())),
                ),
                _ => {
                    let value = (attribute.show)(self, "").map(ByteString);
                    list.extend(value.map(|value| (word.to_owned(), value)));
                }
            }
        }
        list
    }

    /// The attributes whose values the main process, started with `started`, does not have yet.
    pub fn differences(&self, started: &Self) -> Vec<String> {
        let mut keys = Vec::new();
        for attribute in ATTRIBUTES
            .iter()
            .filter(|attribute| attribute.effect == Effect::NextStart)
        {
            let family: std::collections::BTreeSet<&String> = match attribute.word {
                "env." => self.env.keys().chain(started.env.keys()).collect(),
                "limit." => self.limits.keys().chain(started.limits.keys()).collect(),
                word => {
                    // The command is shown the same if only the file that it resolves to changed.
                    let file = word == "command" && self.executable != started.executable;
                    if file || (attribute.show)(self, "") != (attribute.show)(started, "") {
                        keys.push(word.to_owned());
                    }
                    continue;
                }
            };
            let differ = family
                .into_iter()
                .filter(|key| (attribute.show)(self, key) != (attribute.show)(started, key));
            keys.extend(differ.map(|key| {
                ByteString::from(format!("{}{key}", attribute.word).as_str()).escaped()
            }));
        }
        keys
    }
}

fn text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok()
}

fn time(value: &[u8]) -> Option<Duration> {
    span::parse(text(value)?).filter(|span| *span <= LONGEST)
}

/// As the defaults are written: a minute is `60s`, for `1m` would hide that seconds are meant.
fn delay(span: Duration) -> String {
    if span == Duration::from_secs(60) {
        "60s".to_owned()
    } else {
        span::show(span)
    }
}

fn yes(value: &[u8]) -> Option<bool> {
    match value {
        b"yes" => Some(true),
        b"no" => Some(false),
        _ => None,
    }
}

fn no_or_yes(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

fn word(text: &str) -> Option<Vec<u8>> {
    Some(text.as_bytes().to_vec())
}

#[cfg(test)]
#[path = "attribute_tests.rs"]
mod tests;
