//! Who somebody is: the site's users, and axum's extractors for the one who is logged in.

use std::error::Error;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts, OptionalFromRequestParts};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::request::Parts;
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;

use crate::core::refusal::Refusal;
use crate::protocol::error::SessionError;
use crate::session::Session;
use crate::session::lazy::LazySession;

/// The users of a site: how one is found, and what one may.
///
/// Implement it for a handle to your table of users, and give the handle to axum's state, as it is or as a part
/// ([`FromRef`]). Then handlers take [`CurrentUser`] and [`Auth`], and guards
/// [`RequireLoginLayer::users`](crate::RequireLoginLayer::users) and
/// [`RequireLoginLayer::may`](crate::RequireLoginLayer::may). There is no other layer than
/// [`SessionLayer`](crate::SessionLayer).
///
/// A request makes at most one look-up, however many extractors and guards ask, and none if nobody is logged in.
///
/// ```
/// use std::collections::HashMap;
/// use std::convert::Infallible;
/// use std::sync::Arc;
///
/// use lambda_session::Users;
///
/// #[derive(Clone)]
/// struct Person {
///     name: String,
///     password_hash: String,
///     is_editor: bool,
/// }
///
/// #[derive(PartialEq)]
/// enum Permission {
///     Read,
///     Write,
/// }
///
/// #[derive(Clone)]
/// struct People(Arc<HashMap<String, Person>>);
///
/// impl Users for People {
///     type User = Person;
///     type Permission = Permission;
///     type Error = Infallible;
///
///     fn id(&self, person: &Person) -> String {
///         person.name.clone()
///     }
///
///     fn stamp(&self, person: &Person) -> String {
///         person.password_hash.clone()
///     }
///
///     async fn find(&self, id: &str) -> Result<Option<Person>, Infallible> {
///         Ok(self.0.get(id).cloned())
///     }
///
///     async fn may(&self, person: &Person, permission: &Permission) -> Result<bool, Infallible> {
///         Ok(person.is_editor || *permission == Permission::Read)
///     }
/// }
/// ```
#[doc(alias = "AuthnBackend")]
#[doc(alias = "AuthzBackend")]
#[doc(alias = "AuthUser")]
pub trait Users: Send + Sync + 'static {
    /// One user.
    type User: Clone + Send + Sync + 'static;
    /// What a user may or may not do: an enum, a text, or `()` on a site where everybody may the same.
    type Permission: Send + Sync + 'static;
    /// The error of a look-up. It becomes the source of a [`SessionError`] of the kind
    /// [`Users`](crate::SessionErrorKind::Users), and its text is logged.
    type Error: Into<Box<dyn Error + Send + Sync>>;

    /// Returns what identifies the user for ever, such as the primary key: what [`Session::login`] is told, and what
    /// [`Session::owner`] returns. It has 1 to 512 bytes.
    fn id(&self, user: &Self::User) -> String;

    /// Returns a text that changes with the user's password, such as its hash or a counter of changes. When it has
    /// changed, the sessions that began before end at their next request (OWASP ASVS 5.0, 7.4.3). The session keeps
    /// only a SHA-256 hash of it.
    ///
    /// The default is empty, for users who have no password here. A session that began by [`Session::login`] instead of
    /// [`Auth::login`] counts as one with an empty stamp.
    #[doc(alias = "session_auth_hash")]
    fn stamp(&self, user: &Self::User) -> String {
        let _ = user;
        String::new()
    }

    /// Finds the user with this ID. Returns `None` if there is no such user, or if the user was deleted; the session
    /// then ends (OWASP ASVS 5.0, 7.4.2). Use a strongly consistent read: a replica that lags behind does not know new
    /// users yet, and they would be logged out.
    ///
    /// # Errors
    ///
    /// It is not known whether there is such a user. The request is answered with 503, and the session stays.
    #[doc(alias = "get_user")]
    fn find(&self, id: &str) -> impl Future<Output = Result<Option<Self::User>, Self::Error>> + Send;

    /// Returns whether the user may do this. The default is `false`.
    ///
    /// # Errors
    ///
    /// It is not known. The request is answered with 503.
    #[doc(alias = "has_perm")]
    #[doc(alias = "get_group_permissions")]
    fn may(
        &self,
        user: &Self::User,
        permission: &Self::Permission,
    ) -> impl Future<Output = Result<bool, Self::Error>> + Send {
        let _ = (user, permission);
        async { Ok(false) }
    }
}

/// The session's owner and stamp when `U` looked the user up, and the user.
struct Known<U: Users>(String, Option<String>, U::User);

/// What `U` has found for a request. The lock is held during the look-up, so that there is only one.
type Found<U> = Arc<Mutex<Option<Known<U>>>>;

/// Returns the user who is logged in. A session whose user was deleted, or whose stamp has changed, is emptied and gets
/// a new ID if anything is put into it; otherwise it ends with the request.
pub(crate) async fn current<U: Users>(session: &Session, users: &U) -> Result<Option<U::User>, SessionError> {
    let found: Found<U> = session.0.of_type();
    let mut found = found.lock().await;
    let Some(owner) = session.owner() else { return Ok(None) };
    let stamp = session.stamp();
    if let Some(Known(of, with, user)) = &*found
        && *of == owner
        && *with == stamp
    {
        return Ok(Some(user.clone()));
    }
    let user = users.find(&owner).await.map_err(SessionError::users)?;
    let user = user.filter(|user| stamp == hashed(&owner, &users.stamp(user)));
    if user.is_none() {
        tracing::info!(
            event = "stale session",
            "the session's user was deleted, or the user's stamp has changed"
        );
        session.state().disown();
    }
    *found = user.clone().map(|user| Known(owner, stamp, user));
    Ok(user)
}

/// Returns whether the user who is logged in may do this; `false` if nobody is.
pub(crate) async fn may<U: Users>(
    session: &Session,
    users: &U,
    permission: &U::Permission,
) -> Result<bool, SessionError> {
    match current(session, users).await? {
        Some(user) => users.may(&user, permission).await.map_err(SessionError::users),
        None => Ok(false),
    }
}

/// Returns what a session keeps of a stamp: nothing of an empty one, and otherwise a hash, because a stamp may be the
/// hash of a password.
fn hashed(owner: &str, stamp: &str) -> Option<String> {
    let hash = || {
        Sha256::new()
            .chain_update(b"lambda-session stamp 1\0")
            .chain_update((owner.len() as u64).to_be_bytes())
            .chain_update(owner)
            .chain_update(stamp)
    };
    (!stamp.is_empty()).then(|| URL_SAFE_NO_PAD.encode(hash().finalize()))
}

/// The user who is logged in, as axum's extractor. If nobody is, the answer is 401
/// ([`Refusal::NotLoggedIn`]). `Option<CurrentUser<U>>` is for pages that anybody may see.
///
/// A visitor counts as not logged in if the user was deleted, or if the [stamp](Users::stamp) has changed since the
/// login. If the look-up fails, the answer is 503.
///
/// ```
/// use lambda_session::{CurrentUser, Users};
/// # use std::convert::Infallible;
/// # #[derive(Clone)]
/// # struct Person { name: String }
/// # #[derive(Clone)]
/// # struct People;
/// # impl Users for People {
/// #     type User = Person;
/// #     type Permission = ();
/// #     type Error = Infallible;
/// #     fn id(&self, person: &Person) -> String { person.name.clone() }
/// #     async fn find(&self, id: &str) -> Result<Option<Person>, Infallible> { Ok(Some(Person { name: id.to_owned()
/// })) }
/// # }
///
/// async fn orders(CurrentUser(person): CurrentUser<People>) -> String {
///     format!("Orders of {}", person.name)
/// }
///
/// async fn home(user: Option<CurrentUser<People>>) -> String {
///     match user {
///         Some(user) => format!("Hello {}", user.name),
///         None => "Hello stranger".to_owned(),
///     }
/// }
///
/// # use axum::{Router, routing::get};
/// # let app: Router =
/// Router::new().route("/", get(home)).route("/orders", get(orders)).with_state(People)
/// # ;
/// ```
#[derive(Clone)]
pub struct CurrentUser<U: Users>(pub U::User);

impl<U: Users> Deref for CurrentUser<U> {
    type Target = U::User;

    fn deref(&self) -> &U::User {
        &self.0
    }
}

/// `Debug` omits the user, whose type may have none and who may have a secret.
impl<U: Users> fmt::Debug for CurrentUser<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CurrentUser").finish_non_exhaustive()
    }
}

impl<S, U> FromRequestParts<S> for CurrentUser<U>
where
    S: Send + Sync,
    U: Users + FromRef<S>,
{
    type Rejection = SessionError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, SessionError> {
        let user = <Self as OptionalFromRequestParts<S>>::from_request_parts(parts, state).await?;
        Ok(user.ok_or(Refusal::NotLoggedIn)?)
    }
}

impl<S, U> OptionalFromRequestParts<S> for CurrentUser<U>
where
    S: Send + Sync,
    U: Users + FromRef<S>,
{
    type Rejection = SessionError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, SessionError> {
        let auth: Auth<U> = Auth::from_request_parts(parts, state).await?;
        Ok(auth.user().await?.map(Self))
    }
}

/// Logs users in and out, as axum's extractor. It reads nothing until it is asked.
///
/// ```
/// use axum::response::{Redirect, Result};
/// use lambda_session::{Auth, Users};
/// # use std::convert::Infallible;
/// # #[derive(Clone)]
/// # struct Person { name: String }
/// # #[derive(Clone)]
/// # struct People;
/// # impl People { async fn with_password(&self, form: String) -> Option<Person> { None } }
/// # impl Users for People {
/// #     type User = Person;
/// #     type Permission = ();
/// #     type Error = Infallible;
/// #     fn id(&self, person: &Person) -> String { person.name.clone() }
/// #     async fn find(&self, id: &str) -> Result<Option<Person>, Infallible> { Ok(Some(Person { name: id.to_owned()
/// })) }
/// # }
/// use axum::extract::State;
///
/// async fn log_in(auth: Auth<People>, State(people): State<People>, form: String) -> Result<Redirect> {
///     let Some(person) = people.with_password(form).await else {
///         return Ok(Redirect::to("/login?wrong"));
///     };
///     let session = auth.login(&person).await?;
///     session.confirm("password")?;
///     Ok(Redirect::to("/"))
/// }
///
/// async fn log_out(auth: Auth<People>) -> Redirect {
///     auth.logout();
///     Redirect::to("/")
/// }
/// # use axum::{Router, routing::post};
/// # let app: Router =
/// # Router::new().route("/login", post(log_in)).route("/logout", post(log_out)).with_state(People);
/// ```
#[doc(alias = "AuthSession")]
pub struct Auth<U> {
    users: U,
    session: LazySession,
}

impl<U: Users> Auth<U> {
    /// Returns the user who is logged in, as [`CurrentUser`] does.
    ///
    /// # Errors
    ///
    /// The store or the look-up failed.
    ///
    /// ```
    /// # use lambda_session::{Auth, SessionError, Users};
    /// # async fn view<U: Users>(auth: Auth<U>) -> Result<(), SessionError> {
    /// let user = auth.user().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn user(&self) -> Result<Option<U::User>, SessionError> {
        current(&self.session.load().await?, &self.users).await
    }

    /// Logs `user` in by [`Session::login`], with the user's [stamp](Users::stamp), and returns the session, which can
    /// note [how](Session::confirm) the user has proved it and [for how long](Session::lifetime) the session lives.
    /// This method checks no password.
    ///
    /// What the visitor did before the login stays, such as a basket, unless the session belongs to another user.
    ///
    /// After a change of the password, log the changed user in again: this session goes on under a new ID, and all
    /// other sessions of the user end at their next request.
    ///
    /// # Errors
    ///
    /// As for [`Session::login`], or the store failed.
    ///
    /// ```
    /// # use lambda_session::{Auth, SessionError, Users};
    /// # async fn password_changed<U: Users>(auth: Auth<U>, changed: U::User) -> Result<(), SessionError> {
    /// let session = auth.login(&changed).await?;
    /// session.flash("Your password is changed, and all other devices are logged out.")?;
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "update_session_auth_hash")]
    pub async fn login(&self, user: &U::User) -> Result<Session, SessionError> {
        let session = self.session.load().await?;
        let found: Found<U> = session.0.of_type();
        let mut found = found.lock().await;
        let id = self.users.id(user);
        if session.owner().is_some_and(|owner| owner != id) {
            // Also what this request has put into the other user's session.
            session.clear();
        }
        session.login(&id)?;
        let stamp = hashed(&id, &self.users.stamp(user));
        session.set_stamp(stamp.as_deref())?;
        *found = Some(Known(id, stamp, user.clone()));
        Ok(session)
    }

    /// Logs out: ends the session, without reading it.
    ///
    /// ```
    /// # use lambda_session::{Auth, Users};
    /// # fn log_out<U: Users>(auth: Auth<U>) {
    /// auth.logout();
    /// # }
    /// ```
    pub fn logout(&self) {
        self.session.end();
    }

    /// Returns whether the user who is logged in [may](Users::may) do this; `false` if nobody is logged in.
    ///
    /// # Errors
    ///
    /// The store or the look-up failed.
    ///
    /// ```
    /// # use lambda_session::{Auth, SessionError, Users};
    /// # async fn view<U: Users<Permission = &'static str>>(auth: Auth<U>) -> Result<(), SessionError> {
    /// if auth.may(&"orders.cancel").await? {
    ///     // Show the button.
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn may(&self, permission: &U::Permission) -> Result<bool, SessionError> {
        may(&self.session.load().await?, &self.users, permission).await
    }
}

/// Reads nothing from the store.
impl<S, U> FromRequestParts<S> for Auth<U>
where
    S: Send + Sync,
    U: Users + FromRef<S>,
{
    type Rejection = SessionError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, SessionError> {
        Ok(Self {
            users: U::from_ref(state),
            session: LazySession::in_extensions(&parts.extensions)?,
        })
    }
}

/// `Debug` omits the users.
impl<U> fmt::Debug for Auth<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth")
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
