//! What the pages of `account`, `passwords`, `passkeys` and `oidc` share: the frame of a page with its style sheet,
//! messages, and the headers. If you copy one of these examples, copy this file with it.

use std::sync::LazyLock;

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{Html, IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lambda_session::Flash;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

pub(crate) fn page(title: &str, content: &Markup) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " – " (env!("CARGO_CRATE_NAME")) }
                // Without this, every view would also ask for /favicon.ico.
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) }
            }
            body { main { (content) } }
        }
    };
    Html(page.into_string()).into_response()
}

pub(crate) fn messages(flashes: &[Flash]) -> Markup {
    html! { @for flash in flashes { p.flash .(flash.level) role="status" { (flash) } } }
}

/// Sets the headers of every answer.
pub(crate) fn set_headers(headers: &mut HeaderMap, secure: bool) {
    let fixed = [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // `no-referrer` would make browsers send `Origin: null` with our own forms.
        (header::REFERRER_POLICY, "same-origin"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let policy = headers.entry(header::CONTENT_SECURITY_POLICY);
    policy.or_insert_with(|| POLICY.clone());
    if secure {
        let year = HeaderValue::from_static("max-age=31536000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, year);
    }
}

/// The policy of a page that does not set its own.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| policy(""));

/// Allows our one style sheet by its hash, images in the page, forms to this site, and `more`; nothing else.
pub(crate) fn policy(more: &str) -> HeaderValue {
    let policy = format!(
        "default-src 'none'; style-src {}; img-src data:; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'{more}",
        hash(STYLE)
    );
    HeaderValue::try_from(policy).expect("base64 and the fixed text are visible ASCII")
}

/// Names a text that stands in a page, as a policy does.
pub(crate) fn hash(text: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)))
}

const STYLE: &str = "
:root{color-scheme:light dark;-webkit-text-size-adjust:100%;--back:#f3f4f7;--card:#fff;--lead:#2456c7;--line:#7b8496;\
--faint:#5a6272;--tint:#e6edfc;--bad:#b3261e}
@media(prefers-color-scheme:dark){:root{--back:#101216;--card:#1b1e25;--lead:#8fb2ff;--faint:#a3abba;--tint:#26304a;\
--bad:#ffb4ab}}
*{box-sizing:border-box}
body{display:grid;min-height:100svh;margin:0;padding:1rem;background:var(--back);\
font:1.0625rem/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
main{width:min(100%,30rem);margin:auto;padding:clamp(1.25rem,7vw,2.5rem);border-radius:1rem;background:var(--card);\
box-shadow:0 8px 32px #0002}
main::before{content:'λ'/'';display:block;width:2.5rem;margin-bottom:1.5rem;border-radius:.75rem;\
background:var(--lead);color:var(--card);font:600 1.375rem/2.5rem serif;text-align:center}
h1{margin:0;font-size:clamp(1.3rem,6vw,1.5rem);line-height:1.25}
p{margin:.75rem 0 0}
label{display:block;margin:1rem 0 .4rem;font-weight:600}
small,.hint,li p{color:var(--faint);font-size:.9375rem;font-weight:400}
input,button,.button{width:100%;padding:.6rem 1rem;border:1px solid var(--line);border-radius:.6rem;background:none;\
color:inherit;font:inherit}
button,.button{display:block;border-color:#0000;background:var(--lead);color:var(--card);font-weight:600;\
text-align:center;text-decoration:none;cursor:pointer}
button:hover,.button:hover{opacity:.9}
.quiet{border-color:var(--line);background:none;color:inherit}
main>form,nav{margin-top:1.75rem}
main>form>button{margin-top:1.5rem}
.check{display:flex;gap:.6rem;align-items:center;font-weight:400}
.check input{width:1.15rem;height:1.15rem;margin:0;accent-color:var(--lead)}
nav{display:grid;gap:.75rem}
nav>a:not(.button){padding:.4rem;color:var(--lead);text-align:center}
.flash{margin-top:1.25rem;padding:.6rem 1rem;border-radius:.6rem;background:var(--tint)}
.flash.warning,.flash.error{background:none;border:1px solid var(--bad)}
.mistake{margin:0;color:var(--bad)}
[aria-invalid]{border-color:var(--bad)}
.visits,form>div,li{display:flex;gap:.75rem;align-items:center;justify-content:space-between}
main>.visits{padding-top:1.25rem;border-top:1px solid color-mix(in srgb,var(--line) 30%,#0000)}
.visits p{margin:0;white-space:nowrap}
output{font-weight:600}
main>.visits>button{margin:0}
.visits button,form>div button,li button{width:auto;white-space:nowrap}
ul{margin:1.25rem 0 0;padding:0;list-style:none}
li{padding:1rem 0;border-top:1px solid color-mix(in srgb,var(--line) 30%,#0000)}
.visits,li{flex-wrap:wrap}
li>div{flex:1 1 13rem}
li:first-child{border-top:0}
li p{margin-top:.15rem}
.here{padding:.1rem .55rem;border-radius:1rem;background:var(--tint);font-size:.8125rem;white-space:nowrap}
:focus-visible{outline:3px solid var(--lead);outline-offset:2px}
";
