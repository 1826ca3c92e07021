//! The corpus: output of one kind a file, written down so that a person can read it. `tests/corpus/README.md` has its form.

use std::path::Path;

/// What a program wrote to a terminal of some size.
pub(crate) struct Output {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) rows: u16,
    pub(crate) cols: u16,
    /// Parts of the state in which xterm.js itself is not like xterm here.
    #[allow(dead_code, reason = "only the judge reads it")]
    pub(crate) except: Vec<String>,
}

/// Every file of `tests/corpus`.
pub(crate) fn read() -> Vec<Output> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut outputs: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "seq"))
        .map(|path| parse(&path))
        .collect();
    outputs.sort_by(|one, other| other.name.cmp(&one.name));
    outputs
}

fn parse(path: &Path) -> Output {
    let mut output = Output {
        name: path.file_stem().unwrap().to_str().unwrap().to_owned(),
        bytes: Vec::new(),
        rows: 6,
        cols: 20,
        except: Vec::new(),
    };
    for line in std::fs::read_to_string(path).unwrap().lines() {
        if let Some(size) = line.strip_prefix("# size ") {
            let (rows, cols) = size.split_once('x').unwrap();
            (output.rows, output.cols) = (rows.parse().unwrap(), cols.parse().unwrap());
        } else if let Some(except) = line.strip_prefix("# except ") {
            let (parts, _reason) = except.split_once(": ").unwrap();
            output.except.extend(parts.split(", ").map(str::to_owned));
        } else if !line.starts_with('#') {
            unescape(line, &mut output.bytes);
        }
    }
    output
}

/// `\e`, `\r`, `\n`, `\t`, `\b`, `\a`, `\s` (a space), `\\` and `\xHH`; all else is itself.
fn unescape(line: &str, bytes: &mut Vec<u8>) {
    let mut rest = line.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        bytes.push(match rest.next().unwrap() {
            b'e' => 0x1b,
            b'r' => b'\r',
            b'n' => b'\n',
            b't' => b'\t',
            b'b' => 0x08,
            b'a' => 0x07,
            b's' => b' ',
            b'\\' => b'\\',
            b'x' => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                u8::from_str_radix(str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            other => panic!("{line}: what is \\{}?", char::from(other)),
        });
    }
}
