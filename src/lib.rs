//! Server-side login sessions for AWS Lambda.
//!
//! A session lasts from login to logout. Its data stay on the server, in DynamoDB, and die on time; the browser
//! holds only a session ID in a cookie, signed with a secret from the environment. The session is a dictionary, as
//! in Flask:
//!
//! ```
//! # use lambda_session::session::{Session, ValueError};
//! # fn view(session: &Session) -> Result<(), ValueError> {
//! session.insert("username", "admin")?; //                  session['username'] = 'admin'
//! if session.contains_key("username") { //                  if 'username' in session:
//!     let name: Option<String> = session.get("username")?; //   name = session['username']
//! }
//! session.pop::<String>("username")?; //                    session.pop('username', None)
//! # Ok(())
//! # }
//! # view(&Session::default()).unwrap();
//! ```
//!
//! # The shortest Lambda with a session
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use lambda_http::{Body, Error, Request, Response, run, service_fn};
//! use lambda_session::session::{DynamoDbStore, Keys, LazySession, SessionLayer};
//! use tower::Layer;
//!
//! async fn count(request: Request) -> Result<Response<Body>, Error> {
//!     let session = match LazySession::of(&request)?.load().await {
//!         Ok(session) => session,
//!         // 503 with `Retry-After`: DynamoDB cannot be reached, and the visitor's cookie stays as it is.
//!         Err(error) => return Ok(error.into_response()),
//!     };
//!     let visits = session.get::<u64>("visits")?.unwrap_or(0) + 1;
//!     session.insert("visits", visits)?;
//!     Ok(Response::new(format!("Visit number {visits}").into()))
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Error> {
//!     let store = DynamoDbStore::on_lambda(&std::env::var("TABLE_NAME")?, None);
//!     let keys = Keys::new(std::env::var("SECRET_KEY")?.as_bytes())?;
//!     let sessions = SessionLayer::builder(Arc::new(store), keys).build()?;
//!     run(sessions.layer(service_fn(count))).await
//! }
//! ```
//!
//! The table needs a string partition key `id` and TTL on `expires_at`; the function may `dynamodb:GetItem`,
//! `dynamodb:PutItem` and `dynamodb:UpdateItem` on it.
//!
//! # What holds
//!
//! - After a logout, or a login that replaced a session, nothing revives it: no slow request, no retry, no
//!   duplicate that the network delayed.
//! - Two requests that change different variables of one session both win.
//! - A change that could not be saved is answered with an error, never dropped, and no cookie leaves without its
//!   record.
//! - A page that needs no session costs no store call; a forged cookie costs none either.
//!
//! How, is told in [`session::store`] and in `ARCHITECTURE.md`.
//!
//! # Layout
//!
//! In reading order:
//!
//! - [`session`]: the library. Start at its front page: it follows one request through its modules.
//! - [`app`]: the demo's three paths on it, with [`form`] and [`pages`]; [`guard`] for who may log
//!   in and out, and [`headers`] on every answer.
//! - [`config`]: the environment. [`log`]: the log, with the metrics in it. [`init`]: what Lambda is told when the start
//!   fails.
//! - `main`: the wiring, with [`event`]: Lambda's requests. `examples/local.rs`: the same application on a port of this
//!   machine.

pub mod app;
pub mod config;
pub mod event;
pub mod form;
pub mod guard;
pub mod headers;
pub mod init;
pub mod log;
mod metrics;
pub mod pages;
pub mod session;
