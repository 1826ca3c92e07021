//! Variables for a session's environment: `--env K=V`, `--env K`, and files of `KEY=VALUE` lines.

use std::ffi::{OsStr, OsString};
use std::io::Read as _;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use session_protocol::{ByteString, Code};

use crate::failure::Failure;

/// More than the kernel passes on to a process.
const LIMIT: u64 = 2 << 20;

/// A key and its value.
pub(crate) type Variable = (String, ByteString);

/// `K=V`, or `K` alone for the caller's own value.
pub(crate) fn variable(text: &OsStr) -> Result<Variable, Failure> {
    let bytes = text.as_bytes();
    let (key, value) = match bytes.iter().position(|byte| *byte == b'=') {
        Some(at) => (&bytes[..at], Some(bytes[at + 1..].to_vec())),
        None => (bytes, None),
    };
    let key = std::str::from_utf8(key)
        .map_err(|_| Failure::usage("the name of a variable is not UTF-8"))?;
    if key.is_empty() {
        return Err(
            Failure::usage("the name of a variable is missing").hint("write it as -e NAME=VALUE")
        );
    }
    let value = match value {
        Some(value) => value,
        None => std::env::var_os(key)
            .map(OsString::into_vec)
            .ok_or_else(|| {
                let key = ByteString::from(key).brief();
                Failure::usage(format!("the variable '{key}' is not set here"))
                    .hint(format!("give it a value: -e {key}=VALUE"))
            })?,
    };
    Ok((key.to_owned(), ByteString(value)))
}

/// The variables of a file. What is not understood is named by file and line.
pub(crate) fn file(path: &Path) -> Result<Vec<Variable>, Failure> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(LIMIT + 1).read_to_end(&mut bytes))
        .map_err(|why| Failure::io("read", path, why))?;
    if bytes.len() as u64 > LIMIT {
        let path = path.display();
        return Err(Failure::new(
            Code::Limit,
            format!("{path} is larger than {LIMIT} bytes"),
        ));
    }
    parse(&bytes).map_err(|(line, why)| {
        let path = path.display();
        Failure::new(Code::Usage, format!("{path}:{line}: {why}"))
    })
}

/// The error is the number of a line and what is wrong with it.
fn parse(bytes: &[u8]) -> Result<Vec<Variable>, (usize, &'static str)> {
    let mut variables = Vec::new();
    // What some editors put in front of UTF-8.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let refused = |why| (index + 1, why);
        let at = line.iter().position(|byte| *byte == b'=');
        let at = at.ok_or(refused("KEY=VALUE is expected"))?;
        let key = line[..at].trim_ascii_end();
        if key.is_empty() || key.iter().any(u8::is_ascii_whitespace) || line.contains(&0) {
            return Err(refused("this is no name of a variable"));
        }
        let key = std::str::from_utf8(key).map_err(|_| refused("the name is not UTF-8"))?;
        let value = value(line[at + 1..].trim_ascii_start()).map_err(refused)?;
        variables.push((key.to_owned(), ByteString(value)));
    }
    Ok(variables)
}

/// Without its quotes, if it has some; `\n`, `\t`, `\"` and `\\` mean something in double quotes only.
fn value(text: &[u8]) -> Result<Vec<u8>, &'static str> {
    let Some(quote @ (b'"' | b'\'')) = text.first().copied() else {
        return Ok(text.to_vec());
    };
    let mut value = Vec::new();
    let mut rest = text[1..].iter();
    loop {
        match rest.next().copied() {
            None => return Err("the closing quote is missing"),
            Some(byte) if byte == quote => break,
            Some(b'\\') if quote == b'"' => match rest.next().copied() {
                Some(b'n') => value.push(b'\n'),
                Some(b't') => value.push(b'\t'),
                Some(byte @ (b'"' | b'\\')) => value.push(byte),
                Some(byte) => value.extend([b'\\', byte]),
                None => return Err("the closing quote is missing"),
            },
            Some(byte) => value.push(byte),
        }
    }
    let behind = rest.as_slice().trim_ascii_start();
    if behind.is_empty() || behind.starts_with(b"#") {
        Ok(value)
    } else {
        Err("there is something behind the closing quote")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &[u8]) -> Result<Vec<(String, String)>, (usize, &'static str)> {
        let list = parse(text)?;
        Ok(list
            .into_iter()
            .map(|(key, value)| (key, value.escaped()))
            .collect())
    }

    #[test]
    fn lines_are_variables() {
        let file = b"# comment\n\nA=1\r\n B = two words \nC=\nD=\"a\\\"b\\n\\x\" # why\nE='it \\n #'\nF=x#y=z\nG=\xff";
        let expected = [
            ("A", "1"),
            ("B", "two words"),
            ("C", ""),
            ("D", "a\"b\\n\\x"),
            ("E", "it \\n #"),
            ("F", "x#y=z"),
            ("G", "\\xff"),
        ];
        let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(shown(file), Ok(expected.to_vec()));
    }

    #[test]
    fn a_byte_order_mark_is_part_of_no_name() {
        let expected = [("A".to_owned(), "1".to_owned())];
        assert_eq!(shown(b"\xef\xbb\xbfA=1"), Ok(expected.to_vec()));
    }

    #[test]
    fn nonsense_is_named_by_its_line() {
        for (text, line) in [
            (&b"A=1\nB"[..], 2),
            (b"=x", 1),
            (b"\n\nexport A=1", 3),
            (b"A=\"x", 1),
            (b"A='x' y", 1),
            (b"A=\"x\\", 1),
            (b"A=\0", 1),
            (b"\xff=1", 1),
        ] {
            assert_eq!(shown(text).unwrap_err().0, line, "{text:?}");
        }
    }

    #[test]
    fn a_variable_is_given_or_the_callers() {
        let given = variable(OsStr::new("A=b=c")).unwrap();
        assert_eq!(given, ("A".to_owned(), "b=c".into()));
        assert_eq!(variable(OsStr::new("PATH")).unwrap().0, "PATH");
        for (text, why) in [
            ("SESSION_TEST_UNSET_VARIABLE", "is not set here"),
            ("", "is missing"),
            ("=x", "is missing"),
        ] {
            let failure = variable(OsStr::new(text)).unwrap_err();
            assert_eq!(failure.code(), Some(Code::Usage));
            assert!(failure.message().unwrap().ends_with(why), "{failure:?}");
        }
    }

    #[test]
    fn a_file_that_is_none_is_an_error() {
        assert!(file(Path::new("/nonexistent")).is_err());
        assert!(file(Path::new("/")).is_err());
    }
}
