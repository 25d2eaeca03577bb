//! Payloads in chunks (`Content-Encoding: aws-chunked`), each with its signature or without.
//!
//! The format is in "Transferring payload in multiple chunks" of the S3 API Reference:
//! `<size in hex>;chunk-signature=<signature>\r\n<bytes>\r\n`, the last chunk empty, then trailing
//! headers. [`ChunkDecoder`] takes bytes as they come and holds back no data.

use sha2::{Digest, Sha256};

use super::{
    key::{SigningKey, hex, sha256},
    verify::same,
};

/// The longest line before a chunk.
const LINE: usize = 1024;
/// The most that trailing headers may take.
const TRAILERS: usize = 16 * 1024;

/// Why a payload in chunks was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// A chunk or the trailing headers are not what the sender signed.
    #[error("a chunk's signature does not match")]
    Signature,
    /// The chunks are malformed.
    #[error("the chunks are malformed: {0}")]
    Malformed(&'static str),
    /// The payload ended before its last chunk.
    #[error("the payload ends before its last chunk")]
    Incomplete,
    /// The payload is not as long as its `x-amz-decoded-content-length` says.
    #[error("the payload has {found} bytes, {declared} were declared")]
    Length {
        /// What the header says.
        declared: u64,
        /// What there was, or more than that.
        found: u64,
    },
}

/// The signatures of a payload's chunks, each of which covers the one before.
#[derive(Debug)]
pub(super) struct Chain {
    key: SigningKey,
    date: String,
    scope: String,
    previous: String,
}

impl Chain {
    /// Begins with the signature of the request's head.
    pub(super) fn new(key: SigningKey, date: &str, scope: &str, seed: &str) -> Self {
        let text = str::to_owned;
        Self { key, date: text(date), scope: text(scope), previous: text(seed) }
    }

    fn check(&mut self, kind: &str, hashes: &str, sent: &str) -> Result<(), ChunkError> {
        let Self { key, date, scope, previous } = self;
        let own = key.sign(&format!("{kind}\n{date}\n{scope}\n{previous}\n{hashes}"));
        if !same(&own, sent) {
            return Err(ChunkError::Signature);
        }
        self.previous = own;
        Ok(())
    }
}

#[derive(Debug)]
enum State {
    /// In the line before a chunk.
    Line,
    /// In a chunk's bytes.
    Data { left: u64, signature: String },
    /// In the line end after a chunk's bytes.
    DataEnd,
    /// In the trailing headers.
    Trailers,
    /// Behind the last chunk and all that follows it.
    Done,
}

/// Takes chunks apart, and checks the signatures that they carry.
///
/// Bytes are handed on before their chunk's signature is known, so that a chunk need not fit into
/// memory: nothing of a payload may take effect before [`ChunkDecoder::finish`] returns.
#[derive(Debug)]
pub struct ChunkDecoder {
    chain: Option<Chain>,
    trailer: bool,
    declared: u64,
    found: u64,
    state: State,
    /// The bytes of a line, or of the trailing headers, so far.
    line: Vec<u8>,
    hasher: Sha256,
    trailers: Vec<(String, String)>,
}

impl ChunkDecoder {
    /// `chain` is `None` for chunks without signatures; `declared` is the payload's length.
    pub(super) fn new(chain: Option<Chain>, trailer: bool, declared: u64) -> Self {
        Self {
            chain,
            trailer,
            declared,
            found: 0,
            state: State::Line,
            line: Vec::new(),
            hasher: Sha256::new(),
            trailers: Vec::new(),
        }
    }

    /// The payload's length as its sender declared it, in bytes.
    pub fn declared_length(&self) -> u64 {
        self.declared
    }

    /// Takes the next bytes of the body and appends what they hold of the payload to `payload`.
    pub fn push(&mut self, mut input: &[u8], payload: &mut Vec<u8>) -> Result<(), ChunkError> {
        while !input.is_empty() {
            input = match &self.state {
                State::Line => self.take_line(input)?,
                State::Data { .. } => self.take_data(input, payload)?,
                State::DataEnd => self.take_data_end(input)?,
                State::Trailers => self.take_trailers(input)?,
                State::Done => return Err(ChunkError::Malformed("bytes after the last chunk")),
            };
        }
        Ok(())
    }

    /// Ends the payload. Returns the trailing headers, their names in lower case.
    pub fn finish(self) -> Result<Vec<(String, String)>, ChunkError> {
        if !matches!(self.state, State::Done) {
            return Err(ChunkError::Incomplete);
        }
        if self.found != self.declared {
            return Err(ChunkError::Length { declared: self.declared, found: self.found });
        }
        Ok(self.trailers)
    }

    /// Collects `input` up to a line feed. `None` in front means that the line goes on.
    fn collect<'a>(
        &mut self,
        input: &'a [u8],
        limit: usize,
    ) -> Result<(bool, &'a [u8]), ChunkError> {
        let end = input.iter().position(|&byte| byte == b'\n').map(|at| at + 1);
        let (taken, rest) = input.split_at(end.unwrap_or(input.len()));
        if self.line.len() + taken.len() > limit {
            return Err(ChunkError::Malformed("a line is too long"));
        }
        self.line.extend_from_slice(taken);
        Ok((end.is_some(), rest))
    }

    fn take_line<'a>(&mut self, input: &'a [u8]) -> Result<&'a [u8], ChunkError> {
        let (whole, rest) = self.collect(input, LINE)?;
        if whole {
            let line = std::mem::take(&mut self.line);
            let line = line.strip_suffix(b"\r\n").and_then(|line| std::str::from_utf8(line).ok());
            self.begin_chunk(line.ok_or(ChunkError::Malformed("a chunk has no size"))?)?;
        }
        Ok(rest)
    }

    fn begin_chunk(&mut self, line: &str) -> Result<(), ChunkError> {
        let (size, extension) = line.split_once(';').unwrap_or((line, ""));
        let digits = !size.is_empty() && size.bytes().all(|byte| byte.is_ascii_hexdigit());
        let size = u64::from_str_radix(size, 16).ok().filter(|_| digits);
        let size = size.ok_or(ChunkError::Malformed("a chunk has no size"))?;
        let signature = extension.strip_prefix("chunk-signature=").unwrap_or_default().to_owned();
        self.found = self.found.saturating_add(size);
        if self.found > self.declared {
            return Err(ChunkError::Length { declared: self.declared, found: self.found });
        }
        if size > 0 {
            self.state = State::Data { left: size, signature };
            return Ok(());
        }
        self.end_chunk(&signature)?;
        self.state = State::Trailers;
        Ok(())
    }

    fn take_data<'a>(
        &mut self,
        input: &'a [u8],
        payload: &mut Vec<u8>,
    ) -> Result<&'a [u8], ChunkError> {
        let State::Data { left, signature } = &mut self.state else { return Ok(input) };
        let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
        let (data, rest) = input.split_at(taken);
        payload.extend_from_slice(data);
        if self.chain.is_some() {
            self.hasher.update(data);
        }
        *left -= data.len() as u64;
        if *left == 0 {
            let signature = std::mem::take(signature);
            self.end_chunk(&signature)?;
            self.state = State::DataEnd;
        }
        Ok(rest)
    }

    /// Checks the chunk that has just been read whole.
    fn end_chunk(&mut self, signature: &str) -> Result<(), ChunkError> {
        let Some(chain) = &mut self.chain else { return Ok(()) };
        let hashes = format!("{}\n{}", sha256(b""), hex(&self.hasher.finalize_reset()));
        chain.check("AWS4-HMAC-SHA256-PAYLOAD", &hashes, signature)
    }

    fn take_data_end<'a>(&mut self, input: &'a [u8]) -> Result<&'a [u8], ChunkError> {
        let (whole, rest) = self.collect(input, 2)?;
        if !b"\r\n".starts_with(&self.line) {
            return Err(ChunkError::Malformed("a chunk is longer than its size"));
        }
        if whole {
            self.line.clear();
            self.state = State::Line;
        }
        Ok(rest)
    }

    /// Trailing headers end with an empty line.
    fn take_trailers<'a>(&mut self, input: &'a [u8]) -> Result<&'a [u8], ChunkError> {
        let (whole, rest) = self.collect(input, TRAILERS)?;
        if whole && (self.line == b"\r\n" || self.line.ends_with(b"\n\r\n")) {
            let lines = std::mem::take(&mut self.line);
            let lines = String::from_utf8(lines);
            self.read_trailers(&lines.map_err(|_| ChunkError::Malformed("a trailer is no text"))?)?;
            self.state = State::Done;
        }
        Ok(rest)
    }

    fn read_trailers(&mut self, lines: &str) -> Result<(), ChunkError> {
        let mut signature = None;
        for line in lines.split("\r\n").filter(|line| !line.is_empty()) {
            if line.contains(char::is_control) {
                return Err(ChunkError::Malformed("a trailer is no text"));
            }
            let pair =
                line.split_once(':').ok_or(ChunkError::Malformed("a trailer has no name"))?;
            let (name, value) = (pair.0.trim().to_ascii_lowercase(), pair.1.trim().to_owned());
            if name == "x-amz-trailer-signature" {
                signature = Some(value);
            } else {
                self.trailers.push((name, value));
            }
        }
        if !self.trailer {
            let none = self.trailers.is_empty() && signature.is_none();
            let unannounced = ChunkError::Malformed("trailers were not announced");
            return if none { Ok(()) } else { Err(unannounced) };
        }
        let Some(chain) = &mut self.chain else { return Ok(()) };
        let mut sorted = self.trailers.clone();
        sorted.sort();
        let mut canonical = String::new();
        for (name, value) in &sorted {
            canonical.push_str(&format!("{name}:{value}\n"));
        }
        let signature = signature.ok_or(ChunkError::Signature)?;
        chain.check("AWS4-HMAC-SHA256-TRAILER", &sha256(canonical.as_bytes()), &signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    const SCOPE: &str = "20130524/us-east-1/s3/aws4_request";

    /// The example of "Signature calculations: transferring payload in multiple chunks".
    const SEED: &str = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
    const SIGNED: [(usize, &str); 3] = [
        (65536, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"),
        (1024, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"),
        (0, "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"),
    ];

    /// The example of "Signature calculations for trailing headers".
    const TRAILER_SEED: &str = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e";
    const WITH_TRAILER: [(usize, &str); 3] = [
        (65536, "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2"),
        (1024, "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7"),
        (0, "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992"),
    ];
    const TRAILER: &str = "x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:\
        d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n";

    fn signed(seed: &str, trailer: bool) -> ChunkDecoder {
        let key = SigningKey::derive(SECRET, "20130524", "us-east-1", "s3");
        let chain = Chain::new(key, "20130524T000000Z", SCOPE, seed);
        ChunkDecoder::new(Some(chain), trailer, 66560)
    }

    fn body(chunks: &[(usize, &str)], trailer: &str) -> Vec<u8> {
        let mut body = Vec::new();
        for (size, signature) in chunks {
            body.extend(format!("{size:x};chunk-signature={signature}\r\n").into_bytes());
            body.extend(vec![b'a'; *size]);
            if *size > 0 {
                body.extend(b"\r\n");
            }
        }
        body.extend(trailer.as_bytes());
        body.extend(b"\r\n");
        body
    }

    type Decoded = Result<(Vec<u8>, Vec<(String, String)>), ChunkError>;

    fn decode(mut decoder: ChunkDecoder, body: &[u8], step: usize) -> Decoded {
        let mut payload = Vec::new();
        for piece in body.chunks(step) {
            decoder.push(piece, &mut payload)?;
        }
        Ok((payload, decoder.finish()?))
    }

    #[test]
    fn the_documented_example_is_taken_however_it_is_cut() {
        let body = body(&SIGNED, "");
        for step in [1, 2, 7, 1000, 65536, body.len()] {
            let (payload, trailers) = decode(signed(SEED, false), &body, step).unwrap();
            assert_eq!(payload, vec![b'a'; 66560]);
            assert!(trailers.is_empty());
        }
    }

    #[test]
    fn the_documented_trailer_is_taken() {
        let body = body(&WITH_TRAILER, TRAILER);
        for step in [1, 333, body.len()] {
            let (payload, trailers) = decode(signed(TRAILER_SEED, true), &body, step).unwrap();
            assert_eq!(payload.len(), 66560);
            assert_eq!(trailers, [("x-amz-checksum-crc32c".into(), "sOO8/Q==".into())]);
        }
    }

    #[test]
    fn every_changed_byte_is_refused() {
        for (chunks, trailer, seed) in [(&SIGNED, "", SEED), (&WITH_TRAILER, TRAILER, TRAILER_SEED)]
        {
            let body = body(chunks, trailer);
            let data = 90..65000;
            for at in (0..body.len()).filter(|at| !data.contains(at) || at % 997 == 0) {
                let mut changed = body.clone();
                changed[at] ^= 1;
                let decoded = decode(signed(seed, !trailer.is_empty()), &changed, 4096);
                assert!(decoded.is_err(), "byte {at} of {}", body.len());
            }
        }
    }

    #[test]
    fn a_missing_end_is_refused() {
        let body = body(&WITH_TRAILER, TRAILER);
        for end in [0, 40, 65536, body.len() - 2, body.len() - 1] {
            let decoded = decode(signed(TRAILER_SEED, true), &body[..end], 4096);
            assert_eq!(decoded.unwrap_err(), ChunkError::Incomplete, "{end}");
        }
        let without = [&body[..body.len() - TRAILER.len() - 2], b"\r\n"].concat();
        let decoded = decode(signed(TRAILER_SEED, true), &without, 4096);
        assert_eq!(decoded.unwrap_err(), ChunkError::Signature);
    }

    #[test]
    fn unsigned_chunks_have_a_length_and_a_form() {
        let unsigned = |length| ChunkDecoder::new(None, true, length);
        let body = b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n";
        let (payload, trailers) = decode(unsigned(5), body, 3).unwrap();
        assert_eq!(payload, b"hello");
        assert_eq!(trailers, [("x-amz-checksum-crc32".into(), "NhCmhg==".into())]);
        let length = |declared| ChunkError::Length { declared, found: 5 };
        assert_eq!(decode(unsigned(4), body, 9).unwrap_err(), length(4));
        assert_eq!(decode(unsigned(6), body, 9).unwrap_err(), length(6));
        for malformed in
            ["hello", "-1\r\n", "5\r\nhelloo\r\n", "0\r\n\r\nmore", "\r\n", "0\r\nx\r\n\r\n"]
        {
            let refused = decode(unsigned(5), malformed.as_bytes(), 2);
            assert!(refused.is_err(), "{malformed:?}");
        }
        let endless = vec![b'1'; 2000];
        assert!(matches!(decode(unsigned(5), &endless, 100), Err(ChunkError::Malformed(_))));
    }
}
