//! The page to which a guard sends a visitor first, and how.

use std::sync::Arc;

use http::{HeaderValue, Request, Response, StatusCode, header};
use percent_encoding::utf8_percent_encode;

use super::asked::Asked;
use super::next::{RESERVED, local_path};
use crate::core::refusal::Refusal;

/// The page where visitors log in, or prove again who they are, for a guard of your own.
///
/// [`answer`](Self::answer) redirects a navigation there, and names the requested page in the parameter `next`. The
/// login view checks `next` with [`local_path`](crate::local_path) and redirects there after the login.
/// [`RequireLoginLayer`](crate::RequireLoginLayer) answers in the same way.
///
/// ```
/// use http::{Request, Response};
/// use lambda_session::{LoginPage, Refusal};
///
/// /// Lets nobody in before the visitor has agreed to the terms.
/// fn guard(request: &Request<String>, agreed: bool) -> Option<Response<String>> {
///     let terms = LoginPage::new("/terms");
///     (!agreed && !terms.is_for(request)).then(|| terms.answer(request, Refusal::NotPermitted))
/// }
///
/// let page = Request::get("/orders").header("sec-fetch-mode", "navigate").body(String::new())?;
/// let answer = guard(&page, false).expect("an answer");
/// assert_eq!(answer.headers()["location"], "/terms?next=/orders");
///
/// let script = Request::get("/orders").header("sec-fetch-mode", "cors").body(String::new())?;
/// assert_eq!(guard(&script, false).expect("an answer").status(), 403);
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct LoginPage {
    path: Arc<str>,
    pub(super) next_name: Arc<str>,
}

impl LoginPage {
    /// Names the page by its path, with or without a query, written [as in
    /// `RequireLoginLayer`](crate::RequireLoginLayer#stages-base-paths-and-nested-routers).
    ///
    /// # Panics
    ///
    /// Panics if `path` is not a path that [`local_path`] accepts, or has a fragment.
    ///
    /// ```
    /// use lambda_session::LoginPage;
    ///
    /// let login = LoginPage::new("/login?lang=de");
    /// ```
    #[must_use]
    #[track_caller]
    pub fn new(path: impl Into<String>) -> Self {
        let path = path.into();
        assert!(
            local_path(&path).is_some() && !path.contains('#'),
            "a login page has to be a path that `local_path` accepts, without a fragment, and {path:?} is not"
        );
        Self {
            path: path.into(),
            next_name: "next".into(),
        }
    }

    /// Sets the name of the parameter that holds the page to go back to. The default is `next`.
    ///
    /// ```
    /// # use http::{Request, Response};
    /// # use lambda_session::{LoginPage, Refusal};
    /// let login = LoginPage::new("/login").next_name("return_to");
    /// let page = Request::get("/orders").header("accept", "text/html").body(())?;
    /// let answer: Response<String> = login.answer(&page, Refusal::NotLoggedIn);
    /// assert_eq!(answer.headers()["location"], "/login?return_to=/orders");
    /// # Ok::<(), http::Error>(())
    /// ```
    #[must_use]
    pub fn next_name(mut self, name: impl Into<String>) -> Self {
        self.next_name = name.into().into();
        self
    }

    /// Returns whether the browser asks for this page. A guard lets such a request pass; otherwise the browser would go
    /// in a circle.
    ///
    /// ```
    /// # use http::Request;
    /// # use lambda_session::LoginPage;
    /// let request = Request::get("/login?next=/orders").body(())?;
    /// assert!(LoginPage::new("/login").is_for(&request));
    /// # Ok::<(), http::Error>(())
    /// ```
    #[must_use]
    pub fn is_for<B>(&self, request: &Request<B>) -> bool {
        let path = self.path.split('?').next();
        path.is_some_and(|path| Asked::of(request).is_for(path))
    }

    /// Answers a visitor who has to go to this page first:
    ///
    /// - a navigation by a 303 to the page. A navigation is a GET or HEAD with `Sec-Fetch-Mode: navigate` or, without
    ///   that header, with an `Accept` that names `text/html`;
    /// - a request of [htmx](https://htmx.org/reference/#response_headers) (`HX-Request: true`) by the refusal with
    ///   `HX-Redirect`, which makes htmx open the page;
    /// - anything else, such as a script's request or a form, by
    ///   [`refusal.into_response()`](Refusal::into_response).
    ///
    /// The page's address names the requested page in `next`, if [`local_path`] accepts it and the page's own query
    /// does not name it already. For htmx it names the page that the visitor sees, unless a link was boosted. All
    /// answers carry `Cache-Control: no-store`.
    ///
    /// ```
    /// # use http::{Request, Response};
    /// # use lambda_session::{LoginPage, Refusal};
    /// let request = Request::post("/orders/7/cancel")
    ///     .header("hx-request", "true")
    ///     .header("hx-current-url", "https://shop.example/orders?page=2")
    ///     .body(())?;
    /// let answer: Response<String> = LoginPage::new("/login").answer(&request, Refusal::NotLoggedIn);
    /// assert_eq!(answer.status(), 401);
    /// assert_eq!(answer.headers()["hx-redirect"], "/login?next=/orders%3Fpage%3D2");
    /// # Ok::<(), http::Error>(())
    /// ```
    #[must_use]
    pub fn answer<B, R: From<String>>(&self, request: &Request<B>, refusal: Refusal) -> Response<R> {
        let asked = Asked::of(request);
        // Visible ASCII, so it is always a header's value.
        let Ok(location) = self.location(&asked).try_into() else {
            return refusal.into_response();
        };
        if asked.is_navigation() {
            let mut response = Response::new(String::new().into());
            *response.status_mut() = StatusCode::SEE_OTHER;
            let no_store = HeaderValue::from_static("no-store");
            let headers = [(header::LOCATION, location), (header::CACHE_CONTROL, no_store)];
            response.headers_mut().extend(headers);
            return response;
        }
        let mut response = refusal.into_response();
        if asked.is_htmx() {
            response.headers_mut().insert("hx-redirect", location);
        }
        response
    }

    /// The address of this page for this browser, with the page to go back to if it is on this site.
    fn location(&self, asked: &Asked<'_>) -> String {
        let page = asked.outside(&self.path);
        let query = page.split_once('?').map(|(_, query)| query);
        let is_next = |pair: &str| pair.split('=').next() == Some(&*self.next_name);
        let named = query.is_some_and(|query| query.split('&').any(is_next));
        match local_path(&asked.page()) {
            Some(next) if !named => {
                let separator = if query.is_some() { '&' } else { '?' };
                let name = utf8_percent_encode(&self.next_name, RESERVED);
                format!("{page}{separator}{name}={}", utf8_percent_encode(next, RESERVED))
            }
            _ => page.into_owned(),
        }
    }
}
