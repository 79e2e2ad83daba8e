//! The layer that lets a request pass only if the visitor is logged in and meets further requirements, if any are set.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt as _, ready};
use http::{HeaderValue, Request, Response};
use tower::Service;

use super::login_page::LoginPage;
use crate::core::refusal::Refusal;
use crate::protocol::error::SessionError;
use crate::session::Session;
use crate::session::lazy::LazySession;
use crate::web::body::ResponseBody;
#[cfg(feature = "axum")]
use crate::web::users::{self, Users};
use crate::web::{Layered, passed};

/// Lets a request pass only if the visitor is logged in. It can also require that the visitor [may do
/// this](Self::may_if), and that the visitor [has recently proved who they are](Self::confirmed_within).
///
/// Otherwise it answers as [`LoginPage::answer`] does: a navigation with a 303 to the login page, which gets the
/// requested page as `next`, and any other request with 401. A visitor who is logged in but may not do this gets 403.
/// The extensions of a 401 or 403 hold a [`SessionError`](crate::SessionError) of the kind
/// [`Refused`](crate::SessionErrorKind::Refused), which contains the [`Refusal`]. Requests for the login page itself
/// always pass.
///
/// The layer goes inside a [`SessionLayer`](crate::SessionLayer). It loads the session with one read of the store,
/// which the handler then need not repeat. If the store fails, or there is no `SessionLayer`, the answer is that of
/// [`SessionError::into_response`](crate::SessionError::into_response).
///
/// # Order
///
/// A request goes through [`SameOriginLayer`](crate::SameOriginLayer), then `SessionLayer`, then this layer. In axum,
/// the layer that is added last is the outermost; in a `tower::ServiceBuilder`, the first one is. Add this layer with
/// `route_layer`: with `layer`, it also answers for paths that do not exist. Keep pages outside this layer that
/// visitors need without a login, such as `/logout`: the login page would send the visitor back there as `next`, and so
/// log the visitor out again.
///
/// ```
/// use axum::Router;
/// use axum::routing::get;
/// use http::Request;
/// use lambda_session::{Keys, MemoryStore, RequireLoginLayer, SameOriginLayer, SessionLayer};
/// use tower::ServiceExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let keys = Keys::new(b"a long and random secret of at least 32 bytes")?;
/// let members = Router::new()
///     .route("/orders", get(async || "your orders"))
///     .route_layer(RequireLoginLayer::new("/login"));
/// let app: Router = Router::new()
///     .route("/login", get(async || "the form"))
///     .merge(members)
///     .layer(SessionLayer::builder(MemoryStore::default(), keys).build()?)
///     .layer(SameOriginLayer::new().also("/logout"));
///
/// let visit = Request::get("/orders?page=2").header("sec-fetch-mode", "navigate").body(String::new())?;
/// let answer = app.oneshot(visit).await?;
/// assert_eq!(answer.status(), 303);
/// assert_eq!(answer.headers()["location"], "/login?next=/orders%3Fpage%3D2");
/// # Ok(())
/// # }
/// ```
///
/// # Stages, base paths and nested routers
///
/// Write a path as the whole site's routes have it, with the prefixes of nested routers and without an API Gateway's
/// stage or a custom domain's base path. Each visitor is sent to it, and back, through the stage or base path by
/// which the request came.
///
/// A path with that stage or base path means the same page. An HTTP API's payload format 2.0 [does not name a custom
/// domain's API
/// mapping](https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html); if
/// the mapping has a path, choose payload format 1.0.
#[derive(Clone)]
pub struct RequireLoginLayer {
    /// In the order in which they are asked. The first says whether anybody is logged in.
    requirements: Vec<Requirement>,
}

/// Something that has to hold of a session, and what a visitor is told if it does not.
#[derive(Clone)]
pub(crate) struct Requirement {
    holds: Holds,
    refusal: Refusal,
    /// The page where the visitor can meet the requirement.
    page: Option<LoginPage>,
}

type Holds = Arc<dyn Fn(&Session) -> BoxFuture<'static, Result<bool, SessionError>> + Send + Sync>;

impl RequireLoginLayer {
    /// Sends visitors who are not logged in to `login`, the path of the login page as the site's routes have it, with
    /// or without a query.
    ///
    /// # Panics
    ///
    /// Panics if `login` is not a path that [`local_path`](crate::local_path) accepts, or has a fragment.
    ///
    /// ```
    /// use lambda_session::RequireLoginLayer;
    ///
    /// let require_login = RequireLoginLayer::new("/login");
    /// ```
    #[must_use]
    #[track_caller]
    pub fn new(login: impl Into<String>) -> Self {
        let logged_in = Requirement {
            holds: at_once(|session| session.owner().is_some() || session.contains_key("username")),
            refusal: Refusal::NotLoggedIn,
            page: Some(LoginPage::new(login)),
        };
        Self {
            requirements: vec![logged_in],
        }
    }

    /// Sets the function that decides whether the visitor is logged in. By default, a visitor is logged in if the
    /// session has an [owner](Session::owner) or a variable `username`. The function replaces only this check: other
    /// requirements, such as [`users`](Self::users), still apply.
    ///
    /// ```
    /// # use lambda_session::RequireLoginLayer;
    /// let members = RequireLoginLayer::new("/login").logged_in_if(|session| session.contains_key("member"));
    /// ```
    #[must_use]
    pub fn logged_in_if(mut self, logged_in: impl Fn(&Session) -> bool + Send + Sync + 'static) -> Self {
        self.requirements[0].holds = at_once(logged_in);
        self
    }

    /// Lets a request pass only if `may` returns `true` for its session. A visitor who is logged in gets 403 otherwise.
    ///
    /// ```
    /// # use lambda_session::RequireLoginLayer;
    /// let admins = RequireLoginLayer::new("/login")
    ///     .may_if(|session| session.get::<String>("role").is_ok_and(|role| role.as_deref() == Some("admin")));
    /// ```
    #[must_use]
    pub fn may_if(self, may: impl Fn(&Session) -> bool + Send + Sync + 'static) -> Self {
        self.and(at_once(may), Refusal::NotPermitted, None)
    }

    /// Lets a request pass only if the visitor has proved who they are by `how`, such as `"password"`, within the last
    /// `time` ([`Session::confirm`]). Otherwise a navigation is redirected to `page`, where the visitor gives the proof
    /// again; `next` names the page to go back to. Any other request gets 401 with the header `WWW-Confirm`, such as
    /// `WWW-Confirm: password`. Requests for `page` itself do not need the proof.
    ///
    /// OWASP ASVS 5.0 (7.5.1, 7.5.2) requires such a proof before a visitor changes account data that logins depend on,
    /// such as the email address, and before a visitor ends other sessions of the account.
    ///
    /// # Panics
    ///
    /// Panics if `page` is not a path that [`local_path`](crate::local_path) accepts, or has a fragment, or if `how` is
    /// not valid as a header value.
    ///
    /// ```
    /// # use lambda_session::RequireLoginLayer;
    /// use std::time::Duration;
    ///
    /// let ten_minutes = Duration::from_secs(10 * 60);
    /// let confirmed = RequireLoginLayer::new("/login").confirmed_within("password", ten_minutes, "/confirm");
    /// ```
    #[must_use]
    #[track_caller]
    pub fn confirmed_within(self, how: &'static str, time: Duration, page: impl Into<String>) -> Self {
        assert!(
            HeaderValue::from_str(how).is_ok(),
            "a proof's name has to be valid as a header value, and {how:?} is not"
        );
        let page = LoginPage::new(page);
        let confirmed = at_once(move |session| session.confirmed_within(how, time));
        self.and(confirmed, Refusal::NotConfirmed(how), Some(page))
    }

    /// Lets a request pass only if [`CurrentUser`](crate::CurrentUser) finds the visitor among `users`. Anybody else is
    /// answered like a visitor who is not logged in. This takes one look-up, which the handler then need not repeat.
    ///
    /// ```
    /// # use lambda_session::{RequireLoginLayer, Users};
    /// # fn guard(people: impl Users) -> RequireLoginLayer {
    /// RequireLoginLayer::new("/login").users(people)
    /// # }
    /// ```
    #[cfg(feature = "axum")]
    #[must_use]
    pub fn users(self, users: impl Users) -> Self {
        self.one_of(&Arc::new(users))
    }

    /// Lets a request pass only if the visitor is one of `users`, as with [`users`](Self::users), and [may](Users::may)
    /// do what `permission` says. A user who may not gets 403.
    ///
    /// ```
    /// # use lambda_session::{RequireLoginLayer, Users};
    /// # fn guard(people: impl Users<Permission = &'static str>) -> RequireLoginLayer {
    /// RequireLoginLayer::new("/login").may(people, "orders.cancel")
    /// # }
    /// ```
    #[cfg(feature = "axum")]
    #[must_use]
    pub fn may<U: Users>(self, users: U, permission: U::Permission) -> Self {
        let users = Arc::new(users);
        let one_of = self.one_of(&users);
        let permission = Arc::new(permission);
        let may: Holds = Arc::new(move |session| {
            let (session, users, permission) = (session.clone(), Arc::clone(&users), Arc::clone(&permission));
            async move { users::may(&session, &*users, &permission).await }.boxed()
        });
        one_of.and(may, Refusal::NotPermitted, None)
    }

    #[cfg(feature = "axum")]
    fn one_of<U: Users>(self, users: &Arc<U>) -> Self {
        let (users, login) = (Arc::clone(users), self.requirements[0].page.clone());
        let is_one: Holds = Arc::new(move |session| {
            let (session, users) = (session.clone(), Arc::clone(&users));
            async move { Ok(users::current(&session, &*users).await?.is_some()) }.boxed()
        });
        self.and(is_one, Refusal::NotLoggedIn, login)
    }

    /// Sets the name of the parameter that holds the page to go back to. The default is `next`.
    ///
    /// ```
    /// # use lambda_session::RequireLoginLayer;
    /// let require_login = RequireLoginLayer::new("/login").next_name("return_to");
    /// ```
    #[must_use]
    pub fn next_name(mut self, name: impl Into<String>) -> Self {
        let name: Arc<str> = name.into().into();
        for page in self.requirements.iter_mut().filter_map(|it| it.page.as_mut()) {
            page.next_name = Arc::clone(&name);
        }
        self
    }

    /// Returns the first requirement that does not hold.
    pub(crate) async fn missing(&self, session: &Session) -> Result<Option<&Requirement>, SessionError> {
        for requirement in &self.requirements {
            if !(requirement.holds)(session).await? {
                return Ok(Some(requirement));
            }
        }
        Ok(None)
    }

    /// Adds a requirement, whose page gets the parameter of the login page.
    fn and(mut self, holds: Holds, refusal: Refusal, mut page: Option<LoginPage>) -> Self {
        if let (Some(page), Some(login)) = (&mut page, &self.requirements[0].page) {
            page.next_name = Arc::clone(&login.next_name);
        }
        self.requirements.push(Requirement { holds, refusal, page });
        self
    }
}

fn at_once(holds: impl Fn(&Session) -> bool + Send + Sync + 'static) -> Holds {
    Arc::new(move |session| ready(Ok(holds(session))).boxed())
}

/// `Debug` omits the functions.
impl fmt::Debug for RequireLoginLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let requirements = self.requirements.iter().map(|it| (it.refusal, &it.page));
        f.debug_map().entries(requirements).finish()
    }
}

layer!(RequireLoginLayer);

/// The service that [`RequireLoginLayer`] makes.
pub type RequireLoginService<S> = Layered<RequireLoginLayer, S>;

impl<S, Q, R> Service<Request<Q>> for RequireLoginService<S>
where
    S: Service<Request<Q>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send,
    Q: Send + 'static,
    R: Send,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Q>) -> Self::Future {
        let is_for = |requirement: &Requirement| requirement.page.as_ref().is_some_and(|page| page.is_for(&request));
        if is_for(&self.layer.requirements[0]) {
            return passed(self.inner.call(request));
        }
        let mut guard = self.layer.clone();
        guard.requirements.retain(|requirement| !is_for(requirement));
        let session = LazySession::of(&request);
        // `inner` is ready and is called; its clone, which may not be ready, takes its place (tower's `Service::call`).
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        Box::pin(async move {
            let missing = async { guard.missing(&session?.load().await?).await };
            match missing.await {
                Ok(None) => Ok(ResponseBody::of(inner.call(request).await?)),
                Ok(Some(Requirement { refusal, page, .. })) => Ok(match page {
                    Some(page) => page.answer(&request, *refusal),
                    None => refusal.into_response(),
                }),
                Err(error) => Ok(error.into_response()),
            }
        })
    }
}

#[cfg(test)]
mod tests;
