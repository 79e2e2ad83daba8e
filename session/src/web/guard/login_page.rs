//! The site's login page, and who is sent there.

use std::sync::Arc;

use http::{Response, StatusCode, header};
use percent_encoding::utf8_percent_encode;

use super::Refusal;
use super::asked::Asked;
use super::next::{RESERVED, local_path};

/// The path of the login page, with or without a query, as the site's routes have it.
#[derive(Clone, Debug)]
pub(crate) struct LoginPage(Arc<str>);

impl LoginPage {
    /// # Panics
    ///
    /// Panics if `path` is not a path that [`local_path`] accepts, or has a fragment.
    #[track_caller]
    pub(crate) fn new(path: String) -> Self {
        assert!(
            local_path(&path).is_some() && !path.contains('#'),
            "the login page has to be a path of this site, and {path:?} is not"
        );
        Self(path.into())
    }

    /// Whether this is what the browser asks for.
    pub(crate) fn is(&self, asked: &Asked<'_>) -> bool {
        self.0.split('?').next().is_some_and(|path| asked.is_for(path))
    }

    /// The answer to a visitor who is not logged in: the way to the login page for a navigation, and otherwise a
    /// refusal.
    pub(crate) fn answer<R: From<String>>(&self, asked: &Asked<'_>) -> Response<R> {
        let redirect = asked.is_navigation().then(|| {
            let answer = Response::builder()
                .status(StatusCode::SEE_OTHER)
                .header(header::LOCATION, self.location(asked))
                .header(header::CACHE_CONTROL, "no-store");
            answer.body(String::new().into()).ok()
        });
        redirect
            .flatten()
            .unwrap_or_else(|| Refusal::NotLoggedIn.into_response())
    }

    /// The address of the login page for this browser, with the requested page as `next` if it is on this site.
    fn location(&self, asked: &Asked<'_>) -> String {
        let login = asked.outside(&self.0);
        match local_path(&asked.path_and_query()) {
            Some(next) => {
                let separator = if login.contains('?') { '&' } else { '?' };
                format!("{login}{separator}next={}", utf8_percent_encode(next, RESERVED))
            }
            None => login.into_owned(),
        }
    }
}
