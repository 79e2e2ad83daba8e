//! A provider in this process, which also issues wrong tokens.

use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;

pub(crate) const CLIENT: &str = "shop";
pub(crate) const SECRET: &str = "a secret of the shop and the provider";

/// A login that waits for its code to be exchanged.
struct Login {
    challenge: String,
    id_token: Option<String>,
}

/// The provider. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Fake {
    pub(crate) issuer: String,
    key: Arc<EcdsaKeyPair>,
    state: Arc<Mutex<Logins>>,
}

#[derive(Default)]
struct Logins {
    /// The keys are the codes.
    waiting: HashMap<String, Login>,
    used: HashSet<String>,
}

pub(crate) fn now() -> i64 {
    let now = std::time::UNIX_EPOCH.elapsed().expect("a clock after 1970");
    now.as_secs().try_into().expect("a time of this age")
}

fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Fake {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let issuer = format!("http://{}", listener.local_addr().expect("a bound listener"));
        let fake = Self {
            issuer,
            key: Arc::new(key()),
            state: Arc::default(),
        };
        let routes = Router::new()
            .route("/.well-known/openid-configuration", get(configuration))
            .route("/jwks", get(keys))
            .route("/token", post(token))
            .with_state(fake.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        fake
    }

    fn logins(&self) -> MutexGuard<'_, Logins> {
        self.state.lock().expect("no panic")
    }

    /// The claims of a good ID token.
    pub(crate) fn claims(&self, subject: &str, nonce: &str) -> Value {
        json!({
            "iss": self.issuer, "sub": subject, "aud": CLIENT, "nonce": nonce, "sid": format!("session of {subject}"),
            "iat": now(), "exp": now() + 300,
        })
    }

    /// The claims of a good logout token.
    pub(crate) fn logout_claims(&self, subject: &str) -> Value {
        let random = ring::rand::generate::<[u8; 16]>(&SystemRandom::new()).expect("random bytes");
        json!({
            "iss": self.issuer, "sub": subject, "aud": CLIENT, "jti": base64(random.expose()), "iat": now(),
            "exp": now() + 120, "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
        })
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        self.sign_as(&json!({ "alg": "ES256", "kid": "first" }), claims)
    }

    /// Signs with the provider's key, whatever the header says.
    pub(crate) fn sign_as(&self, header: &Value, claims: &Value) -> String {
        signed(&self.key, header, claims)
    }

    /// Adds a code for a login with this challenge, and the token for which it is exchanged.
    pub(crate) fn code(&self, code: &str, challenge: &str, id_token: Option<String>) {
        let login = Login {
            challenge: challenge.to_owned(),
            id_token,
        };
        self.logins().waiting.insert(code.to_owned(), login);
    }
}

fn key() -> EcdsaKeyPair {
    let random = SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).expect("a key");
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).expect("a key")
}

fn signed(key: &EcdsaKeyPair, header: &Value, claims: &Value) -> String {
    let message = format!("{}.{}", base64(header.to_string()), base64(claims.to_string()));
    let signature = key.sign(&SystemRandom::new(), message.as_bytes()).expect("a signature");
    format!("{message}.{}", base64(signature))
}

/// Signs with a key that is not the provider's.
pub(crate) fn forged(claims: &Value) -> String {
    signed(&key(), &json!({ "alg": "ES256", "kid": "first" }), claims)
}

pub(crate) fn unsigned(claims: &Value) -> String {
    format!(
        "{}.{}.",
        base64(json!({ "alg": "none" }).to_string()),
        base64(claims.to_string())
    )
}

/// Signs with the client's secret.
pub(crate) fn symmetric(claims: &Value) -> String {
    let message = format!(
        "{}.{}",
        base64(json!({ "alg": "HS256" }).to_string()),
        base64(claims.to_string())
    );
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET.as_bytes());
    format!("{message}.{}", base64(ring::hmac::sign(&key, message.as_bytes())))
}

async fn configuration(State(fake): State<Fake>) -> Json<Value> {
    Json(configuration_of(&fake.issuer))
}

/// The configuration that a provider publishes.
pub(crate) fn configuration_of(issuer: &str) -> Value {
    json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/jwks"),
        "end_session_endpoint": format!("{issuer}/logout"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256", "HS256", "none"],
    })
}

async fn keys(State(fake): State<Fake>) -> Json<Value> {
    // An uncompressed point: one byte, and the two coordinates.
    let point = fake.key.public_key().as_ref();
    let (x, y) = (base64(&point[1..33]), base64(&point[33..]));
    let key = json!({ "kty": "EC", "crv": "P-256", "use": "sig", "kid": "first", "x": x, "y": y });
    Json(json!({ "keys": [key] }))
}

/// Exchanges a code once, and only with the verifier of its challenge.
async fn token(State(fake): State<Fake>, Form(form): Form<HashMap<String, String>>) -> (StatusCode, Json<Value>) {
    let mut logins = fake.logins();
    let code = form.get("code").cloned().unwrap_or_default();
    let verifier = form.get("code_verifier").cloned().unwrap_or_default();
    let login = logins.waiting.remove(&code);
    let is_first = logins.used.insert(code);
    match login {
        Some(login) if is_first && login.challenge == base64(Sha256::digest(verifier)) => {
            let mut answer = json!({ "access_token": "opaque", "token_type": "Bearer" });
            if let Some(id_token) = login.id_token {
                answer["id_token"] = json!(id_token);
            }
            (StatusCode::OK, Json(answer))
        }
        _ => (StatusCode::BAD_REQUEST, Json(json!({ "error": "invalid_grant" }))),
    }
}
