//! The builder's settings of bound sessions.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use super::{BuildError, SessionLayerBuilder};
use crate::core::bound::tokens::Tokens;
use crate::core::cookie::attributes::is_path;
use crate::web::bound::Bound;

/// How sessions are bound to their devices.
#[derive(Debug)]
pub(in crate::config) struct Settings {
    pub(in crate::config) bound: bool,
    pub(super) life: u64,
    pub(super) path: Cow<'static, str>,
}

impl SessionLayerBuilder {
    /// Sets whether sessions are bound to the visitor's device where the browser can do it: `false` unless set.
    ///
    /// A login then asks the browser to make a key pair, whose private key stays on the device and cannot be copied. So
    /// does a renewal of a session that is not bound. From a minute after the browser has sent the public key, the
    /// session is open only to requests that also carry a second cookie, named like the first one with `-bound` behind
    /// it. It is good for ten minutes, and the browser gets the next one by proving that it has the private key. So
    /// copied cookies open nothing after ten minutes. A request without the second cookie is answered as if it had no
    /// session, and changes nothing. Browsers that cannot bind sessions are served as before
    /// ([`Session::is_bound`](crate::Session::is_bound) tells whether a session is bound). See the
    /// [guide](crate::guide#bound-sessions).
    ///
    /// The layer answers the browser's two requests itself: `POST /.session/bind` and `POST /.session/refresh`. Let
    /// both through to it. A layer with `false` opens bound sessions without the second cookie, so binding can be
    /// turned on and off where sessions are alive.
    ///
    /// ```
    /// # use lambda_session::{Keys, MemoryStore, SessionLayer};
    /// # let (store, keys) = (MemoryStore::default(), Keys::new(b"a long and random secret of at least 32 bytes")?);
    /// let sessions = SessionLayer::builder(store, keys).bound(true).build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn bound(mut self, bound: bool) -> Self {
        self.bound.bound = bound;
        self
    }

    /// Sets for how long the second cookie of a [bound](Self::bound) session is good: ten minutes unless set. Copied
    /// cookies are good for at most this time. Fractions of a second are ignored.
    ///
    /// ```
    /// # use lambda_session::{Keys, MemoryStore, SessionLayer};
    /// use std::time::Duration;
    ///
    /// # let (store, keys) = (MemoryStore::default(), Keys::new(b"a long and random secret of at least 32 bytes")?);
    /// let sessions = SessionLayer::builder(store, keys).bound(true).bound_for(Duration::from_secs(5 * 60)).build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn bound_for(mut self, duration: Duration) -> Self {
        self.bound.life = duration.as_secs();
        self
    }

    /// Sets the folder of the two paths that the layer answers for [bound](Self::bound) sessions: `/.session` unless
    /// set, so that they are `/.session/bind` and `/.session/refresh`. Set it where a stage or a proxy puts something
    /// before the paths that the browser sees, or where two layers bind sessions.
    ///
    /// ```
    /// # use lambda_session::{Keys, MemoryStore, SessionLayer};
    /// # let (store, keys) = (MemoryStore::default(), Keys::new(b"a long and random secret of at least 32 bytes")?);
    /// let sessions = SessionLayer::builder(store, keys).bound(true).bound_path("/prod/.session").build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn bound_path(mut self, path: impl Into<Cow<'static, str>>) -> Self {
        self.bound.path = path.into();
        self
    }

    /// Makes the part of the layer that binds the sessions of the cookie with this whole name; `None` if sessions are
    /// not bound.
    pub(super) fn make_bound(&self, name: &str) -> Result<Option<Arc<Bound>>, BuildError> {
        let Settings { bound, life, path } = &self.bound;
        if !bound {
            return Ok(None);
        }
        let attributes = &self.attributes;
        if !attributes.secure {
            return Err(BuildError::NeedsSecure("a bound session"));
        }
        if attributes.partitioned {
            return Err(BuildError::BoundPartitioned);
        }
        if *life == 0 {
            return Err(BuildError::NoTime("time of a bound session's second cookie"));
        }
        if !is_path(path) || path.contains('"') || path.contains('\\') {
            return Err(BuildError::Path(path.clone().into_owned()));
        }
        let tokens = Tokens::new(&self.keys, name);
        let (tail, domain) = (attributes.tail(), attributes.domain.as_deref());
        Ok(Some(Arc::new(Bound::new(tokens, name, tail, domain, *life, path))))
    }
}
