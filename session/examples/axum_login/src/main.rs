//! An axum-login site whose sessions are in a store of lambda-session.
//!
//! ```sh
//! SECRET_KEY=$(openssl rand -hex 32) SESSION_COOKIE_SECURE=false cargo run -p axum_login -- --port 3000
//! ```
//!
//! `site` is a site as axum-login's users write it: an `AuthnBackend`, `login_required!`, and messages of
//! axum-messages. Only its "log out everywhere" knows lambda-session. `store` is all that tower-sessions needs to keep
//! its sessions here. This file puts both together. The guide's "An axum-login site on this store" says what holds for
//! such a site and what does not, and how to go on from here.
//!
//! Nothing here limits guesses of a password; the login to copy for that is the one of the example `passwords`.
//!
//! If `AWS_LAMBDA_RUNTIME_API` is set, as Lambda does, the program runs as a function. Its variables are those of
//! `SessionLayer::from_env` and `DynamoDbStore::from_env`: `SECRET_KEY`, `SESSION_COOKIE_SECURE` and `TABLE_NAME`
//! count, and tower-sessions has its own timeouts. Without `TABLE_NAME` everything is in memory.
//!
//! # Versions
//!
//! axum-login 0.18 and axum-messages 0.8, the newest releases, are on tower-sessions 0.14. `store.rs` serves
//! tower-sessions 0.15, too, and `tests/tower_sessions_15.rs` runs its tests there. But such a site has to do without
//! axum-login: to Rust, the `SessionStore` of 0.15 is another trait, and axum-login 0.18 takes only stores of 0.14.

#[cfg(test)]
mod logins;
mod site;
mod store;
#[cfg(test)]
mod tests;

use axum::http::{Request, Uri};
use axum_login::AuthManagerLayerBuilder;
use axum_messages::MessagesManagerLayer;
use lambda_session::{DynamoDbStore, MemoryStore, OwnerStore, SameOriginLayer, SessionLayer, lambda};
use sha2::{Digest as _, Sha512};
use tower::{Layer as _, ServiceExt as _};
use tower_sessions::cookie::{Key, SameSite, time::Duration};
use tower_sessions::{Expiry, SessionManagerLayer};

use crate::site::Backend;
use crate::store::TowerStore;

#[tokio::main]
async fn main() -> Result<(), lambda::Error> {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if set("TABLE_NAME") || set("AWS_LAMBDA_RUNTIME_API") {
        let store = DynamoDbStore::from_env()?;
        store.warm_up().await;
        return serve(store).await;
    }
    eprintln!("axum_login: TABLE_NAME is not set, so everything is in memory and ends with this program");
    serve(MemoryStore::default()).await
}

/// Puts the site on the store.
async fn serve<S: OwnerStore + Clone>(store: S) -> Result<(), lambda::Error> {
    // Checks the environment. Its sessions are the ones that the site's "log out everywhere" ends.
    let layer = SessionLayer::from_env(store.clone())?.build()?;
    let (sessions, secure) = (layer.sessions(), layer.is_secure());
    let store = TowerStore {
        store,
        sessions: sessions.clone(),
    };
    // Signed cookies, so that a forged one costs no store call.
    let key = Sha512::new()
        .chain_update("the cookie of axum_login\0")
        .chain_update(std::env::var("SECRET_KEY")?)
        .finalize();
    let layer = SessionManagerLayer::new(store)
        .with_name(if secure { "__Host-session" } else { "session" })
        .with_secure(secure)
        .with_same_site(SameSite::Lax)
        .with_expiry(Expiry::OnInactivity(Duration::days(1)))
        .with_signed(Key::from(&key[..]));
    let site = site::routes(sessions)
        .layer(MessagesManagerLayer)
        .layer(AuthManagerLayerBuilder::new(Backend, layer).build());
    let site = SameOriginLayer::new()
        .secure(secure)
        .layer(site.map_request(without_host));
    lambda::serve(site).await
}

/// On Lambda a request's URI has a scheme and a host, and axum-login would put both into `next`, where the site accepts
/// only a path.
fn without_host<B>(mut request: Request<B>) -> Request<B> {
    if let Some(path) = request.uri().path_and_query().cloned() {
        *request.uri_mut() = Uri::from(path);
    }
    request
}
