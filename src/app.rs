//! The three paths: a request and its session in, a response out.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use http::{HeaderValue, Method, StatusCode, header};
use lambda_http::{Body, Request, RequestExt as _, Response};
use maud::Markup;
use tower::{Layer as _, Service, ServiceExt as _, service_fn};

use crate::config::Config;
use crate::event::WarmUp;
use crate::form::{self, FormError};
use crate::log::RequestLog;
use crate::session::{BuildError, LazySession, Session, SessionError, SessionLayer, Store, ValueError};
use crate::{guard, headers, log, pages};

/// The session variable that says who is logged in.
const USERNAME: &str = "username";

/// The whole application over a store: what `main` gives to Lambda and `cargo local` serves on a port.
///
/// # Errors
///
/// [`BuildError`] if the configuration's timeouts are zero, which [`Config::from_env`] does not allow.
///
/// ```
/// use std::sync::Arc;
///
/// use lambda_http::{Request, RequestExt};
/// use lambda_session::{app, config::Config, session::DynamoDbStore};
/// use tower::ServiceExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// # let config = Config::from_env(|name| match name {
/// #     "SECRET_KEY" => Some("a secret key of at least 32 bytes"),
/// #     "TABLE_NAME" => Some("sessions"),
/// #     _ => None,
/// # })?;
/// let store = DynamoDbStore::on_lambda(&config.table_name, None);
/// let service = app::service(&config, Arc::new(store))?;
/// let answer = service.oneshot(Request::default().with_raw_http_path("/")).await?;
/// assert_eq!(answer.status(), 200);
/// # Ok(())
/// # }
/// ```
pub fn service(
    config: &Config,
    store: Arc<dyn Store>,
) -> Result<
    impl Service<Request, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + use<>,
    BuildError,
> {
    let secure = config.secure;
    let sessions = SessionLayer::builder(store, config.keys.clone())
        .timeouts(config.timeouts)
        .secure(secure)
        .build()?;
    let lines = Arc::new(RequestLog::new(config));
    let routed = sessions.layer(service_fn(move |request| respond(request, secure)));
    Ok(service_fn(move |request: Request| {
        let start = Instant::now();
        let method = request.method().clone();
        let route = Route::of(&request);
        let warm_up = request.extensions().get::<WarmUp>().is_some();
        let invocation = request.lambda_context_ref().map(|context| context.request_id.clone());
        let response = routed.clone().oneshot(request);
        let lines = Arc::clone(&lines);
        async move {
            let mut response = finished(response.await?, &method, secure);
            if warm_up {
                // Nobody asked, so there is nothing to log.
                return Ok(response);
            }
            let line = log::Line {
                route: route.name(),
                method: &method,
                request_id: invocation.as_deref(),
                duration: start.elapsed(),
            };
            lines.write(&line, &mut response);
            Ok(response)
        }
    }))
}

/// The pages there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    Home,
    Login,
    Logout,
    Unknown,
    /// No path at all, which no HTTP request has: what [`event`](crate::event) leaves of one that cannot be read.
    Malformed,
}

impl Route {
    /// By the path as it was sent. `lambda_http::run` would normalize the one in the URI, so that `/../login` would be ours.
    fn of(request: &Request) -> Self {
        match request.raw_http_path() {
            "/" => Self::Home,
            "/login" => Self::Login,
            "/logout" => Self::Logout,
            "" => Self::Malformed,
            _ => Self::Unknown,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Home => "/",
            Self::Login => "/login",
            Self::Logout => "/logout",
            Self::Unknown => "unknown",
            Self::Malformed => "malformed",
        }
    }
}

async fn respond(request: Request, secure: bool) -> Result<Response<Body>, Infallible> {
    let response = match (Route::of(&request), request.method()) {
        (Route::Home, &Method::GET | &Method::HEAD) => home(&request).await,
        (Route::Login, &Method::GET | &Method::HEAD) => Ok(page(StatusCode::OK, pages::login(None))),
        (Route::Login, &Method::POST) => login(&request, secure).await,
        (Route::Logout, &Method::GET) => logout(&request, secure),
        (Route::Home, _) => Ok(not_allowed("GET, HEAD")),
        (Route::Login, _) => Ok(not_allowed("GET, HEAD, POST")),
        (Route::Logout, _) => Ok(not_allowed("GET")),
        (Route::Unknown, _) => Ok(problem(StatusCode::NOT_FOUND)),
        (Route::Malformed, _) => Ok(problem(StatusCode::BAD_REQUEST)),
    };
    Ok(response.unwrap_or_else(SessionError::into_response))
}

/// `if 'username' in session: …`
async fn home(request: &Request) -> Result<Response<Body>, SessionError> {
    let session = LazySession::of(request)?.load().await?;
    Ok(page(StatusCode::OK, pages::home(username(&session).as_deref())))
}

/// `session['username'] = request.form['username']`
async fn login(request: &Request, secure: bool) -> Result<Response<Body>, SessionError> {
    if guard::same_origin(request.headers(), secure).is_err() {
        return Ok(log::event(
            log::Event::Refused,
            page(StatusCode::FORBIDDEN, pages::refused_login()),
        ));
    }
    let name = match form::username(request.headers(), request.body().as_ref()) {
        Ok(name) => name,
        Err(error) => {
            let shown = match &error {
                FormError::Field { message, typed } => pages::login(Some((message, typed))),
                _ => pages::problem(error.status()),
            };
            return Ok(page(error.status(), shown));
        }
    };
    let session = LazySession::of(request)?.load().await?;
    Ok(match log_in(&session, &name) {
        Ok(()) => log::event(log::Event::Login, redirect_home()),
        Err(error) => {
            tracing::error!(%error, "a username does not fit the session");
            problem(StatusCode::INTERNAL_SERVER_ERROR)
        }
    })
}

/// Under another name the variables are another person's.
fn log_in(session: &Session, name: &str) -> Result<(), ValueError> {
    if username(session).is_none_or(|current| current != name) {
        session.clear();
    }
    session.renew();
    session.insert(USERNAME, name)
}

/// `session.pop('username', None)`, and with it the session.
fn logout(request: &Request, secure: bool) -> Result<Response<Body>, SessionError> {
    if let Err(refusal) = guard::same_origin(request.headers(), secure) {
        let shown = page(StatusCode::FORBIDDEN, pages::refused_logout(refusal));
        return Ok(log::event(log::Event::Refused, shown));
    }
    LazySession::of(request)?.end();
    Ok(log::event(log::Event::Logout, redirect_home()))
}

/// Whoever put something else than text there is not logged in by it.
fn username(session: &Session) -> Option<String> {
    session.get(USERNAME).ok().flatten()
}

fn page(status: StatusCode, content: Markup) -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = status;
    show(&mut response, content);
    response
}

fn show(response: &mut Response<Body>, content: Markup) {
    *response.body_mut() = Body::from(content.into_string());
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, html);
}

fn problem(status: StatusCode) -> Response<Body> {
    page(status, pages::problem(status))
}

fn not_allowed(methods: &'static str) -> Response<Body> {
    let mut response = problem(StatusCode::METHOD_NOT_ALLOWED);
    let methods = HeaderValue::from_static(methods);
    response.headers_mut().insert(header::ALLOW, methods);
    response
}

/// 303, so that the browser follows with a GET (RFC 9110, section 15.4.4).
fn redirect_home() -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::SEE_OTHER;
    let home = HeaderValue::from_static("/");
    response.headers_mut().insert(header::LOCATION, home);
    response
}

/// What every answer has in common: our own page for a session that could not be loaded or saved, the headers, and no
/// body for HEAD.
fn finished(mut response: Response<Body>, method: &Method, secure: bool) -> Response<Body> {
    if let Some(error) = response.extensions_mut().remove::<SessionError>() {
        let extensions = std::mem::take(response.extensions_mut());
        let content = pages::problem(error.status());
        response = error.into_response();
        show(&mut response, content);
        *response.extensions_mut() = extensions;
    }
    headers::set(&mut response, secure);
    if method == Method::HEAD {
        *response.body_mut() = Body::Empty;
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    /// None of the three paths changes a session that could end meanwhile, but what is built on them may.
    #[test]
    fn a_session_that_could_not_be_saved_is_answered_with_our_page_and_no_cookie() {
        let mut saved = redirect_home();
        let cookie = HeaderValue::from_static("session=x");
        saved.headers_mut().insert(header::SET_COOKIE, cookie);
        saved.extensions_mut().insert(SessionError::Gone);
        let answer = finished(saved, &Method::POST, true);
        assert_eq!(answer.status(), StatusCode::CONFLICT);
        assert!(!answer.headers().contains_key(header::SET_COOKIE));
        assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-store");
        let Body::Text(page) = answer.body() else {
            panic!("{answer:?}")
        };
        assert!(page.contains("Nothing was saved"), "{page}");
    }
}
