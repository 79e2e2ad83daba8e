//! WebAuthn's two ceremonies: a registration makes a passkey, and an authentication proves that somebody has it.
//!
//! Between the two requests of a ceremony its state, with the challenge, is in the visitor's session, which the browser
//! never sees, and `Session::take` gives it to one request: that is why serialising the state, which webauthn-rs calls
//! dangerous because a state that serves twice lets a proof be replayed, is not dangerous here.
//!
//! Each kind of ceremony has a variable of its own, so a challenge to log in confirms nothing. A session has one
//! ceremony of a kind: a second tab that begins another ends the first.

use std::time::UNIX_EPOCH;

use axum::response::Result;
use lambda_session::{Session, SessionError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use webauthn_rs::prelude::{
    CreationChallengeResponse, CredentialID, DiscoverableAuthentication, Passkey, PasskeyRegistration, Url, Uuid,
    WebauthnError,
};
use webauthn_rs::{Webauthn, WebauthnBuilder};

use crate::Error;
use crate::problem::{BUG, Problem};
use crate::problems::{NOT_BEGUN, NOT_PROVED};
use crate::users::{Key, User};

/// In seconds: how long a ceremony may take.
const LONGEST: u64 = 5 * 60;

/// What the visitor's session keeps of a ceremony.
#[derive(Deserialize, Serialize)]
struct Begun<T> {
    state: T,
    /// In seconds since 1970.
    begun_at: u64,
}

impl<T> Begun<T> {
    fn is_young(&self, now: u64) -> bool {
        now.saturating_sub(self.begun_at) < LONGEST
    }
}

/// Keeps the state of a ceremony of this kind until [`take`] asks for it.
pub(crate) fn keep<T: Serialize>(session: &Session, kind: &str, state: T) -> Result<(), SessionError> {
    let begun_at = now();
    Ok(session.insert(kind, Begun { state, begun_at })?)
}

/// Returns the state of the ceremony of this kind that was begun last, to one request.
pub(crate) async fn take<T: DeserializeOwned>(session: &Session, kind: &str) -> Result<T> {
    let begun: Option<Begun<T>> = session.take(kind).await?;
    let begun = begun.filter(|begun| begun.is_young(now()));
    Ok(begun.ok_or(NOT_BEGUN)?.state)
}

fn now() -> u64 {
    UNIX_EPOCH.elapsed().unwrap_or_default().as_secs()
}

/// Decides about ceremonies, and keeps nothing.
#[derive(Debug)]
pub(crate) struct Ceremonies(Webauthn);

impl Ceremonies {
    /// `base_url` is the site's address for browsers. Its host is the ID of the relying party, to which passkeys are
    /// bound for ever.
    pub(crate) fn new(base_url: &str) -> Result<Self, Error> {
        let origin = Url::parse(base_url).map_err(|error| format!("BASE_URL is not a URL: {error}"))?;
        let host = origin.domain().ok_or("BASE_URL has no host name")?;
        let builder = WebauthnBuilder::new(host, &origin)?
            .rp_name("passkeys")
            .allow_any_port(host == "localhost");
        Ok(Self(builder.build()?))
    }

    /// Begins to make a passkey, which has to be discoverable: the authenticator finds it without being told whose it
    /// is. Returns what the browser is told, and the state.
    pub(crate) fn begin_registration(
        &self,
        id: Uuid,
        name: &str,
        known: Vec<CredentialID>,
    ) -> Result<(Value, PasskeyRegistration), Problem> {
        let begun = self.0.start_passkey_registration(id, name, name, Some(known));
        let (CreationChallengeResponse { public_key }, state) = begun.map_err(|_| BUG)?;
        let mut options = serde_json::to_value(public_key).map_err(|_| BUG)?;
        options["authenticatorSelection"]["residentKey"] = json!("required");
        options["authenticatorSelection"]["requireResidentKey"] = json!(true);
        Ok((options, state))
    }

    /// `credential` is the browser's answer, as JSON.
    pub(crate) fn finish_registration(
        &self,
        credential: &str,
        state: &PasskeyRegistration,
    ) -> Result<Passkey, Problem> {
        let credential = serde_json::from_str(credential).map_err(|_| NOT_PROVED)?;
        let made = self.0.finish_passkey_registration(&credential, state);
        made.map_err(|_| NOT_PROVED)
    }

    /// Begins an authentication by one of these passkeys, or by any if there are none. Returns what the browser is
    /// told, and the state.
    pub(crate) fn begin_authentication(
        &self,
        allowed: &[&CredentialID],
    ) -> Result<(Value, DiscoverableAuthentication), Problem> {
        let (begun, state) = self.0.start_discoverable_authentication().map_err(|_| BUG)?;
        let mut options = serde_json::to_value(begun.public_key).map_err(|_| BUG)?;
        let allowed = allowed
            .iter()
            .map(|id| json!({ "type": "public-key", "id": encode(id) }));
        options["allowCredentials"] = allowed.collect();
        Ok((options, state))
    }

    /// Whose passkey the browser's answer names. This proves nothing yet: `finish_authentication` does.
    pub(crate) fn claimed(&self, proof: &Proof) -> Result<Uuid, Problem> {
        let claimed = self.0.identify_discoverable_authentication(&proof.0);
        claimed.map(|(id, _)| id).map_err(|_| NOT_PROVED)
    }

    /// Checks that the passkey which the answer names is this user's and has signed the challenge, and advances its
    /// counter. A counter that does not advance shows that there are two copies of the passkey, one of which was made
    /// by somebody else (WebAuthn Level 3, section 6.1.1).
    pub(crate) fn finish_authentication(
        &self,
        proof: &Proof,
        state: &DiscoverableAuthentication,
        user: &mut User,
    ) -> Result<(), Problem> {
        let named = |key: &&mut Key| key.passkey.cred_id() == proof.0.get_credential_id();
        let Key { passkey, .. } = user.keys.iter_mut().find(named).ok_or(NOT_PROVED)?;
        let checked = self
            .0
            .finish_discoverable_authentication_v2(&proof.0, state.clone(), &*passkey);
        let checked = checked.map_err(|error| {
            if matches!(error, WebauthnError::CredentialPossibleCompromise) {
                tracing::warn!(event = "passkey cloned", "a passkey's counter has not advanced");
            }
            NOT_PROVED
        })?;
        passkey.update_credential(&checked);
        Ok(())
    }
}

/// The browser's answer to an authentication.
#[derive(Debug)]
pub(crate) struct Proof(webauthn_rs::prelude::PublicKeyCredential);

impl Proof {
    /// Reads the answer, which is JSON.
    pub(crate) fn read(credential: &str) -> Result<Self, Problem> {
        serde_json::from_str(credential).map(Self).map_err(|_| NOT_PROVED)
    }
}

/// A credential's ID as a text.
pub(crate) fn encode(id: &CredentialID) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(id)
}

#[cfg(test)]
mod tests {
    use super::{Begun, Ceremonies, LONGEST};

    #[test]
    fn a_ceremony_that_takes_too_long_is_not_finished() {
        let begun = Begun {
            state: (),
            begun_at: 1000,
        };
        assert!(begun.is_young(1000 + LONGEST - 1));
        assert!(!begun.is_young(1000 + LONGEST));
        assert!(begun.is_young(999), "a clock that was set back");
    }

    #[test]
    fn passkeys_belong_to_a_host_name() {
        for wrong in ["", "localhost", "https://192.0.2.1", "data:,"] {
            assert!(Ceremonies::new(wrong).is_err(), "{wrong:?}");
        }
        assert!(Ceremonies::new("https://shop.example").is_ok());
    }
}
