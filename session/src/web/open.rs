//! A session from a request's headers to the headers of its answer: what the layer does, and what a framework without
//! tower asks for.

use std::sync::Arc;

use http::header::GetAll;
use http::{HeaderMap, HeaderValue, Method, Request, Response, header};

use crate::protocol::error::SessionError;
use crate::session::found::CookieAction;
use crate::session::lazy::LazySession;
use crate::session::request::RequestSession;
use crate::session::state::Outcome;
#[cfg(feature = "bound")]
use crate::web::bound::{BoundVisit, REGISTRATION};
use crate::web::is_prefetch;
use crate::web::layer::SessionLayer;

/// The session of one request to a framework without tower. See [`SessionLayer::open`].
#[must_use = "`close` saves the session"]
pub struct OpenSession {
    session: LazySession,
    layer: SessionLayer,
    #[cfg(feature = "bound")]
    binding: Option<BoundVisit>,
}

impl SessionLayer {
    /// Opens the session of a request with these headers, for a framework that has no tower services. It reads nothing
    /// from the store yet. [Close](OpenSession::close) it when the answer is made. `examples/hyper.rs` is a complete
    /// program.
    ///
    /// The headers tell neither the method nor the URI. So a `HEAD` is treated like a `GET`, and the function given to
    /// [`polling`](crate::SessionLayerBuilder::polling) gets the URI `/`. Use [`LazySession::peek`] for a request that
    /// must not keep the session alive. Sessions are not [bound](crate::SessionLayerBuilder::bound) here, because only
    /// the tower layer answers the two requests by which a browser binds a session. A session that was bound elsewhere
    /// opens only with its second cookie, as everywhere. If the owner of such a session logs in again here, the browser
    /// cannot register a key for the new session, and the session stops opening after ten minutes. Let a service behind
    /// the tower layer handle such logins.
    ///
    /// ```
    /// use http::HeaderMap;
    /// use lambda_session::{SessionError, SessionLayer};
    ///
    /// /// Returns the text of a page, and the headers to add to its answer.
    /// async fn visits(sessions: &SessionLayer, headers: &HeaderMap) -> Result<(String, HeaderMap), SessionError> {
    ///     let opened = sessions.open(headers);
    ///     let visits = opened.session().load().await?.increment("visits", 1)?;
    ///     let (headers, failed) = opened.close().await;
    ///     failed.map_or_else(|| Ok((format!("Visit number {visits}"), headers)), Err)
    /// }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let keys = lambda_session::Keys::new(b"a long and random secret of at least 32 bytes")?;
    /// # let sessions = SessionLayer::builder(lambda_session::MemoryStore::default(), keys).build()?;
    /// # let (_, headers) = visits(&sessions, &HeaderMap::new()).await?;
    /// # let cookie = headers["set-cookie"].to_str()?.split(';').next().unwrap_or_default();
    /// # let mut again = HeaderMap::new();
    /// # again.insert("cookie", cookie.parse()?);
    /// # assert_eq!(visits(&sessions, &again).await?.0, "Visit number 2");
    /// # Ok(())
    /// # }
    /// ```
    pub fn open(&self, headers: &HeaderMap) -> OpenSession {
        let mut request = Request::new(());
        request.headers_mut().clone_from(headers);
        self.open_request(&request)
    }

    pub(super) fn open_request<B>(&self, request: &Request<B>) -> OpenSession {
        let settings = &self.settings;
        let ids = settings.cookie.read(request.headers());
        #[cfg(feature = "bound")]
        let binding = self.bound.clone();
        #[cfg(feature = "bound")]
        let binding = binding.map(|bound| bound.visit(request, &ids, settings.moment().now));
        let deadline = request.extensions().get().copied();
        let mut session = RequestSession::new(Arc::clone(settings), ids, deadline);
        session.unseen = request.method() == Method::HEAD || is_prefetch(request.headers());
        session.polls = settings.polling.as_ref().is_some_and(|polling| polling(request.uri()));
        #[cfg(feature = "bound")]
        if let Some(binding) = &binding {
            session.state().found.second.clone_from(&binding.second);
        }
        OpenSession {
            session: LazySession(Arc::new(session)),
            layer: self.clone(),
            #[cfg(feature = "bound")]
            binding,
        }
    }
}

impl OpenSession {
    /// The session.
    #[must_use]
    pub fn session(&self) -> &LazySession {
        &self.session
    }

    /// Saves the session. Returns the headers to add to the answer (`Set-Cookie`, `Cache-Control`, `Vary`), and the
    /// error with which to answer if the session could not be saved. Replace headers of these names except for
    /// `Set-Cookie`.
    pub async fn close(self) -> (HeaderMap, Option<SessionError>) {
        let Outcome { cookie, failed } = self.session.0.finish().await;
        let mut answer = Response::new(());
        self.set_headers(&cookie, &mut answer);
        // Nobody would answer the requests by which the browser registers a key.
        #[cfg(feature = "bound")]
        answer.headers_mut().remove(REGISTRATION);
        (std::mem::take(answer.headers_mut()), failed)
    }

    /// The layer's own answer to a request of the browser about a bound session.
    #[cfg(feature = "bound")]
    pub(super) fn own_answer(&self) -> Option<impl Future<Output = Response<String>> + Send + use<>> {
        let BoundVisit { bound, asked, .. } = self.binding.as_ref()?;
        Some(Arc::clone(bound).answer(asked.clone()?, self.session.clone()))
    }

    /// Sets the session's headers in the response: `Set-Cookie` as `action` says, and the headers that control caches.
    pub(super) fn set_headers<B>(self, action: &CookieAction, response: &mut Response<B>) {
        let cookie = &self.layer.settings.cookie;
        match action {
            CookieAction::Keep => {}
            CookieAction::Issue(id, max_age, _) => set_cookie(response, cookie.issue(id, *max_age)),
            CookieAction::Clear => set_cookie(response, cookie.clear()),
        }
        #[cfg(feature = "bound")]
        if let Some(binding) = self.binding {
            binding.finish(action, &self.session, response);
        }
        if self.session.0.is_used() {
            mark_private(response);
        }
    }
}

/// `Debug` shows no ID.
impl std::fmt::Debug for OpenSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenSession")
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

/// Sets the cookie and forbids caching, whatever the handler says: a cache would give one visitor's session to another.
fn set_cookie<B>(response: &mut Response<B>, value: HeaderValue) {
    let headers = response.headers_mut();
    headers.append(header::SET_COOKIE, value);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

/// Keeps caches from giving another visitor an answer that was made with a session (RFC 9111, section 4.1; RFC
/// 6265bis, section 8.8). A `Cache-Control` that the handler has set stays.
fn mark_private<B>(response: &mut Response<B>) {
    let headers = response.headers_mut();
    let vary = with_cookie(headers.get_all(header::VARY));
    headers.insert(header::VARY, vary);
    let no_store = HeaderValue::from_static("no-store");
    headers.entry(header::CACHE_CONTROL).or_insert(no_store);
}

/// All values of `Vary` and the cookie's name as one value, because payload format 2.0 keeps only one header of a name.
/// `*` says more than any name, and stands alone (RFC 9110, section 12.5.5).
fn with_cookie(vary: GetAll<'_, HeaderValue>) -> HeaderValue {
    let values: Vec<_> = vary
        .iter()
        .map(HeaderValue::as_bytes)
        .filter(|value| !value.is_empty())
        .collect();
    let names = |name: &[u8]| {
        let mut names = values.iter().flat_map(|value| value.split(|&byte| byte == b','));
        names.any(|named| named.trim_ascii().eq_ignore_ascii_case(name))
    };
    if values.is_empty() {
        return HeaderValue::from_static("Cookie");
    }
    if names(b"*") {
        return HeaderValue::from_static("*");
    }
    let cookie = (!names(b"Cookie")).then_some(&b"Cookie"[..]);
    let all: Vec<_> = values.iter().copied().chain(cookie).collect();
    HeaderValue::from_bytes(&all.join(&b", "[..])).expect("values with commas between them are a value")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Keys, MemoryStore};

    #[tokio::test(flavor = "current_thread")]
    async fn a_framework_without_tower_gets_the_headers_of_a_login_without_a_registration() {
        let keys = Keys::new(b"a long and random secret of at least 32 bytes").unwrap();
        let layer = SessionLayer::builder(MemoryStore::default(), keys);
        #[cfg(feature = "bound")]
        let layer = layer.bound(true);
        let layer = layer.build().unwrap();

        let opened = layer.open(&HeaderMap::new());
        opened.session().load().await.unwrap().login("alice").unwrap();
        let (headers, failed) = opened.close().await;
        assert!(failed.is_none());
        assert_eq!(
            [header::VARY, header::CACHE_CONTROL].map(|name| headers[name].clone()),
            ["Cookie", "no-store"]
        );
        let cookie = headers[header::SET_COOKIE].to_str().unwrap();
        let (pair, _) = cookie.split_once(';').unwrap();
        assert_eq!(headers.len(), 3, "nobody would answer the registration: {headers:?}");

        let again = HeaderMap::from_iter([(header::COOKIE, pair.parse().unwrap())]);
        let opened = layer.open(&again);
        assert_eq!(opened.session().load().await.unwrap().owner().as_deref(), Some("alice"));
        let shown = format!("{opened:?}");
        assert!(shown.starts_with("OpenSession { session: LazySession"), "{shown}");
        assert!(!shown.contains(&pair["__Host-session=".len()..][..43]), "{shown}");
    }
}
