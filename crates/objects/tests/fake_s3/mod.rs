//! An S3 server for tests: one bucket in memory, on a free port of this machine, that can be told to
//! fail. It checks no signatures.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use url::Url;

/// The only bucket that is there.
pub(crate) const BUCKET: &str = "data";

/// What to do instead of answering.
#[derive(Clone)]
pub(crate) enum Fault {
    /// Answer with this status and body.
    Status(u16, &'static str),
    /// Close the connection after half of the body.
    BreakOff,
}

/// A request, as far as the server understands it.
struct Request {
    method: String,
    url: Url,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

/// An answer.
struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Vec<u8>>,
    uploads: BTreeMap<String, BTreeMap<u32, Vec<u8>>>,
    /// Faults to come: the start of `METHOD path?query`, and how many more times.
    faults: Vec<(String, usize, Fault)>,
    log: Vec<String>,
}

/// A running server. It ends with the process.
#[derive(Clone)]
pub(crate) struct FakeS3 {
    pub(crate) endpoint: String,
    state: Arc<Mutex<State>>,
}

impl FakeS3 {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let fake = Self { endpoint, state: Arc::default() };
        let server = fake.clone();
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let server = server.clone();
                thread::spawn(move || server.serve(&connection));
            }
        });
        fake
    }

    pub(crate) fn put(&self, key: &str, content: impl Into<Vec<u8>>) {
        self.state.lock().unwrap().objects.insert(key.to_owned(), content.into());
    }

    pub(crate) fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.state.lock().unwrap().objects.get(key).cloned()
    }

    /// Lets the next `times` requests that begin with `start` fail.
    pub(crate) fn fail(&self, start: &str, times: usize, fault: Fault) {
        self.state.lock().unwrap().faults.push((start.to_owned(), times, fault));
    }

    /// The requests so far, as `METHOD path?query`.
    pub(crate) fn log(&self) -> Vec<String> {
        self.state.lock().unwrap().log.clone()
    }

    /// How many uploads are neither complete nor aborted.
    pub(crate) fn open_uploads(&self) -> usize {
        self.state.lock().unwrap().uploads.len()
    }

    fn serve(&self, connection: &TcpStream) -> Option<()> {
        let mut reader = BufReader::new(connection);
        let mut writer = connection;
        loop {
            let request = read_request(&mut reader)?;
            let (answer, break_off) = self.answer(&request);
            let mut head = format!("HTTP/1.1 {} X\r\n", answer.status);
            for (name, value) in &answer.headers {
                write!(head, "{name}: {value}\r\n").ok()?;
            }
            if !answer.headers.iter().any(|(name, _)| *name == "content-length") {
                write!(head, "content-length: {}\r\n", answer.body.len()).ok()?;
            }
            writer.write_all(format!("{head}\r\n").as_bytes()).ok()?;
            if break_off {
                writer.write_all(&answer.body[..answer.body.len() / 2]).ok()?;
                return None;
            }
            if request.method != "HEAD" {
                writer.write_all(&answer.body).ok()?;
            }
        }
    }

    /// The answer, and whether to break it off.
    fn answer(&self, request: &Request) -> (Answer, bool) {
        let mut state = self.state.lock().unwrap();
        let query = request.url.query().map_or(String::new(), |query| format!("?{query}"));
        let line = format!("{} {}{query}", request.method, request.url.path());
        state.log.push(line.clone());
        let fault =
            state.faults.iter_mut().find(|(start, times, _)| *times > 0 && line.starts_with(start));
        let fault = fault.map(|(_, times, fault)| {
            *times -= 1;
            fault.clone()
        });
        match fault {
            Some(Fault::Status(status, body)) => (Answer::error(status, body), false),
            Some(Fault::BreakOff) => (state.handle(request), true),
            None => (state.handle(request), false),
        }
    }
}

impl State {
    fn handle(&mut self, request: &Request) -> Answer {
        let path = percent_decode(request.url.path());
        let (bucket, key) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
        if bucket != BUCKET {
            return Answer::error(404, "<Error><Code>NoSuchBucket</Code></Error>");
        }
        let query: BTreeMap<String, String> = request.url.query_pairs().into_owned().collect();
        match request.method.as_str() {
            "GET" if key.is_empty() => self.list(&query),
            "GET" | "HEAD" => self.read(request, key),
            "PUT" => self.write(request, key, &query),
            "POST" if query.contains_key("uploads") => {
                let id = format!("upload-{}", self.uploads.len());
                self.uploads.insert(id.clone(), BTreeMap::new());
                let tag = "InitiateMultipartUploadResult";
                Answer::ok(format!("<{tag}><UploadId>{id}</UploadId></{tag}>"))
            }
            "POST" if query.contains_key("uploadId") => {
                let parts = self.uploads.remove(&query["uploadId"]).unwrap_or_default();
                self.objects.insert(key.to_owned(), parts.into_values().flatten().collect());
                let tag = "CompleteMultipartUploadResult";
                Answer::ok(format!("<{tag}><ETag>\"x\"</ETag></{tag}>"))
            }
            "POST" => {
                let body = String::from_utf8_lossy(&request.body).into_owned();
                let mut xml = String::from("<DeleteResult>");
                for key in body.split("<Key>").skip(1) {
                    let key = key.split('<').next().unwrap();
                    self.objects.remove(key);
                    write!(xml, "<Deleted><Key>{key}</Key></Deleted>").unwrap();
                }
                Answer::ok(format!("{xml}</DeleteResult>"))
            }
            "DELETE" => {
                self.uploads.remove(query.get("uploadId").map_or("", String::as_str));
                Answer { status: 204, headers: vec![], body: vec![] }
            }
            _ => Answer::error(405, ""),
        }
    }

    fn list(&self, query: &BTreeMap<String, String>) -> Answer {
        let prefix = query.get("prefix").map_or("", String::as_str);
        let mut xml = String::from("<ListBucketResult>");
        for (key, content) in self.objects.iter().filter(|(key, _)| key.starts_with(prefix)) {
            let folder = key[prefix.len()..].split_once('/').map(|(folder, _)| folder);
            match folder.filter(|_| query.contains_key("delimiter")) {
                Some(folder) => write!(
                    xml,
                    "<CommonPrefixes><Prefix>{prefix}{folder}/</Prefix></CommonPrefixes>"
                ),
                None => write!(
                    xml,
                    "<Contents><Key>{key}</Key><Size>{}</Size><ETag>{}</ETag>\
                     <LastModified>2024-01-01T00:00:00.000Z</LastModified></Contents>",
                    content.len(),
                    etag(content).replace('"', "&quot;"),
                ),
            }
            .unwrap();
        }
        Answer::ok(format!("{xml}</ListBucketResult>"))
    }

    fn read(&self, request: &Request, key: &str) -> Answer {
        let Some(content) = self.objects.get(key) else {
            return Answer::error(404, "<Error><Code>NoSuchKey</Code></Error>");
        };
        let etag = etag(content);
        if request.headers.get("if-match").is_some_and(|wanted| *wanted != etag) {
            return Answer::error(412, "<Error><Code>PreconditionFailed</Code></Error>");
        }
        let mut headers =
            vec![("etag", etag), ("last-modified", "Mon, 01 Jan 2024 00:00:00 GMT".to_owned())];
        if request.method == "HEAD" {
            headers.push(("content-length", content.len().to_string()));
            return Answer { status: 200, headers, body: vec![] };
        }
        let Some(range) = request.headers.get("range") else {
            return Answer { status: 200, headers, body: content.clone() };
        };
        let (from, to) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
        let from: usize = from.parse().unwrap();
        let to = content.len().min(to.parse::<usize>().unwrap() + 1);
        headers.push(("content-range", format!("bytes {from}-{}/{}", to - 1, content.len())));
        Answer { status: 206, headers, body: content[from..to].to_vec() }
    }

    fn write(&mut self, request: &Request, key: &str, query: &BTreeMap<String, String>) -> Answer {
        let mut answer = Answer::ok("<CopyObjectResult></CopyObjectResult>".to_owned());
        answer.headers.push(("etag", etag(&request.body)));
        if let Some(from) = request.headers.get("x-amz-copy-source") {
            let from = percent_decode(from);
            let content = self.objects[from.split_once('/').unwrap().1].clone();
            self.objects.insert(key.to_owned(), content);
        } else if let Some(part) = query.get("partNumber") {
            // A part may still be on its way when its upload is aborted.
            let Some(upload) = self.uploads.get_mut(&query["uploadId"]) else {
                return Answer::error(404, "<Error><Code>NoSuchUpload</Code></Error>");
            };
            upload.insert(part.parse().unwrap(), request.body.clone());
        } else {
            self.objects.insert(key.to_owned(), request.body.clone());
        }
        answer
    }
}

impl Answer {
    fn ok(body: String) -> Self {
        Self { status: 200, headers: vec![], body: body.into() }
    }

    fn error(status: u16, body: &str) -> Self {
        Self { status, headers: vec![], body: body.into() }
    }
}

fn read_request(reader: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
    let mut words = line.split(' ');
    let method = words.next()?.to_owned();
    let url = Url::parse(&format!("http://host{}", words.next()?)).ok()?;
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { method, url, headers, body })
}

/// Differs between any two contents that a test uses.
fn etag(content: &[u8]) -> String {
    let hash = content.iter().fold(5381_u64, |hash, byte| hash.wrapping_mul(33) ^ u64::from(*byte));
    format!("\"{hash:x}\"")
}

fn percent_decode(text: &str) -> String {
    let query = format!("k={}", text.replace('+', "%2B"));
    url::form_urlencoded::parse(query.as_bytes()).next().unwrap().1.into_owned()
}
