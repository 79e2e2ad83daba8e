//! The example as a function, with its table and a provider.

use std::collections::HashMap;
use std::sync::Arc;

use dev::lambda::Answer;
use dev::program::{Program, Table};
use dev::visitor::{Visitor, assert_redirect};
use serde_json::Value;
use url::Url;

use crate::fake::{CLIENT, Fake, SECRET};

/// The compiled example.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_oidc");

const BASE: &str = "https://shop.example";

/// The function, its table and its provider.
pub(crate) struct Site {
    pub(crate) table: Table,
    pub(crate) provider: Fake,
    pub(crate) function: Arc<Program>,
}

pub(crate) async fn function(table: &Table, issuer: &str) -> Program {
    let environment = [
        ("OIDC_ISSUER", issuer),
        ("OIDC_CLIENT_ID", CLIENT),
        ("OIDC_CLIENT_SECRET", SECRET),
        ("BASE_URL", BASE),
    ];
    Program::function(PROGRAM, table, &environment).await
}

/// A login that a tab has begun, as the provider sees it.
pub(crate) struct Begun {
    pub(crate) state: String,
    pub(crate) nonce: String,
    pub(crate) challenge: String,
    /// What makes the provider ask the user again.
    pub(crate) max_age: String,
    pub(crate) prompt: Option<String>,
}

impl Site {
    pub(crate) async fn new() -> Self {
        let (table, provider) = (Table::new().await, Fake::start().await);
        let function = Arc::new(function(&table, &provider.issuer).await);
        Self {
            table,
            provider,
            function,
        }
    }

    pub(crate) fn visitor(&self) -> Visitor {
        Visitor::of(&self.function)
    }

    /// Makes the provider issue this token for the code. Returns the address to which the browser comes back.
    pub(crate) fn answer(&self, begun: &Begun, code: &str, id_token: Option<String>) -> String {
        self.provider.code(code, &begun.challenge, id_token);
        format!("/callback?code={code}&state={}", begun.state)
    }

    /// Does the same with a good token.
    pub(crate) fn good(&self, begun: &Begun, code: &str, subject: &str) -> String {
        let token = self.provider.sign(&self.provider.claims(subject, &begun.nonce));
        self.answer(begun, code, Some(token))
    }

    /// A visitor who is logged in as `subject`.
    pub(crate) async fn user(&self, subject: &str) -> Visitor {
        let mut visitor = self.visitor();
        let begun = begin(&mut visitor, "/login").await;
        let back = self.good(&begun, &format!("the code of {subject}").replace(' ', "-"), subject);
        assert_redirect(&visitor.get(&back).await, "/");
        visitor
    }

    /// Sends a logout token as the provider does, and returns the answer's status.
    pub(crate) async fn back_channel(&self, token: &str) -> u16 {
        let mut provider = self.visitor();
        provider.headers = vec![("sec-fetch-site", "cross-site".to_owned())];
        let answer = provider.post("/backchannel-logout", &[("logout_token", token)]).await;
        assert_eq!(answer.cookies.len(), 0, "{answer:?}");
        answer.status
    }
}

/// Opens the login page in a tab, and submits its form.
pub(crate) async fn begin(visitor: &mut Visitor, path: &str) -> Begun {
    let page = visitor.get(path).await;
    assert_eq!((page.status, page.cookies.len()), (200, 0), "{page:?}");
    let fields = fields(&page);
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let answer = visitor.post("/login", &fields).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let refresh = answer.headers["refresh"].strip_prefix("0;url=").expect("an address");
    let url: Url = refresh.parse().expect("an address");
    let query: HashMap<String, String> = url.query_pairs().into_owned().collect();
    assert_eq!(
        ["response_type", "client_id", "code_challenge_method", "redirect_uri"].map(|name| query[name].as_str()),
        ["code", CLIENT, "S256", "https://shop.example/callback"]
    );
    Begun {
        state: query["state"].clone(),
        nonce: query["nonce"].clone(),
        challenge: query["code_challenge"].clone(),
        max_age: query["max_age"].clone(),
        prompt: query.get("prompt").cloned(),
    }
}

/// The hidden fields of a page's form.
pub(crate) fn fields(page: &Answer) -> Vec<(String, String)> {
    let inputs = page.body.split("<input type=\"hidden\" name=\"").skip(1);
    let pairs = inputs.filter_map(|input| {
        let (name, rest) = input.split_once("\" value=\"")?;
        Some((name.to_owned(), rest.split_once('"')?.0.to_owned()))
    });
    pairs.collect()
}

/// The claims with one of them changed, or removed if `value` is null.
pub(crate) fn with(mut claims: Value, name: &str, value: Value) -> Value {
    if value.is_null() {
        claims.as_object_mut().expect("claims").remove(name);
    } else {
        claims[name] = value;
    }
    claims
}
