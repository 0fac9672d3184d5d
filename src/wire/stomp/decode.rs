//! Bytes to frames.

use bytes::{Buf, BytesMut};
use tokio_util::codec::Decoder;

use super::{
    Command, Frame, Headers, Limits, Received, StompCodec, StompError, Version, escape::Escaping,
    frame::CONTENT_LENGTH,
};

/// How far the frame that is being read has come. What is read is taken out of the buffer line by line;
/// `scanned` says how many of the bytes that are left were already searched, so that a frame that comes in
/// many small pieces is not searched from its beginning each time.
#[derive(Debug, Default)]
pub(super) enum Progress {
    /// Line ends may come, then a command.
    #[default]
    Between,
    /// The command's line has begun.
    InCommand { scanned: usize },
    /// The command is known; header lines come.
    InHeaders { command: Command, headers: Headers, scanned: usize },
    /// The headers are complete.
    InBody { command: Command, headers: Headers, end: BodyEnd },
    /// A rule was broken; nothing more is read.
    Failed,
}

/// How the end of the body is found.
#[derive(Debug)]
pub(super) enum BodyEnd {
    After(usize),
    AtNul { scanned: usize },
}

/// The outcome of one step: go on, wait for more bytes, or something is complete.
enum Step {
    Next(Progress),
    Wait(Progress),
    Done(Received),
}

impl Decoder for StompCodec {
    type Item = Received;
    type Error = StompError;

    /// Reads the next frame or heart-beat.
    ///
    /// # Errors
    ///
    /// [`StompError`], naming the rule or the limit that was broken; from then on, always
    /// [`StompError::AfterError`].
    fn decode(&mut self, bytes: &mut BytesMut) -> Result<Option<Received>, StompError> {
        loop {
            // Each step takes the progress out and, unless it fails, puts the next one in.
            let progress = std::mem::replace(&mut self.progress, Progress::Failed);
            match step(progress, bytes, &self.limits, self.version)? {
                Step::Next(progress) => self.progress = progress,
                Step::Wait(progress) => {
                    self.progress = progress;
                    return Ok(None);
                }
                Step::Done(received) => {
                    self.progress = Progress::Between;
                    return Ok(Some(received));
                }
            }
        }
    }

    /// Reads what is left when the connection has ended.
    ///
    /// # Errors
    ///
    /// As [`decode`](Self::decode), and [`StompError::CutShort`] when the connection ended within a frame.
    fn decode_eof(&mut self, bytes: &mut BytesMut) -> Result<Option<Received>, StompError> {
        if let Some(received) = self.decode(bytes)? {
            return Ok(Some(received));
        }
        // A carriage return alone may be left of a heart-beat.
        if matches!(self.progress, Progress::Between) {
            bytes.clear();
            return Ok(None);
        }
        self.progress = Progress::Failed;
        Err(StompError::CutShort)
    }
}

fn step(
    progress: Progress,
    bytes: &mut BytesMut,
    limits: &Limits,
    version: Version,
) -> Result<Step, StompError> {
    match progress {
        Progress::Between => Ok(skip_line_ends(bytes)),
        Progress::InCommand { scanned } => read_command(scanned, bytes, limits),
        Progress::InHeaders { command, headers, scanned } => {
            read_header(command, headers, scanned, bytes, limits, version)
        }
        Progress::InBody { command, headers, end } => match end {
            BodyEnd::After(length) => read_counted_body(command, headers, length, bytes),
            BodyEnd::AtNul { scanned } => read_body_to_nul(command, headers, scanned, bytes, limits),
        },
        Progress::Failed => Err(StompError::AfterError),
    }
}

/// Takes all line ends that are there as one heart-beat, so that a flood of them costs little.
fn skip_line_ends(bytes: &mut BytesMut) -> Step {
    let before = bytes.len();
    loop {
        match bytes.as_ref() {
            [b'\n', ..] => bytes.advance(1),
            [b'\r', b'\n', ..] => bytes.advance(2),
            _ => break,
        }
    }
    if bytes.len() < before {
        return Step::Done(Received::HeartBeat);
    }
    match bytes.as_ref() {
        [] | [b'\r'] => Step::Wait(Progress::Between),
        _ => Step::Next(Progress::InCommand { scanned: 0 }),
    }
}

fn read_command(scanned: usize, bytes: &mut BytesMut, limits: &Limits) -> Result<Step, StompError> {
    let line = match take_line(scanned, bytes, limits)? {
        Line::Whole(line) => line,
        Line::Part { scanned } => return Ok(Step::Wait(Progress::InCommand { scanned })),
    };
    match Command::from_wire(&line) {
        Some(command) => {
            Ok(Step::Next(Progress::InHeaders { command, headers: Headers::default(), scanned: 0 }))
        }
        None => Err(StompError::UnknownCommand { command: excerpt(&line) }),
    }
}

fn read_header(
    command: Command,
    mut headers: Headers,
    scanned: usize,
    bytes: &mut BytesMut,
    limits: &Limits,
    version: Version,
) -> Result<Step, StompError> {
    let line = match take_line(scanned, bytes, limits)? {
        Line::Whole(line) => line,
        Line::Part { scanned } => {
            return Ok(Step::Wait(Progress::InHeaders { command, headers, scanned }));
        }
    };
    if line.is_empty() {
        let end = body_end(&headers, limits)?;
        return Ok(Step::Next(Progress::InBody { command, headers, end }));
    }
    if headers.len() >= limits.header_lines {
        return Err(StompError::TooManyHeaders { limit: limits.header_lines });
    }
    let number = headers.len() + 1;
    let line = std::str::from_utf8(&line).map_err(|_| StompError::InvalidUtf8 { line: number })?;
    let (name, value) = match line.split_once(':') {
        Some((name, value)) if !name.is_empty() => (name, value),
        _ => return Err(StompError::MalformedHeader { line: number }),
    };
    let escaping = Escaping::of(command, version);
    match (escaping.unescape(name), escaping.unescape(value)) {
        (Some(name), Some(value)) => headers.append(name, value),
        _ => return Err(StompError::BadEscape { line: number, version }),
    }
    Ok(Step::Next(Progress::InHeaders { command, headers, scanned: 0 }))
}

fn body_end(headers: &Headers, limits: &Limits) -> Result<BodyEnd, StompError> {
    let Some(value) = headers.get(CONTENT_LENGTH) else {
        return Ok(BodyEnd::AtNul { scanned: 0 });
    };
    // `parse` alone would allow a leading plus sign.
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(StompError::BadContentLength { value: excerpt(value.as_bytes()) });
    }
    match value.parse() {
        Ok(length) if length <= limits.body_bytes => Ok(BodyEnd::After(length)),
        // A number too great for the machine is too great for the limit.
        _ => Err(StompError::BodyTooLarge { limit: limits.body_bytes }),
    }
}

fn read_counted_body(
    command: Command,
    headers: Headers,
    length: usize,
    bytes: &mut BytesMut,
) -> Result<Step, StompError> {
    match bytes.get(length) {
        None => Ok(Step::Wait(Progress::InBody { command, headers, end: BodyEnd::After(length) })),
        Some(0) => Ok(take_frame(command, headers, length, bytes)),
        Some(_) => Err(StompError::MissingNul { content_length: length }),
    }
}

fn read_body_to_nul(
    command: Command,
    headers: Headers,
    scanned: usize,
    bytes: &mut BytesMut,
    limits: &Limits,
) -> Result<Step, StompError> {
    let nul = find(bytes, scanned, |byte| byte == 0);
    if nul.unwrap_or(bytes.len()) > limits.body_bytes {
        return Err(StompError::BodyTooLarge { limit: limits.body_bytes });
    }
    Ok(match nul {
        Some(length) => take_frame(command, headers, length, bytes),
        None => {
            let end = BodyEnd::AtNul { scanned: bytes.len() };
            Step::Wait(Progress::InBody { command, headers, end })
        }
    })
}

/// Takes a body of this length and the NUL behind it, both of which are there.
fn take_frame(command: Command, headers: Headers, length: usize, bytes: &mut BytesMut) -> Step {
    let body = bytes.split_to(length).freeze();
    bytes.advance(1);
    Step::Done(Received::Frame(Frame { command, headers, body }))
}

enum Line {
    Whole(BytesMut),
    Part { scanned: usize },
}

/// Takes one line, without its line end. A NUL ends the search as well, for otherwise a frame without a
/// blank line would swallow the one that follows.
fn take_line(scanned: usize, bytes: &mut BytesMut, limits: &Limits) -> Result<Line, StompError> {
    let limit = limits.header_line_bytes;
    let end = find(bytes, scanned, |byte| byte == b'\n' || byte == 0);
    // One more than the limit, since a carriage return at the end does not count. This comes first, so that
    // the error is the same whether the end of the line has come already or not.
    if end.unwrap_or(bytes.len()) > limit.saturating_add(1) {
        return Err(StompError::LineTooLong { limit });
    }
    let Some(end) = end else { return Ok(Line::Part { scanned: bytes.len() }) };
    if bytes.get(end) == Some(&0) {
        return Err(StompError::NulInHeader);
    }
    let mut line = bytes.split_to(end);
    bytes.advance(1);
    if line.last() == Some(&b'\r') {
        line.truncate(line.len().saturating_sub(1));
    }
    if line.len() > limit {
        return Err(StompError::LineTooLong { limit });
    }
    Ok(Line::Whole(line))
}

/// The place of the first byte that matches, at or after `from`.
fn find(bytes: &[u8], from: usize, matches: impl Fn(u8) -> bool) -> Option<usize> {
    let rest = bytes.get(from..)?;
    rest.iter().position(|byte| matches(*byte)).map(|place| from + place)
}

/// The beginning of what a peer sent, for an error message.
fn excerpt(bytes: &[u8]) -> String {
    const READABLE: usize = 40;
    let text = String::from_utf8_lossy(bytes.get(..READABLE).unwrap_or(bytes)).into_owned();
    if bytes.len() > READABLE { text + "…" } else { text }
}
