//! What a guard knows of a request: its method and headers, and the path that the browser sent.

use std::borrow::Cow;

use http::{HeaderMap, Method, Request, Uri, header};

/// A request as the browser sent it, with the stage or base path in front of the site's own paths, and with the
/// prefixes of axum's nested routers.
pub(crate) struct Asked<'a> {
    method: &'a Method,
    headers: &'a HeaderMap,
    query: Option<&'a str>,
    path: Cow<'a, str>,
    /// The stage or base path with which `path` begins.
    base: Cow<'a, str>,
}

impl<'a> Asked<'a> {
    pub(crate) fn of<B>(request: &'a Request<B>) -> Self {
        let uri = request.uri();
        #[cfg(feature = "axum")]
        let uri = request
            .extensions()
            .get()
            .map_or(uri, |axum::extract::OriginalUri(before_nesting)| before_nesting);
        let (path, base) = (uri.path().into(), "".into());
        #[cfg(feature = "lambda")]
        let (path, base) = crate::web::lambda::path::in_event(request.extensions()).unwrap_or((path, base));
        Self {
            method: request.method(),
            headers: request.headers(),
            query: uri.query(),
            path,
            base,
        }
    }

    /// Whether htmx sent the request, so that the answer is a part of a page.
    pub(crate) fn is_htmx(&self) -> bool {
        self.headers.get("hx-request").is_some_and(|value| value == "true")
    }

    /// Whether the browser will show the answer as a page.
    pub(crate) fn is_navigation(&self) -> bool {
        if self.is_htmx() || !matches!(*self.method, Method::GET | Method::HEAD) {
            return false;
        }
        match self.headers.get("sec-fetch-mode") {
            Some(mode) => mode == "navigate",
            None => self
                .headers
                .get_all(header::ACCEPT)
                .iter()
                .filter_map(|accept| accept.to_str().ok())
                .flat_map(|accept| accept.split(','))
                .filter_map(|range| range.split(';').next())
                .any(|range| range.trim().eq_ignore_ascii_case("text/html")),
        }
    }

    /// The path and query of the page that the visitor asks for or, if htmx asks for a part of it, of the page that the
    /// visitor sees.
    pub(crate) fn page(&self) -> Cow<'_, str> {
        let follows_link = *self.method == Method::GET && self.headers.contains_key("hx-boosted");
        let seen = self.headers.get("hx-current-url");
        let seen = seen.filter(|_| self.is_htmx() && !follows_link);
        let seen: Option<Uri> = seen.and_then(|url| url.to_str().ok()?.parse().ok());
        match (seen.as_ref().and_then(Uri::path_and_query), self.query) {
            (Some(page), _) => page.as_str().to_owned().into(),
            (None, Some(query)) => format!("{}?{query}", self.path).into(),
            (None, None) => self.path.as_ref().into(),
        }
    }

    /// The path by which the browser reaches `path` of this site: with this request's stage or base path in front,
    /// unless `path` has it already.
    pub(crate) fn outside<'p>(&self, path: &'p str) -> Cow<'p, str> {
        match path.strip_prefix(self.base.as_ref()) {
            Some(rest) if rest.starts_with('/') => path.into(),
            _ => format!("{}{path}", self.base).into(),
        }
    }

    /// Whether the browser asks for `path` of this site.
    pub(crate) fn is_for(&self, path: &str) -> bool {
        self.outside(path) == self.path
    }
}

#[cfg(all(test, feature = "axum", feature = "lambda"))]
mod tests;
