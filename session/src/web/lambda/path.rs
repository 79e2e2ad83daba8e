//! The path that the browser sent, according to Lambda's event.

use std::borrow::Cow;

use http::Extensions;
use lambda_http::RequestExt as _;
use lambda_http::aws_lambda_events::apigw::ApiGatewayProxyRequestContext;
use lambda_http::request::RequestContext;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use crate::web::guard::next::local_path;

/// The characters that no path has on the wire, whatever the browser: the path percent-encode set of the URL Standard,
/// and `\`, which a URL parser reads as `/`.
const NEVER_SENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'\\')
    .add(b'`')
    .add(b'{')
    .add(b'}');

/// Encodes what an HTTP API has decoded in a path, and leaves a path that is encoded as it is: every other service
/// gives it as the browser sent it.
pub(super) fn encoded(path: &str) -> Cow<'_, str> {
    let whole: Cow<'_, str> = utf8_percent_encode(path, NEVER_SENT).into();
    let is_escape =
        |rest: &str| matches!(rest.as_bytes(), [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit());
    if whole.split('%').skip(1).all(is_escape) {
        return whole;
    }
    let mut pieces = whole.split('%');
    let mut path = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        path.push_str(if is_escape(piece) { "%" } else { "%25" });
        path.push_str(piece);
    }
    path.into()
}

/// The path that the browser sent, and the stage or base path with which it begins; or `None` if the request comes
/// from no event.
///
/// - A REST API and payload format 1.0 tell the path that was sent. Their `path` lacks the stage.
/// - The path of payload format 2.0 has the stage, if the browser sent it.
/// - Both formats name the API's route. The part of the path before the route is the stage or a custom domain's base
///   path.
///
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>
pub(crate) fn in_event(extensions: &Extensions) -> Option<(Cow<'_, str>, Cow<'_, str>)> {
    let raw = encoded(extensions.raw_http_path());
    let (sent, stage, route) = match extensions.request_context_ref()? {
        RequestContext::ApiGatewayV1(context) => {
            let sent = sent(context, &raw);
            (sent, context.stage.as_deref(), context.resource_path.as_deref())
        }
        RequestContext::ApiGatewayV2(context) => {
            // Such as `GET /orders/{id}`.
            let route = context.route_key.as_deref().and_then(|key| key.split_once(' '));
            (raw, context.stage.as_deref(), route.map(|(_, route)| route))
        }
        _ => (raw, None, None),
    };
    let stage = in_front(stage);
    let base = route.and_then(|route| before(route, &sent, extensions));
    let base = base.or_else(|| stage.filter(|stage| begins_with(&sent, stage)));
    Some((sent, base.unwrap_or_default().into()))
}

/// The path that the browser sent to a REST API, or to an HTTP API with payload format 1.0. `raw` is the event's own
/// path, which may lack the stage; both are encoded.
pub(super) fn sent<'a>(context: &'a ApiGatewayProxyRequestContext, raw: &str) -> Cow<'a, str> {
    let told = context.path.as_deref().map(encoded);
    let told = told.filter(|path| path.ends_with(raw));
    told.unwrap_or_else(|| with_stage(context.stage.as_deref(), raw).into())
}

/// A path with the stage in front, unless it begins with it already.
pub(super) fn with_stage(stage: Option<&str>, path: &str) -> String {
    match in_front(stage) {
        Some(stage) if !begins_with(path, &stage) => stage + path,
        _ => path.to_owned(),
    }
}

/// How a stage stands in front of a path. `$default` never does.
fn in_front(stage: Option<&str>) -> Option<String> {
    let stage = stage.filter(|stage| !matches!(*stage, "" | "$default"))?;
    Some(format!("/{}", encoded(stage)))
}

fn begins_with(path: &str, base: &str) -> bool {
    path.strip_prefix(base)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What stands in `sent` before the API's route, such as `/orders/{id}` or `/{proxy+}`. API Gateway may have decoded
/// one of them and not the other, and the names of stages and base paths need no encoding.
fn before(route: &str, sent: &str, extensions: &Extensions) -> Option<String> {
    let parameters = extensions.path_parameters_ref();
    let mut taken = String::new();
    for segment in route.split('/').filter(|segment| !segment.is_empty()) {
        let name = segment.strip_prefix('{').and_then(|segment| segment.strip_suffix('}'));
        taken.push('/');
        taken.push_str(match name {
            Some(name) => parameters?.first(name.strip_suffix('+').unwrap_or(name))?,
            None => segment,
        });
    }
    let [sent, taken] = [sent, &taken].map(|path| percent_decode_str(path).decode_utf8_lossy());
    let base = sent.trim_end_matches('/').strip_suffix(taken.trim_end_matches('/'))?;
    // A base such as `//other.example` would send the browser to another site.
    (base.is_empty() || base != "/" && local_path(base).is_some()).then(|| base.to_owned())
}
