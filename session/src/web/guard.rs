//! Guards: tower layers that answer a request before its handler sees it.

pub(crate) mod asked;
pub(crate) mod login_page;
pub(crate) mod next;
pub(crate) mod require_login;
pub(crate) mod same_origin;

use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use thiserror::Error;

use crate::protocol::error::short_answer;

/// The reason why [`SameOriginLayer`](crate::SameOriginLayer), [`RequireLoginLayer`](crate::RequireLoginLayer) or an
/// extractor refused a request.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// A page of another origin sent the request (OWASP CSRF Prevention Cheat Sheet, Fetch Metadata). 403.
    #[error("another site sent this request")]
    CrossOrigin,
    /// The browser sent the request ahead of a click that may never come. 403.
    #[error("the browser sent this request ahead of time")]
    Prefetch,
    /// Nobody is logged in, and the request is not a navigation that could go to the login page. 401.
    #[error("nobody is logged in")]
    NotLoggedIn,
    /// Somebody is logged in, who may not do this. 403.
    #[error("you may not do this")]
    NotPermitted,
    /// Whoever is logged in has to prove it again in this way, such as by `"password"`
    /// ([`Session::confirm`](crate::Session::confirm)). 401.
    #[error("please prove again who you are ({0})")]
    NotConfirmed(&'static str),
}

impl Refusal {
    /// The HTTP status of the answer: 401 if a login or a proof is missing, 403 otherwise.
    ///
    /// ```
    /// use lambda_session::Refusal;
    ///
    /// assert_eq!(Refusal::CrossOrigin.status(), 403);
    /// ```
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::CrossOrigin | Self::Prefetch | Self::NotPermitted => StatusCode::FORBIDDEN,
            Self::NotLoggedIn | Self::NotConfirmed(_) => StatusCode::UNAUTHORIZED,
        }
    }

    /// The answer to the visitor: a short text with the [`status`](Self::status) and `Cache-Control: no-store`. The
    /// response's extensions hold the refusal, so a middleware can replace the text with a page.
    ///
    /// A 401 carries `WWW-Authenticate: Cookie`, because RFC 9110 (section 15.5.2) requires a challenge and no
    /// registered scheme describes a login form. Browsers show no dialog for a scheme they do not know. If a proof is
    /// missing, the header `WWW-Confirm` says which, such as `password`.
    ///
    /// ```
    /// use http::Response;
    /// use lambda_session::Refusal;
    ///
    /// let mut response: Response<String> = Refusal::CrossOrigin.into_response();
    /// // A middleware may replace the text:
    /// if let Some(refusal) = response.extensions().get::<Refusal>() {
    ///     *response.body_mut() = format!("<h1>Not done: {refusal}</h1>");
    /// }
    /// assert_eq!(response.body(), "<h1>Not done: another site sent this request</h1>");
    /// ```
    #[must_use]
    pub fn into_response<B: From<String>>(self) -> Response<B> {
        let mut response = short_answer(self.status(), format!("{self}\n"));
        let headers = response.headers_mut();
        if self.status() == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Cookie"));
        }
        if let Self::NotConfirmed(how) = self
            && let Ok(how) = HeaderValue::from_str(how)
        {
            headers.insert(WWW_CONFIRM, how);
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// Says what has to be proved again.
const WWW_CONFIRM: HeaderName = HeaderName::from_static("www-confirm");

#[cfg(test)]
mod tests;
