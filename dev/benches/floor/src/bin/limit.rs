//! What a view or a login must cost on this machine: one thread, two blocking sockets, one HMAC and one signed call of
//! DynamoDB. It has no runtime, no SDK, no framework and no log. A session system can cost less only without Lambda or
//! DynamoDB.

use std::env::var;
use std::error::Error;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::UNIX_EPOCH;

use ring::{digest, hmac};
use serde_json::{Value, json};

type Failure = Box<dyn Error>;

fn main() -> Result<(), Failure> {
    let host = var("AWS_LAMBDA_RUNTIME_API")?;
    let table = var("TABLE_NAME")?;
    let key = hmac_key(var("SECRET_KEY")?.as_bytes());
    let mut api = Connection::open(&host)?;
    let mut store = Store::open()?;
    loop {
        let next = format!("GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let (head, event) = api.call(next.as_bytes())?;
        let id = header(&head, "lambda-runtime-aws-request-id").ok_or("an event without an ID")?;
        let event: Value = serde_json::from_slice(&event)?;
        let cookie = event["cookies"][0]
            .as_str()
            .and_then(|pair| pair.split_once('=')?.1.split_once('.'));
        let mut answer = json!({ "statusCode": 200, "headers": { "content-type": "text/html; charset=utf-8" } });
        if event["requestContext"]["http"]["method"] == "POST" {
            let session = hex(digest::digest(&digest::SHA256, id.as_bytes()).as_ref());
            let mac = hex(hmac::sign(&key, session.as_bytes()).as_ref());
            let item = json!({ "id": { "S": session }, "username": { "S": "admin" } });
            let condition = "attribute_not_exists(id)";
            store.call(
                "PutItem",
                &json!({ "TableName": table, "Item": item, "ConditionExpression": condition }),
            )?;
            answer["statusCode"] = json!(303);
            answer["headers"]["location"] = json!("/");
            answer["cookies"] = json!([format!("session={session}.{mac}; HttpOnly; Secure; Path=/")]);
        } else if let Some((session, _mac)) = cookie {
            std::hint::black_box(hmac::sign(&key, session.as_bytes()));
            let get = json!({ "TableName": table, "Key": { "id": { "S": session } }, "ConsistentRead": true });
            let item = store.call("GetItem", &get)?;
            answer["body"] = item["Item"]["username"]["S"].clone();
        }
        let answer = answer.to_string();
        let path = format!("/2018-06-01/runtime/invocation/{id}/response");
        let length = answer.len();
        api.call(
            format!("POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n{answer}").as_bytes(),
        )?;
    }
}

/// A connection that stays open.
struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Connection {
    fn open(address: &str) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            received: Vec::with_capacity(64 * 1024),
        })
    }

    /// Sends a request, and returns the head and the body of the answer.
    fn call(&mut self, request: &[u8]) -> Result<(String, Vec<u8>), Failure> {
        self.stream.write_all(request)?;
        self.received.clear();
        let end = loop {
            if let Some(end) = find(&self.received, b"\r\n\r\n") {
                break end + 4;
            }
            self.receive()?;
        };
        let head = str::from_utf8(&self.received[..end])?.to_owned();
        if header(&head, "transfer-encoding").is_some() {
            let body = self.chunks(end)?;
            return Ok((head, body));
        }
        let length: usize = header(&head, "content-length").unwrap_or("0").parse()?;
        while self.received.len() < end + length {
            self.receive()?;
        }
        Ok((head, self.received[end..end + length].to_vec()))
    }

    /// Reads a body in chunks, which begins at `at`.
    fn chunks(&mut self, mut at: usize) -> Result<Vec<u8>, Failure> {
        let mut body = Vec::new();
        loop {
            let Some(line) = find(&self.received[at..], b"\r\n") else {
                self.receive()?;
                continue;
            };
            let start = at + line + 2;
            let length = usize::from_str_radix(str::from_utf8(&self.received[at..at + line])?, 16)?;
            while self.received.len() < start + length + 2 {
                self.receive()?;
            }
            if length == 0 {
                return Ok(body);
            }
            body.extend_from_slice(&self.received[start..start + length]);
            at = start + length + 2;
        }
    }

    fn receive(&mut self) -> Result<(), Failure> {
        let mut chunk = [0; 64 * 1024];
        match self.stream.read(&mut chunk)? {
            0 => Err("the connection closed".into()),
            length => {
                self.received.extend_from_slice(&chunk[..length]);
                Ok(())
            }
        }
    }
}

/// DynamoDB, with the signing key of the day.
struct Store {
    connection: Connection,
    host: String,
    access_key: String,
    secret: String,
    region: String,
    signing: Option<(String, hmac::Key)>,
}

impl Store {
    fn open() -> Result<Self, Failure> {
        let host = var("AWS_ENDPOINT_URL_DYNAMODB")?
            .trim_start_matches("http://")
            .to_owned();
        Ok(Self {
            connection: Connection::open(&host)?,
            host,
            access_key: var("AWS_ACCESS_KEY_ID")?,
            secret: var("AWS_SECRET_ACCESS_KEY")?,
            region: var("AWS_REGION")?,
            signing: None,
        })
    }

    fn call(&mut self, operation: &str, parameters: &Value) -> Result<Value, Failure> {
        let body = parameters.to_string();
        let (day, time) = calendar(UNIX_EPOCH.elapsed()?.as_secs());
        let scope = format!("{day}/{}/dynamodb/aws4_request", self.region);
        if self.signing.as_ref().is_none_or(|(signed, _)| *signed != day) {
            let parts = [day.as_str(), &self.region, "dynamodb", "aws4_request"];
            let key = parts
                .iter()
                .fold(hmac_key(format!("AWS4{}", self.secret).as_bytes()), |key, part| {
                    hmac_key(hmac::sign(&key, part.as_bytes()).as_ref())
                });
            self.signing = Some((day.clone(), key));
        }
        let (_, key) = self.signing.as_ref().ok_or("no key")?;
        let (host, access_key, length) = (&self.host, &self.access_key, body.len());
        let (content_type, target) = ("application/x-amz-json-1.0", format!("DynamoDB_20120810.{operation}"));
        let names = "content-type;host;x-amz-date;x-amz-target";
        let canonical = format!(
            "POST\n/\n\ncontent-type:{content_type}\nhost:{host}\nx-amz-date:{time}\nx-amz-target:{target}\n\n\
             {names}\n{}",
            sha256(&body)
        );
        let signed = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", sha256(&canonical));
        let signature = hex(hmac::sign(key, signed.as_bytes()).as_ref());
        let request = format!(
            "POST / HTTP/1.1\r\nHost: {host}\r\nContent-Type: {content_type}\r\nX-Amz-Date: {time}\r\n\
             X-Amz-Target: {target}\r\nAuthorization: AWS4-HMAC-SHA256 Credential={access_key}/{scope}, \
             SignedHeaders={names}, Signature={signature}\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        let (_, answer) = self.connection.call(request.as_bytes())?;
        Ok(serde_json::from_slice(&answer)?)
    }
}

fn hmac_key(bytes: &[u8]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, bytes)
}

fn sha256(text: &str) -> String {
    hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines
        .find(|(given, _)| given.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

/// Returns the day and the time of a signature, by the civil-from-days method.
fn calendar(seconds: u64) -> (String, String) {
    let (days, second) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = days / 146_097 * 400 + year_of_era + u64::from(month <= 2);
    let date = format!("{year:04}{month:02}{day:02}");
    let time = format!("{date}T{:02}{:02}{:02}Z", second / 3600, second / 60 % 60, second % 60);
    (date, time)
}
