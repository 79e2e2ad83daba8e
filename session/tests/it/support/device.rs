//! A browser that binds its sessions to its device, as the specification says, and the proofs that a device makes.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Request, Response, header};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

use super::site::{Site, now};

/// A device, which has a key that nobody copies.
pub(crate) struct Device(EcdsaKeyPair);

impl Device {
    pub(crate) fn new() -> Self {
        let (random, algorithm) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let key = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key");
        Self(EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random).expect("a key"))
    }

    /// Returns the proof for a registration, which brings the key.
    pub(crate) fn registers(&self, challenge: &str) -> String {
        let (x, y) = self.0.public_key().as_ref()[1..].split_at(32);
        let [x, y] = [x, y].map(|part| URL_SAFE_NO_PAD.encode(part));
        let jwk = json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y });
        self.signed(
            &json!({ "typ": "dbsc+jwt", "alg": "ES256", "jwk": jwk }),
            &json!({ "jti": challenge }),
        )
    }

    /// Returns the proof for a refresh.
    pub(crate) fn refreshes(&self, challenge: &str) -> String {
        self.signed(
            &json!({ "typ": "dbsc+jwt", "alg": "ES256" }),
            &json!({ "jti": challenge }),
        )
    }

    fn signed(&self, header: &Value, payload: &Value) -> String {
        let [header, payload] = [header, payload].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let signed = format!("{header}.{payload}");
        let signature = self
            .0
            .sign(&SystemRandom::new(), signed.as_bytes())
            .expect("a signature");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// A session that a browser refreshes.
#[derive(Clone, Debug)]
pub(crate) struct BoundSession {
    pub(crate) name: String,
    pub(crate) url: String,
    pub(crate) challenge: Option<String>,
    /// What the layer wants the browser to know.
    pub(crate) instructions: Value,
}

/// A browser with its device, its cookies, and the session that it refreshes.
pub(crate) struct Browser {
    site: Site,
    pub(crate) device: Device,
    /// The cookies, with the time at which each ends.
    pub(crate) jar: BTreeMap<String, (String, u64)>,
    /// The path and the challenge of the last registration that the layer has asked for.
    pub(crate) asked: Option<(String, String)>,
    pub(crate) session: Option<BoundSession>,
}

impl Browser {
    pub(crate) fn new(site: &Site) -> Self {
        Self {
            site: site.clone(),
            device: Device::new(),
            jar: BTreeMap::new(),
            asked: None,
            session: None,
        }
    }

    /// Returns another browser, on another device, with a copy of the cookies.
    pub(crate) fn copied(&self) -> Self {
        Self {
            jar: self.jar.clone(),
            ..Self::new(&self.site)
        }
    }

    /// Goes on at another instance.
    pub(crate) fn at(&mut self, site: &Site) -> &mut Self {
        self.site = site.clone();
        self
    }

    /// Returns the cookies that it sends now.
    pub(crate) fn cookies(&self) -> String {
        let kept = self.jar.iter().filter(|(_, (_, until))| *until > now());
        let pairs: Vec<_> = kept.map(|(name, (value, _))| format!("{name}={value}")).collect();
        pairs.join("; ")
    }

    /// Makes a visit without a refresh, even if the second cookie has ended.
    pub(crate) async fn visit(&mut self, path: &str) -> Response<String> {
        self.send("GET", path, &[]).await
    }

    /// Makes a visit as a browser does: it refreshes before if the second cookie has ended.
    pub(crate) async fn browse(&mut self, path: &str) -> Response<String> {
        if let Some(session) = &self.session {
            let name = session.instructions["credentials"][0]["name"].as_str().expect("a name");
            if self.jar.get(name).is_none_or(|(_, until)| *until <= now()) {
                self.refresh().await;
            }
        }
        self.visit(path).await
    }

    pub(crate) async fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)]) -> Response<String> {
        let mut request = Request::builder().method(method).uri(path);
        let cookies = self.cookies();
        if !cookies.is_empty() {
            request = request.header(header::COOKIE, cookies);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = self.site.answer(request.body(String::new()).expect("a request")).await;
        for set in answer.headers().get_all(header::SET_COOKIE) {
            let set = set.to_str().expect("ASCII");
            let (pair, attributes) = set.split_once(';').expect("attributes");
            let (name, value) = pair.split_once('=').expect("a pair");
            let max_age = attributes
                .split("; Max-Age=")
                .nth(1)
                .map(|age| age.parse::<u64>().expect("seconds"));
            let until = max_age.map_or(u64::MAX, |age| now() + age);
            self.jar.insert(name.to_owned(), (value.to_owned(), until));
            self.jar.retain(|_, (_, until)| *until > now());
        }
        if let Some(asks) = header_of(&answer, "secure-session-registration") {
            let quoted = |name: &str| Some(asks.split(&format!("{name}=\"")).nth(1)?.split('"').next()?.to_owned());
            assert!(asks.starts_with("(ES256 RS256);"), "{asks}");
            self.asked = Some((
                quoted("path").expect("a path"),
                quoted("challenge").expect("a challenge"),
            ));
        }
        answer
    }

    /// Logs in, and registers.
    pub(crate) async fn log_in(site: &Site, path: &str) -> Self {
        let mut browser = Self::new(site);
        assert_eq!(browser.visit(path).await.status(), 200);
        assert_eq!(browser.register().await.status(), 200);
        browser
    }

    /// Answers the last registration that was asked for.
    pub(crate) async fn register(&mut self) -> Response<String> {
        let (path, challenge) = self.asked.clone().expect("a registration");
        let proof = format!("\"{}\"", self.device.registers(&challenge));
        let answer = self.send("POST", &path, &[("secure-session-response", &proof)]).await;
        self.learn(&answer);
        answer
    }

    /// Refreshes the session, with a second attempt if the first one gets a challenge.
    pub(crate) async fn refresh(&mut self) -> Response<String> {
        let mut answer = self.attempt().await;
        if answer.status() == 403 {
            answer = self.attempt().await;
        }
        answer
    }

    /// Refreshes the session because of another site's page, so that no cookie goes with it.
    pub(crate) async fn refresh_from_elsewhere(&mut self) -> Response<String> {
        let kept = std::mem::take(&mut self.jar);
        let answer = self.refresh().await;
        for (name, cookie) in kept {
            self.jar.entry(name).or_insert(cookie);
        }
        answer
    }

    /// Makes one attempt to refresh the session.
    pub(crate) async fn attempt(&mut self) -> Response<String> {
        let session = self.session.clone().expect("a session that is bound");
        let name = format!("\"{}\"", session.name);
        let mut headers = vec![("sec-secure-session-id", name.as_str())];
        let proof = session
            .challenge
            .map(|challenge| format!("\"{}\"", self.device.refreshes(&challenge)));
        headers.extend(proof.as_deref().map(|proof| ("secure-session-response", proof)));
        let answer = self.send("POST", &session.url, &headers).await;
        self.learn(&answer);
        answer
    }

    /// Follows the instructions and the challenge of an answer.
    fn learn(&mut self, answer: &Response<String>) {
        if answer.status() == 200 {
            let told: Value = serde_json::from_str(answer.body()).expect("JSON");
            if told["continue"] == false {
                self.session = None;
                return;
            }
            self.session = Some(BoundSession {
                name: told["session_identifier"].as_str().expect("a name").to_owned(),
                url: told["refresh_url"].as_str().expect("a path").to_owned(),
                challenge: None,
                instructions: told,
            });
        } else if answer.status() == 400 {
            self.session = None;
        }
        if let (Some(session), Some(next)) = (&mut self.session, header_of(answer, "secure-session-challenge")) {
            let (challenge, id) = next.split_once(';').expect("a parameter");
            assert_eq!(id, format!("id=\"{}\"", session.name));
            session.challenge = Some(challenge.trim_matches('"').to_owned());
        }
    }
}

pub(crate) fn header_of(answer: &Response<String>, name: &str) -> Option<String> {
    let value = answer.headers().get(name)?;
    Some(value.to_str().expect("ASCII").to_owned())
}
