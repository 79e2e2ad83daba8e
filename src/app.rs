//! The route table and its views. A view turns a request and its session into a response.

use std::convert::Infallible;
use std::time::Instant;

use http::{HeaderValue, Method, StatusCode, header};
use lambda_http::{Body, Request, RequestExt as _, Response};
use lambda_session::{LazySession, ResponseBody, SameOriginLayer, Session, SessionError, SessionLayer};
use maud::Markup;
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::log::{Event, Line, Log};
use crate::web::form::{self, FormError};
use crate::web::headers::{self, Hsts};
use crate::web::pages;

/// The session variable that says who is logged in.
const USERNAME: &str = "username";

/// All paths, each with its methods and their views. The path is the route's name in the log, and the methods are the
/// `Allow` header of a 405.
static ROUTES: [(&str, &[(Method, View)]); 3] = [
    ("/", &[(Method::GET, View::Home), (Method::HEAD, View::Home)]),
    (
        "/login",
        &[
            (Method::GET, View::LoginForm),
            (Method::HEAD, View::LoginForm),
            (Method::POST, View::Login),
        ],
    ),
    ("/logout", &[(Method::GET, View::Logout)]),
];

/// The names in the log of the paths that the session layer answers, if sessions are bound to their devices.
const OF_THE_LAYER: [(&str, &str); 2] = [("bind", "/.session/bind"), ("refresh", "/.session/refresh")];

/// The view that answers a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum View {
    Home,
    LoginForm,
    Login,
    Logout,
}

/// The result of looking a request up in the route table.
#[derive(Clone, Copy)]
enum Routed {
    To(View),
    /// The path is in the table, but not with this method.
    NotAllowed(&'static [(Method, View)]),
    NotFound,
    /// The path is empty, which the path of an HTTP request never is.
    Unreadable,
}

/// Finds a request's route, and the route's name in the log.
fn route(method: &Method, path: &str) -> (&'static str, Routed) {
    if path.is_empty() {
        return ("unreadable", Routed::Unreadable);
    }
    if let Some((name, _)) = OF_THE_LAYER.iter().find(|(_, known)| *known == path) {
        return (name, Routed::NotFound);
    }
    let Some((name, views)) = ROUTES.iter().find(|(known, _)| *known == path) else {
        return ("unknown", Routed::NotFound);
    };
    let view = views.iter().find(|(allowed, _)| allowed == method);
    (
        name,
        view.map_or(Routed::NotAllowed(views), |(_, view)| Routed::To(*view)),
    )
}

/// The application. Clones share their state.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) sessions: SessionLayer,
    /// Guards the login and the logout. It is not used as a layer, because each of the two shows a page of its own when
    /// it refuses a request.
    same_origin: SameOriginLayer,
    hsts: Option<Hsts>,
    pub(crate) log: Log,
}

impl App {
    /// Builds the application with this layer for its sessions. With `hsts_subdomains`, browsers insist on https for
    /// the names below the site's, too.
    pub(crate) fn new(sessions: SessionLayer, hsts_subdomains: bool, log: Log) -> Self {
        let secure = sessions.is_secure();
        Self {
            sessions,
            same_origin: SameOriginLayer::new().secure(secure),
            hsts: secure.then_some(if hsts_subdomains { Hsts::Subdomains } else { Hsts::Site }),
            log,
        }
    }

    /// Answers a request, and returns the log line about it.
    pub(crate) async fn answer(&self, request: Request) -> (Response<Body>, Line) {
        let start = Instant::now();
        let method = request.method().clone();
        let invocation = request.lambda_context_ref().map(|context| context.request_id.clone());
        // Routes by the path as it was sent: `lambda_http` normalizes the URI's path, so `/../login` would match
        // `/login`.
        let (route, routed) = route(&method, request.raw_http_path());
        let mut response = finished(self.routed(routed, request).await, self.hsts);
        if method == Method::HEAD {
            *response.body_mut() = Body::Empty;
        }
        let line = Line {
            event: response.extensions().get().copied(),
            route,
            method: Some(method),
            status: response.status(),
            store_calls: response.extensions().get().map_or(0, LazySession::store_calls),
            duration: start.elapsed(),
            request_id: invocation,
        };
        (response, line)
    }

    /// Answers an event whose HTTP request cannot be read, or that is not an HTTP request, and logs it.
    pub(crate) fn unreadable(&self, invocation: &str) -> Response<Body> {
        let start = Instant::now();
        let response = finished(problem(StatusCode::BAD_REQUEST), self.hsts);
        self.log.write(&Line {
            event: None,
            route: "unreadable",
            method: None,
            status: response.status(),
            store_calls: 0,
            duration: start.elapsed(),
            request_id: Some(invocation.to_owned()),
        });
        response
    }

    /// Every request goes through the layer, which answers some paths itself if sessions are bound to their devices.
    async fn routed(&self, routed: Routed, request: Request) -> Response<Body> {
        let service = self.sessions.layer(service_fn(move |request: Request| {
            let same_origin = self.same_origin.clone();
            async move {
                let response = match routed {
                    Routed::To(View::Home) => home(&request).await,
                    Routed::To(View::LoginForm) => Ok(page(StatusCode::OK, pages::login(None))),
                    Routed::To(View::Login) => login(&request, &same_origin).await,
                    Routed::To(View::Logout) => logout(&request, &same_origin),
                    Routed::NotAllowed(views) => Ok(not_allowed(views)),
                    Routed::NotFound => Ok(problem(StatusCode::NOT_FOUND)),
                    Routed::Unreadable => Ok(problem(StatusCode::BAD_REQUEST)),
                };
                Ok::<_, Infallible>(response.unwrap_or_else(SessionError::into_response))
            }
        }));
        let Ok(response) = service.oneshot(request).await;
        response.map(ResponseBody::into_inner)
    }
}

/// The start page says who is logged in. In Flask: `if 'username' in session: …`
async fn home(request: &Request) -> Result<Response<Body>, SessionError> {
    let session = LazySession::of(request)?.load().await?;
    Ok(page(StatusCode::OK, pages::home(username(&session).as_deref())))
}

/// Logs the visitor in, and redirects to the start page. In Flask: `session['username'] = request.form['username']`
async fn login(request: &Request, same_origin: &SameOriginLayer) -> Result<Response<Body>, SessionError> {
    if same_origin.check(request).is_err() {
        return Ok(noted(
            Event::Refused,
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
    // If another name logs in, the session's variables may belong to another person.
    if username(&session).is_none_or(|current| current != name) {
        session.clear();
    }
    session.renew();
    session.insert(USERNAME, name)?;
    Ok(noted(Event::Login, redirect_home()))
}

/// Logs the visitor out, and redirects to the start page. In Flask: `session.pop('username', None)`. Here, the whole
/// session ends.
fn logout(request: &Request, same_origin: &SameOriginLayer) -> Result<Response<Body>, SessionError> {
    if let Err(refusal) = same_origin.check(request) {
        let shown = page(StatusCode::FORBIDDEN, pages::refused_logout(refusal));
        return Ok(noted(Event::Refused, shown));
    }
    LazySession::of(request)?.end();
    Ok(noted(Event::Logout, redirect_home()))
}

/// The name of the visitor who is logged in. If the variable is not a text, nobody is.
fn username(session: &Session) -> Option<String> {
    session.get(USERNAME).ok().flatten()
}

/// Attaches to a response what its request did. If the session cannot be saved, the layer replaces the response, and
/// the log does not report a login or logout that did not happen.
fn noted(event: Event, mut response: Response<Body>) -> Response<Body> {
    response.extensions_mut().insert(event);
    response
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

fn not_allowed(views: &[(Method, View)]) -> Response<Body> {
    let mut response = problem(StatusCode::METHOD_NOT_ALLOWED);
    let methods: Vec<_> = views.iter().map(|(method, _)| method.as_str()).collect();
    if let Ok(methods) = HeaderValue::try_from(methods.join(", ")) {
        response.headers_mut().insert(header::ALLOW, methods);
    }
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

/// Finishes every response: sets the headers, and shows the app's own page if the session could not be loaded or saved.
fn finished(mut response: Response<Body>, hsts: Option<Hsts>) -> Response<Body> {
    if response.extensions().get::<SessionError>().is_some() {
        let content = pages::problem(response.status());
        show(&mut response, content);
    }
    headers::set(&mut response, hsts);
    response
}

#[cfg(test)]
mod tests {
    use lambda_session::SessionErrorKind;

    use super::*;

    /// No view of this app gets a 409, but a view that is added later may.
    #[test]
    fn a_session_that_could_not_be_saved_is_answered_with_our_page() {
        let error = LazySession::of(&Request::default()).unwrap_err();
        assert_eq!(error.kind(), SessionErrorKind::NoLayer);
        let answer = finished(error.into_response(), Some(Hsts::Site));
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-store");
        assert_eq!(answer.headers()[header::CONTENT_TYPE], "text/html; charset=utf-8");
        let Body::Text(page) = answer.body() else {
            panic!("{answer:?}")
        };
        assert!(page.contains("Something went wrong"), "{page}");
        let conflict = pages::problem(StatusCode::CONFLICT).into_string();
        assert!(conflict.contains("Session ended"), "{conflict}");
    }

    #[test]
    fn no_path_stands_in_the_table_twice_and_no_method_twice_in_a_path() {
        for (at, (path, views)) in ROUTES.iter().enumerate() {
            assert!(ROUTES[..at].iter().all(|(earlier, _)| earlier != path), "{path}");
            for (at, (method, _)) in views.iter().enumerate() {
                assert!(
                    views[..at].iter().all(|(earlier, _)| earlier != method),
                    "{method} {path}"
                );
            }
        }
    }
}
