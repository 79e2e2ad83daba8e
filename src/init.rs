//! A start that failed, told to Lambda: its log then says why, and not only that the process ended.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;

/// Longest wait for Lambda, which is on this machine.
const PATIENCE: Duration = Duration::from_secs(1);

/// Reports `error` to the Runtime API at `address` (`AWS_LAMBDA_RUNTIME_API`, host and port).
///
/// <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html#runtimes-api-initerror>
///
/// # Errors
///
/// The Runtime API does not take it.
///
/// ```
/// use lambda_session::init::report;
///
/// // Nobody listens there.
/// assert!(report("127.0.0.1:1", "SECRET_KEY is not set").is_err());
/// ```
pub fn report(address: &str, error: &str) -> io::Result<()> {
    let body = json!({ "errorType": "Runtime.InitError", "errorMessage": error, "stackTrace": [] }).to_string();
    let mut connection = TcpStream::connect(address)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.set_write_timeout(Some(PATIENCE))?;
    write!(
        connection,
        "POST /2018-06-01/runtime/init/error HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
         Lambda-Runtime-Function-Error-Type: Runtime.InitError\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )?;
    // Its answer says nothing we could use, but has come when the report was taken.
    connection.read(&mut [0; 1]).map(drop)
}
