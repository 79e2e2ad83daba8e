//! A browser for tests, over any service.

use std::collections::BTreeMap;

use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use tower::{Service, ServiceExt as _};

use crate::protocol::error::SessionError;
use crate::session::Session;
use crate::web::layer::SessionLayer;

/// The site that the browser visits.
const HOST: &str = "site.test";

/// How many redirects the browser follows, as browsers do (Fetch Standard, "HTTP-redirect fetch").
const MOST_REDIRECTS: usize = 20;

/// A browser for tests of a whole service: it keeps cookies, and says by `Sec-Fetch-*`, `Origin` and `Accept` what
/// [`SameOriginLayer`](crate::SameOriginLayer) and [`RequireLoginLayer`](crate::RequireLoginLayer) ask about. It visits
/// `https://site.test`, and follows redirects only when [asked](Self::following). A clone is another browser with the
/// same cookies.
///
/// The service takes requests with a text as the body, as axum's routers do, and gives any response body. For another
/// body, such as `lambda_http`'s, convert it by tower's `map_request`.
///
/// ```
/// use axum::{Form, Router, response::Redirect, routing::get};
/// use lambda_session::{Keys, MemoryStore, Session, SessionError, SessionLayer, testing::Browser};
///
/// async fn home(session: Session) -> Result<String, SessionError> {
///     Ok(session.owner().map_or_else(|| "nobody".to_owned(), |owner| format!("hello {owner}")))
/// }
///
/// async fn log_in(session: Session, Form(fields): Form<Vec<(String, String)>>) -> Result<Redirect, SessionError> {
///     session.login(&fields[0].1)?;
///     Ok(Redirect::to("/"))
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let keys = Keys::new(b"a long and random secret of at least 32 bytes")?;
/// let sessions = SessionLayer::builder(MemoryStore::default(), keys).build()?;
/// let app: Router = Router::new().route("/", get(home).post(log_in)).layer(sessions);
///
/// let mut browser = Browser::new(app).following();
/// assert_eq!(browser.get("/").await.body, "nobody");
/// assert_eq!(browser.post("/", &[("name", "alice")]).await.body, "hello alice");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Browser<S> {
    service: S,
    cookies: BTreeMap<String, String>,
    follows: bool,
}

/// An answer that a [`Browser`] got.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Page {
    /// The path and query of the page, after redirects.
    pub path: String,
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, as text. Bytes that are not UTF-8 are replaced.
    pub body: String,
}

impl Page {
    /// Where a redirect goes.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # use axum::{Router, response::Redirect, routing::get};
    /// # use lambda_session::testing::Browser;
    /// let app: Router = Router::new().route("/", get(async || Redirect::to("/login")));
    /// assert_eq!(Browser::new(app).get("/").await.location(), Some("/login"));
    /// # }
    /// ```
    #[must_use]
    pub fn location(&self) -> Option<&str> {
        self.headers.get(header::LOCATION)?.to_str().ok()
    }
}

impl<S> Browser<S> {
    /// Makes a browser without cookies.
    pub fn new(service: S) -> Self {
        Self {
            service,
            cookies: BTreeMap::new(),
            follows: false,
        }
    }

    /// Makes [`get`](Self::get) and [`post`](Self::post) follow redirects, at most twenty in a row, each with a `GET`
    /// request. [`send`](Self::send) follows none.
    #[must_use]
    pub fn following(mut self) -> Self {
        self.follows = true;
        self
    }

    /// Sets a cookie, `name=value`, such as that of a [`visitor`].
    ///
    /// # Panics
    ///
    /// The text has no `=`.
    #[must_use]
    pub fn with_cookie(mut self, cookie: &str) -> Self {
        let (name, value) = cookie.split_once('=').expect("a cookie is name=value");
        self.cookies.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The value of the cookie of this name.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies.get(name).map(String::as_str)
    }

    /// Opens a page, as a visitor who types its address.
    ///
    /// # Panics
    ///
    /// The service or its body fails, or `path` is not a valid path.
    pub async fn get<R>(&mut self, path: &str) -> Page
    where
        R: http_body::Body<Error: std::fmt::Debug>,
        S: Service<Request<String>, Response = Response<R>, Error: std::fmt::Debug> + Clone,
    {
        self.visit(Method::GET, path, String::new()).await
    }

    /// Posts a form, as a page of the same site does.
    ///
    /// # Panics
    ///
    /// The service or its body fails, or `path` is not a valid path.
    pub async fn post<R>(&mut self, path: &str, fields: &[(&str, &str)]) -> Page
    where
        R: http_body::Body<Error: std::fmt::Debug>,
        S: Service<Request<String>, Response = Response<R>, Error: std::fmt::Debug> + Clone,
    {
        let mut form = form_urlencoded::Serializer::new(String::new());
        let form = form.extend_pairs(fields).finish();
        self.visit(Method::POST, path, form).await
    }

    /// Sends a request, such as one that a script of the page sends, and does not follow redirects. Headers that the
    /// request has are left as they are, except `Cookie`: if the browser has cookies, they replace it.
    ///
    /// # Panics
    ///
    /// The service or its body fails, or a cookie has characters that no header can have.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use axum::{Router, routing::get};
    /// # use lambda_session::testing::Browser;
    /// # let app: Router = Router::new().route("/news", get(async || "none"));
    /// use http::Request;
    ///
    /// let fetch = Request::get("/news").header("sec-fetch-mode", "cors").body(String::new())?;
    /// assert_eq!(Browser::new(app).send(fetch).await.body, "none");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn send<R>(&mut self, mut request: Request<String>) -> Page
    where
        R: http_body::Body<Error: std::fmt::Debug>,
        S: Service<Request<String>, Response = Response<R>, Error: std::fmt::Debug> + Clone,
    {
        let path = request
            .uri()
            .path_and_query()
            .map_or("/", |path| path.as_str())
            .to_owned();
        let cookies: Vec<_> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let headers = request.headers_mut();
        headers.entry(header::HOST).or_insert(HeaderValue::from_static(HOST));
        if !cookies.is_empty() {
            let cookies = HeaderValue::try_from(cookies.join("; ")).expect("cookies that a header brought");
            headers.insert(header::COOKIE, cookies);
        }
        let response = self
            .service
            .clone()
            .oneshot(request)
            .await
            .expect("the service answers");
        let (parts, body) = response.into_parts();
        for cookie in parts.headers.get_all(header::SET_COOKIE) {
            self.keep(cookie.to_str().unwrap_or_default());
        }
        let body = body.collect().await.expect("the body comes").to_bytes();
        Page {
            path,
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }

    async fn visit<R>(&mut self, method: Method, path: &str, form: String) -> Page
    where
        R: http_body::Body<Error: std::fmt::Debug>,
        S: Service<Request<String>, Response = Response<R>, Error: std::fmt::Debug> + Clone,
    {
        let mut page = self.navigate(method, path, form).await;
        for _ in 0..MOST_REDIRECTS {
            let Some(location) = page.location().filter(|_| self.follows && page.status.is_redirection()) else {
                break;
            };
            let own = location
                .strip_prefix("https://")
                .and_then(|rest| rest.strip_prefix(HOST));
            let path = own.unwrap_or(location).to_owned();
            page = self.navigate(Method::GET, &path, String::new()).await;
        }
        page
    }

    async fn navigate<R>(&mut self, method: Method, path: &str, form: String) -> Page
    where
        R: http_body::Body<Error: std::fmt::Debug>,
        S: Service<Request<String>, Response = Response<R>, Error: std::fmt::Debug> + Clone,
    {
        let is_post = method == Method::POST;
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::ACCEPT, "text/html,application/xhtml+xml,*/*;q=0.8")
            .header("sec-fetch-mode", "navigate")
            .header("sec-fetch-site", if is_post { "same-origin" } else { "none" });
        if is_post {
            request = request
                .header(header::ORIGIN, format!("https://{HOST}"))
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        self.send(request.body(form).expect("a path")).await
    }

    /// Keeps what a `Set-Cookie` header says, or forgets the cookie.
    fn keep(&mut self, cookie: &str) {
        let mut parts = cookie.split("; ");
        let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else {
            return;
        };
        if parts.any(|part| part == "Max-Age=0") {
            self.cookies.remove(name);
        } else {
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
    }
}

/// Makes a session in the layer's store and returns its cookie, `name=value`: that of a visitor who has been there
/// before. Django calls it `force_login`, and Flask `session_transaction`.
///
/// # Errors
///
/// `make` failed, the store failed, or the session is left empty and has no owner.
///
/// ```
/// # async fn orders(session: lambda_session::Session) -> String { session.owner().unwrap_or_default() }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use axum::{Router, routing::get};
/// use lambda_session::{Keys, MemoryStore, SessionLayer, testing};
///
/// let keys = Keys::new(b"a long and random secret of at least 32 bytes")?;
/// let sessions = SessionLayer::builder(MemoryStore::default(), keys).build()?;
/// let cookie = testing::visitor(&sessions, |session| session.login("alice")).await?;
///
/// let app: Router = Router::new().route("/orders", get(orders)).layer(sessions);
/// let mut browser = testing::Browser::new(app).with_cookie(&cookie);
/// assert_eq!(browser.get("/orders").await.body, "alice");
/// # Ok(())
/// # }
/// ```
pub async fn visitor(
    layer: &SessionLayer,
    make: impl FnOnce(&Session) -> Result<(), SessionError>,
) -> Result<String, SessionError> {
    let opened = layer.open(&HeaderMap::new());
    make(&opened.session().load().await?)?;
    let (headers, failed) = opened.close().await;
    if let Some(error) = failed {
        return Err(error);
    }
    let cookie = headers.get(header::SET_COOKIE).and_then(|cookie| cookie.to_str().ok());
    let pair = cookie.and_then(|cookie| cookie.split(';').next());
    // A cookie without a value tells the browser to remove it.
    let issued = pair.filter(|pair| !pair.ends_with('='));
    issued.map(str::to_owned).ok_or_else(SessionError::conflict)
}
