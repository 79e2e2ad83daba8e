//! What it costs to bind sessions to their devices.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use dev::event::Event;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

use crate::artifact::Artifacts;
use crate::rounds::measure;
use crate::routes::{Route, cookie_of, log_in};
use crate::sandbox::{Sandbox, bytes};
use crate::world::World;
use crate::{Failure, say};

const REQUESTS: usize = 40;
const BLOCKS: usize = 20;

/// Measures a view of a bound session in turns with one of a session that is not bound, and a refresh in turns with a
/// login.
pub(crate) async fn run(artifacts: &Artifacts, world: &World) -> Result<Vec<Value>, Failure> {
    say("bound sessions");
    let start = async |bound: bool| {
        let mut environment = world.environment(&world.plain);
        environment.push(("SESSION_BOUND".to_owned(), bound.to_string()));
        Sandbox::start(&artifacts.product, &environment).await
    };
    let (plain, bound) = (start(false).await?, start(true).await?);
    let cookie = log_in(&plain).await?;
    let (view, refresh) = bind(&bound).await?;
    let login = Route::Login.event("");
    let pairs = [
        ("view", Route::View.event(&cookie), view, 1.03),
        ("refresh, to a login", login, refresh, 1.0),
    ];
    let mut lines = Vec::new();
    for (request, before, after, most) in pairs {
        let mut cpu = [0.0; 2];
        for block in 0..=BLOCKS {
            for (n, (sandbox, event)) in [(&plain, &before), (&bound, &after)].into_iter().enumerate() {
                let (_, took) = measure(sandbox, event, REQUESTS).await?;
                // The first block lets the programs settle.
                if block > 0 {
                    cpu[n] += took.as_secs_f64() * 1e6 / (BLOCKS * REQUESTS) as f64;
                }
            }
        }
        lines.push(json!({
            "request": request,
            "cpu_us": cpu[0].round(),
            "bound_cpu_us": cpu[1].round(),
            "ratio": (cpu[1] / cpu[0] * 1e3).round() / 1e3,
            "at_most": most,
        }));
    }
    Ok(lines)
}

/// Logs in and binds the session, as a browser does. Returns the events of a view and of a refresh.
async fn bind(sandbox: &Sandbox) -> Result<(Vec<u8>, Vec<u8>), Failure> {
    let (random, algorithm) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
    let failed = |_| "no key";
    let key = EcdsaKeyPair::generate_pkcs8(algorithm, &random).map_err(failed)?;
    let key = EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random).map_err(|_| "no key")?;
    let sign = |header: Value, challenge: &str| {
        let parts = [header, json!({ "jti": challenge })].map(|part| BASE64.encode(part.to_string()));
        let signed = parts.join(".");
        let signature = key.sign(&random, signed.as_bytes()).map_err(|_| "no signature")?;
        Ok::<_, Failure>(format!("\"{signed}.{}\"", BASE64.encode(signature)))
    };
    let quoted = |answer: &Value, header: &str, place: usize| {
        let text = answer["headers"][header]
            .as_str()
            .and_then(|text| text.split('"').nth(place));
        text.map(str::to_owned)
            .ok_or_else(|| Failure::from(format!("no {header}: {answer}")))
    };
    let (answer, _) = sandbox.invoke(&Route::Login.event("")).await?;
    let first = cookie_of(&answer)?;
    let challenge = quoted(&answer, "secure-session-registration", 3)?;
    let (x, y) = key.public_key().as_ref()[1..].split_at(32);
    let jwk = json!({ "kty": "EC", "crv": "P-256", "x": BASE64.encode(x), "y": BASE64.encode(y) });
    let proof = sign(json!({ "typ": "dbsc+jwt", "alg": "ES256", "jwk": jwk }), &challenge)?;
    let event = Event::new("POST", "/.session/bind").header("secure-session-response", &proof);
    let (answer, _) = sandbox.invoke(&bytes(event)).await?;
    let second = cookie_of(&answer)?;
    let (challenge, name) = (
        quoted(&answer, "secure-session-challenge", 1)?,
        quoted(&answer, "secure-session-challenge", 3)?,
    );
    let proof = sign(json!({ "typ": "dbsc+jwt", "alg": "ES256" }), &challenge)?;
    let refresh = Event::new("POST", "/.session/refresh")
        .cookie(&first)
        .header("sec-secure-session-id", &format!("\"{name}\""))
        .header("secure-session-response", &proof);
    let (view, refresh) = (bytes(Event::get("/").cookie(&first).cookie(&second)), bytes(refresh));
    // A refresh that is refused, and a view of nobody, would cost less.
    cookie_of(&sandbox.invoke(&refresh).await?.0)?;
    let (answer, _) = sandbox.invoke(&view).await?;
    if !answer["body"]
        .as_str()
        .is_some_and(|body| body.contains("Logged in as"))
    {
        return Err(format!("no view of a bound session: {answer}").into());
    }
    Ok((view, refresh))
}
