//! A session that is bound to its device.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use dev::event::Event;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

use crate::Failure;
use crate::requests::{bytes, cookie_of, login};
use crate::sandbox::Sandbox;

/// Logs in and binds the session, as a browser does. Returns a view, and a refresh of the second cookie. The view is
/// good for ten minutes, as long as that cookie, and the refresh for five minutes more.
pub(crate) async fn bind(sandbox: &Sandbox) -> Result<(Vec<u8>, Vec<u8>), Failure> {
    let (random, algorithm) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
    let key = EcdsaKeyPair::generate_pkcs8(algorithm, &random).map_err(|_| "no key")?;
    let key = EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random).map_err(|_| "no key")?;
    let sign = |header: Value, challenge: &str| {
        let parts = [header, json!({ "jti": challenge })].map(|part| BASE64.encode(part.to_string()));
        let signed = parts.join(".");
        let signature = key.sign(&random, signed.as_bytes()).map_err(|_| "no signature")?;
        Ok::<_, Failure>(format!("\"{signed}.{}\"", BASE64.encode(signature)))
    };
    let quoted = |answer: &Value, header: &str, place: usize| {
        let mut texts = answer["headers"][header].as_str().unwrap_or_default().split('"');
        let text = texts.nth(place).map(str::to_owned);
        text.ok_or(format!("no {header}: {answer}"))
    };
    let (answer, _) = sandbox.invoke(&login()).await?;
    let first = cookie_of(&answer)?;
    let challenge = quoted(&answer, "secure-session-registration", 3)?;
    let (x, y) = key.public_key().as_ref()[1..].split_at(32);
    let jwk = json!({ "kty": "EC", "crv": "P-256", "x": BASE64.encode(x), "y": BASE64.encode(y) });
    let proof = sign(json!({ "typ": "dbsc+jwt", "alg": "ES256", "jwk": jwk }), &challenge)?;
    let event = Event::new("POST", "/.session/bind").header("secure-session-response", &proof);
    let (answer, _) = sandbox.invoke(&bytes(event)).await?;
    let second = cookie_of(&answer)?;
    let challenge = quoted(&answer, "secure-session-challenge", 1)?;
    let name = quoted(&answer, "secure-session-challenge", 3)?;
    let proof = sign(json!({ "typ": "dbsc+jwt", "alg": "ES256" }), &challenge)?;
    let refresh = Event::new("POST", "/.session/refresh")
        .cookie(&first)
        .header("sec-secure-session-id", &format!("\"{name}\""))
        .header("secure-session-response", &proof);
    let (view, refresh) = (bytes(Event::get("/").cookie(&first).cookie(&second)), bytes(refresh));
    // A refresh that is refused, and a view of nobody, would cost less.
    cookie_of(&sandbox.invoke(&refresh).await?.0)?;
    let page = sandbox.invoke(&view).await?.0["body"].to_string();
    if !page.contains("Logged in as") {
        return Err(format!("no view of a bound session: {page}").into());
    }
    Ok((view, refresh))
}
