//! The provider: its configuration, its tokens, and the checks of both.

use std::collections::HashMap;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreAuthenticationFlow, CoreErrorResponseType, CoreGenderClaim, CoreJsonWebKey,
    CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm, CoreRevocableToken, CoreRevocationErrorResponse,
    CoreTokenIntrospectionResponse, CoreTokenType,
};
use openidconnect::url::Url;
use openidconnect::{
    AdditionalClaims, AuthorizationCode, ClaimsVerificationError, ClientId, ClientSecret, CsrfToken,
    EmptyExtraTokenFields, EndpointMaybeSet, EndpointNotSet, EndpointSet, IdToken, IdTokenClaims, IdTokenFields,
    IdTokenVerifier, IssuerUrl, JsonWebTokenType, LogoutRequest, Nonce, NonceVerifier, PkceCodeChallenge,
    PkceCodeVerifier, PostLogoutRedirectUrl, ProviderMetadataWithLogout, RedirectUrl, RequestTokenError, Scope,
    SignatureVerificationError, StandardErrorResponse, StandardTokenResponse, TokenResponse as _,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::http_client::HttpClient;
use crate::problem::Problem;
use crate::{Error, now, problems};

/// In seconds: how long the provider's configuration is used before it is loaded again.
const FRESH: u64 = 60 * 60;
/// In seconds: how soon the provider's keys are loaded again if a token names an unknown key.
const SOON: u64 = 60;
/// In seconds: how far the provider's clock may be ahead of ours.
const AHEAD: i64 = 60;
/// How far the provider's clock may be from ours where a proof is nearly too old.
const CLOCKS_DIFFER: Duration = Duration::from_mins(1);
/// In seconds: how old a token may be. The provider should have issued it just now.
const OLDEST: i64 = 10 * 60;
/// How long one request waits for all answers of the provider together: three for a login when the provider's
/// configuration is not loaded yet, and two more after a change of its keys. Lambda ends a request of the template's
/// function after 10 s, and the sessions' table may take 4.5 s of them.
const PATIENCE: Duration = Duration::from_secs(4);

/// Algorithms whose key only the provider has. HS256 would use the client secret, and `none` no key.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

pub(crate) struct Settings {
    pub(crate) issuer: String,
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
    pub(crate) response_mode: Option<String>,
    /// Has no `/` at its end.
    pub(crate) base_url: String,
}

/// The secrets that a session keeps until the browser comes back from the provider.
#[derive(Clone, Deserialize, Serialize)]
pub(crate) struct Secrets {
    state: String,
    nonce: Nonce,
    /// A text, because `PkceCodeVerifier` cannot be cloned, and `Session::update` may need it again.
    verifier: String,
}

impl Secrets {
    pub(crate) fn is_for(&self, state: &str) -> bool {
        self.state == state
    }
}

/// The user whom the provider has logged in.
pub(crate) struct Identity {
    /// Issuer and subject.
    pub(crate) owner: String,
    /// The subject's mark.
    pub(crate) subject: String,
    /// The person's name for pages.
    pub(crate) name: String,
    /// The provider's session, if it names one.
    pub(crate) session: Option<String>,
    /// When the user has last proved it to the provider (`auth_time`), in seconds since 1970, if the provider says so.
    pub(crate) proved_at: Option<u64>,
    pub(crate) id_token: String,
}

/// The sessions that a logout token ends.
pub(crate) struct LogoutOrder {
    pub(crate) owner: String,
    /// The subject's mark.
    pub(crate) subject: String,
    /// The provider's session. Without it, all of the owner's sessions end.
    pub(crate) session: Option<String>,
    /// The mark of this token.
    pub(crate) token: String,
}

#[derive(Debug, Deserialize, Serialize)]
struct SessionClaim {
    sid: Option<String>,
}

impl AdditionalClaims for SessionClaim {}

#[derive(Debug, Deserialize, Serialize)]
struct LogoutClaims {
    sid: Option<String>,
    jti: String,
    events: HashMap<String, serde_json::Value>,
}

impl AdditionalClaims for LogoutClaims {}

type Token<C> = IdToken<C, CoreGenderClaim, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm>;
type Fields = IdTokenFields<
    SessionClaim,
    EmptyExtraTokenFields,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;
type Client = openidconnect::Client<
    SessionClaim,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    StandardTokenResponse<Fields, CoreTokenType>,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// The provider's configuration.
struct Known {
    metadata: ProviderMetadataWithLogout,
    client: Client,
    asked_at: u64,
}

pub(crate) struct Provider {
    settings: Settings,
    issuer: IssuerUrl,
    redirect: RedirectUrl,
    http: HttpClient,
    /// Loaded when it is first needed, so that pages that do not need the provider work without it.
    known: Mutex<Option<Arc<Known>>>,
}

impl Provider {
    pub(crate) fn new(settings: Settings) -> Result<Self, Error> {
        Ok(Self {
            issuer: IssuerUrl::new(settings.issuer.clone())?,
            redirect: RedirectUrl::new(format!("{}/callback", settings.base_url))?,
            http: HttpClient::new(&settings.issuer)?,
            known: Mutex::default(),
            settings,
        })
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.settings.issuer
    }

    /// The provider's configuration, at most `oldest` seconds old.
    async fn known(&self, oldest: u64) -> Result<Arc<Known>, Problem> {
        let mut known = self.known.lock().await;
        if let Some(known) = &*known
            && now().saturating_sub(known.asked_at) < oldest
        {
            return Ok(Arc::clone(known));
        }
        let metadata = ProviderMetadataWithLogout::discover_async(self.issuer.clone(), &self.http).await;
        let metadata = metadata.map_err(|error| failed(&error))?;
        let client = Client::from_provider_metadata(
            metadata.clone(),
            ClientId::new(self.settings.client_id.clone()),
            Some(ClientSecret::new(self.settings.client_secret.clone())),
        );
        let fresh = Arc::new(Known {
            metadata,
            client: client.set_redirect_uri(self.redirect.clone()),
            asked_at: now(),
        });
        Ok(Arc::clone(known.insert(fresh)))
    }

    /// The address at which a browser begins to log in, and the secrets for its session. The provider asks the user who
    /// they are if their last proof is older than `max_age`, or `again` in any case, and says when they have proved it.
    pub(crate) async fn begin(&self, max_age: Duration, again: bool) -> Result<(Url, Secrets), Problem> {
        let known = self.known(FRESH).await?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let mut request = known
            .client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                CsrfToken::new_random,
                Nonce::new_random,
            )
            .add_scope(Scope::new("profile".to_owned()))
            // A little less, because the clocks differ.
            .set_max_age(max_age.saturating_sub(CLOCKS_DIFFER))
            .set_pkce_challenge(challenge);
        if again {
            request = request.add_prompt(CoreAuthPrompt::Login);
        }
        if let Some(mode) = &self.settings.response_mode {
            request = request.add_extra_param("response_mode", mode);
        }
        let (url, state, nonce) = request.url();
        let secrets = Secrets {
            state: state.into_secret(),
            nonce,
            verifier: verifier.into_secret(),
        };
        Ok((url, secrets))
    }

    /// Exchanges the code for an ID token, and returns the identity in it.
    pub(crate) async fn finish(&self, code: String, secrets: Secrets) -> Result<Identity, Problem> {
        let known = self.known(FRESH).await?;
        let request = known.client.exchange_code(AuthorizationCode::new(code));
        let request = request.map_err(|error| failed(&error))?;
        let tokens = request
            .set_pkce_verifier(PkceCodeVerifier::new(secrets.verifier))
            .request_async(&self.http)
            .await;
        let tokens = tokens.map_err(|error| match error {
            RequestTokenError::ServerResponse(_) => refused("the code"),
            error => failed(&error),
        })?;
        let token = tokens.id_token().ok_or_else(|| refused("that there is no ID token"))?;
        let claims = self.claims(token, &["JWT"], Some(&secrets.nonce)).await;
        let claims = claims.map_err(|reason| reason.of("the ID token").unwrap_or(problems::REFUSED))?;
        let subject = claims.subject().as_str();
        let name = claims.preferred_username().map(|name| name.as_str());
        let names = claims.name().and_then(|names| names.get(None));
        Ok(Identity {
            owner: self.owner(subject),
            subject: self.mark("sub", subject),
            name: names.map(|name| name.as_str()).or(name).unwrap_or(subject).to_owned(),
            session: claims
                .additional_claims()
                .sid
                .as_deref()
                .map(|sid| self.mark("sid", sid)),
            proved_at: claims.auth_time().and_then(|time| time.timestamp().try_into().ok()),
            id_token: token.to_string(),
        })
    }

    /// The address at which a browser logs out at the provider, if the provider has one.
    pub(crate) async fn logout_url(&self, id_token: &str) -> Result<Option<Url>, Problem> {
        let known = self.known(FRESH).await?;
        let home = format!("{}/", self.settings.base_url);
        let (Some(endpoint), Ok(token), Ok(back)) = (
            known.metadata.additional_metadata().end_session_endpoint.clone(),
            Token::<SessionClaim>::from_str(id_token),
            PostLogoutRedirectUrl::new(home.clone()),
        ) else {
            return Ok(None);
        };
        let mut url = LogoutRequest::from(endpoint)
            .set_id_token_hint(&token)
            .set_client_id(ClientId::new(self.settings.client_id.clone()))
            .set_post_logout_redirect_uri(back)
            .http_get_url();
        // Cognito's name of the parameter.
        url.query_pairs_mut().append_pair("logout_uri", &home);
        Ok(Some(url))
    }

    /// Checks a logout token.
    pub(crate) async fn logout_order(&self, token: &str) -> Result<LogoutOrder, Problem> {
        let token = Token::<LogoutClaims>::from_str(token).map_err(|_| problems::BAD_TOKEN)?;
        // Without a nonce: a token with one is an ID token.
        let claims = self.claims(&token, &["logout+jwt", "JWT"], None).await;
        let claims = claims.map_err(|reason| reason.of("a logout token").unwrap_or(problems::BAD_TOKEN))?;
        let more = claims.additional_claims();
        if !more.events.get(LOGOUT_EVENT).is_some_and(serde_json::Value::is_object) {
            return Err(problems::BAD_TOKEN);
        }
        Ok(LogoutOrder {
            owner: self.owner(claims.subject()),
            subject: self.mark("sub", claims.subject()),
            session: more.sid.as_deref().map(|sid| self.mark("sid", sid)),
            token: self.mark("jti", &more.jti),
        })
    }

    /// A token's claims, if the provider issued it, for us, with one of these types, and with this nonce or none. If
    /// the token names an unknown key, the keys are loaded again.
    async fn claims<'t, C: AdditionalClaims>(
        &self,
        token: &'t Token<C>,
        types: &[&str],
        nonce: Option<&Nonce>,
    ) -> Result<&'t IdTokenClaims<C, CoreGenderClaim>, Untrue> {
        let verify = |known: &Known| {
            token.claims(&verifier(&known.client, types), |found: Option<&Nonce>| match nonce {
                Some(nonce) => nonce.verify(found),
                None if found.is_some() => Err("a nonce in a token that has none".to_owned()),
                None => Ok(()),
            })
        };
        let known = self.known(FRESH).await.map_err(Untrue::Unknown)?;
        let first = verify(&known);
        let unknown_key = ClaimsVerificationError::SignatureVerification(SignatureVerificationError::NoMatchingKey);
        if first.as_ref().err() != Some(&unknown_key) {
            return first.map_err(Untrue::Refused);
        }
        let known = self.known(SOON).await.map_err(Untrue::Unknown)?;
        verify(&known).map_err(Untrue::Refused)
    }

    fn owner(&self, subject: &str) -> String {
        format!("{} {subject}", self.settings.issuer)
    }

    /// Converts a name that the provider gave to a form that a label and a key can hold.
    fn mark(&self, what: &str, name: &str) -> String {
        let hash = Sha256::new()
            .chain_update(&self.settings.issuer)
            .chain_update([0])
            .chain_update(name);
        format!("{what}:{}", URL_SAFE_NO_PAD.encode(hash.finalize()))
    }
}

const LOGOUT_EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// The reason why claims are not trusted.
enum Untrue {
    Refused(ClaimsVerificationError),
    /// The provider could not be reached.
    Unknown(Problem),
}

impl Untrue {
    /// Logs what is wrong with a refused token and returns `None`, or returns the problem of the provider.
    fn of(self, what: &'static str) -> Option<Problem> {
        match self {
            Self::Refused(error) => {
                // The error's text is not logged, because it shows claims, which come from outside.
                let reason = match error {
                    ClaimsVerificationError::Expired(_) => "its times",
                    ClaimsVerificationError::InvalidAudience(_) => "its audience",
                    ClaimsVerificationError::InvalidIssuer(_) => "its issuer",
                    ClaimsVerificationError::InvalidNonce(_) => "its nonce",
                    ClaimsVerificationError::SignatureVerification(_) => "its signature",
                    _ => "its form",
                };
                tracing::warn!(event = "refused", reason, "{what} was refused");
                None
            }
            Self::Unknown(problem) => Some(problem),
        }
    }
}

fn verifier<'k>(client: &'k Client, types: &[&str]) -> IdTokenVerifier<'k, CoreJsonWebKey> {
    let types = types
        .iter()
        .filter_map(|name| JsonWebTokenType::new((*name).to_owned()).normalize().ok());
    client
        .id_token_verifier()
        .set_allowed_algs(ALGORITHMS)
        .set_allowed_jose_types(types)
        .set_issue_time_verifier_fn(|issued| {
            let age = i64::try_from(now()).unwrap_or(i64::MAX) - issued.timestamp();
            if (-AHEAD..=OLDEST).contains(&age) {
                Ok(())
            } else {
                Err("issued at another time".to_owned())
            }
        })
}

/// Limits the time for all calls to the provider in one request. Too long counts as the provider's failure.
pub(crate) async fn in_time<T>(asked: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
    timeout(PATIENCE, asked).await.unwrap_or_else(|late| Err(failed(&late)))
}

fn failed(error: &dyn std::error::Error) -> Problem {
    tracing::error!(event = "provider failed", kind = %kind(error), "the provider did not answer as it should");
    problems::PROVIDER
}

/// The error's first words, without what the provider sent.
fn kind(error: &dyn std::error::Error) -> String {
    error.to_string().split(':').next().unwrap_or_default().to_owned()
}

fn refused(what: &'static str) -> Problem {
    tracing::warn!(event = "refused", what, "the provider refused a login");
    problems::REFUSED
}
