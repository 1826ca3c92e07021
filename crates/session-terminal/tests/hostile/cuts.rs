//! Output as the corpus has it.

/// What a program wrote to a terminal of some size.
#[allow(dead_code, reason = "what the judge is to overlook is nothing here")]
pub(crate) struct Output {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) rows: u16,
    pub(crate) cols: u16,
    pub(crate) except: Vec<String>,
}
