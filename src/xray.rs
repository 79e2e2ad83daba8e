//! Traces: sends the library's spans to the X-Ray daemon, which Lambda runs beside a function with active tracing.
//!
//! Each span is sent in a datagram of its own when it ends. So no span is left to flush when Lambda freezes the
//! process, and no request waits for the daemon. The format is described in
//! <https://docs.aws.amazon.com/xray/latest/devguide/xray-api-segmentdocuments.html>.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::time::{SystemTime, UNIX_EPOCH};

use lambda_http::tracing::subscriber::Layer;
use lambda_http::tracing::subscriber::filter::filter_fn;
use lambda_http::tracing::subscriber::registry::LookupSpan;
use opentelemetry::trace::{
    SpanContext, SpanId, Status, TraceContextExt as _, TraceFlags, TraceId, TraceState, TracerProvider as _,
};
use opentelemetry::{Context, Value as Attribute};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, SpanData, SpanExporter};
use serde_json::{Map, Value, json};

/// What the daemon expects before each document.
const HEADER: &str = "{\"format\":\"json\",\"version\":1}\n";

/// A layer that sends the library's spans to the daemon at this address, if they are created within a [`parent`].
///
/// # Errors
///
/// A UDP socket cannot be opened.
pub(crate) fn layer<S>(daemon: SocketAddrV4) -> io::Result<impl Layer<S>>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
{
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.set_nonblocking(true)?;
    let provider = SdkTracerProvider::builder()
        .with_resource(Resource::builder_empty().build())
        // Lambda decides whether a request is traced.
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOff)))
        .with_simple_exporter(Daemon {
            socket,
            address: daemon,
        })
        .build();
    let spans = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer(env!("CARGO_PKG_NAME")))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false);
    // Only spans: the log has the events.
    let ours = filter_fn(|metadata| metadata.is_span() && metadata.target().starts_with("lambda_session"));
    Ok(spans.with_filter(ours))
}

/// The parent of an invocation's spans, from the trace header that Lambda passes. `None` if X-Ray does not sample the
/// invocation, or if the header is incomplete.
///
/// <https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader>
pub(crate) fn parent(header: &str) -> Option<Context> {
    let field = |name| header.split(';').find_map(|field| field.trim().strip_prefix(name));
    field("Sampled=").filter(|sampled| *sampled == "1")?;
    let trace = TraceId::from_hex(&field("Root=1-")?.replace('-', "")).ok()?;
    let span = SpanId::from_hex(field("Parent=")?).ok()?;
    let parent = SpanContext::new(trace, span, TraceFlags::SAMPLED, true, TraceState::NONE);
    parent
        .is_valid()
        .then(|| Context::new().with_remote_span_context(parent))
}

#[derive(Debug)]
struct Daemon {
    socket: UdpSocket,
    address: SocketAddrV4,
}

impl SpanExporter for Daemon {
    async fn export(&self, spans: Vec<SpanData>) -> OTelSdkResult {
        for span in &spans {
            let datagram = format!("{HEADER}{}", document(span));
            // A lost span does not fail the request.
            let _ = self.socket.send_to(datagram.as_bytes(), self.address);
        }
        Ok(())
    }
}

/// A span as a subsegment of the function's segment. Lambda sends that segment.
fn document(span: &SpanData) -> Value {
    let trace = span.span_context.trace_id().to_string();
    let (time, random) = trace.split_at(8);
    let annotations: Map<_, _> = span
        .attributes
        .iter()
        .map(|attribute| (attribute.key.as_str().replace('.', "_"), annotation(&attribute.value)))
        .collect();
    json!({
        "type": "subsegment",
        "name": span.name,
        "id": span.span_context.span_id().to_string(),
        "trace_id": format!("1-{time}-{random}"),
        "parent_id": span.parent_span_id.to_string(),
        "start_time": seconds(span.start_time),
        "end_time": seconds(span.end_time),
        "fault": matches!(span.status, Status::Error { .. }),
        "annotations": annotations,
    })
}

fn annotation(value: &Attribute) -> Value {
    match value {
        Attribute::Bool(value) => json!(value),
        Attribute::I64(value) => json!(value),
        Attribute::F64(value) => json!(value),
        value => json!(value.as_str()),
    }
}

fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_sampled_invocation_with_a_whole_header_has_a_parent() {
        let whole = "Root=1-68f0a1b2-0123456789abcdef01234567;Parent=53995c3f42cd8ad8;Sampled=1;Lineage=1:a87bd80c:0";
        let parent_of = |header: &str| parent(header).map(|context| context.span().span_context().clone());
        let parent = parent_of(whole).expect("a parent");
        assert_eq!(parent.trace_id().to_string(), "68f0a1b20123456789abcdef01234567");
        assert_eq!(parent.span_id().to_string(), "53995c3f42cd8ad8");
        assert!(parent.is_sampled() && parent.is_remote());
        for (part, instead) in [
            ("Sampled=1", "Sampled=0"),
            (";Sampled=1", ""),
            ("Parent=", ""),
            ("53995c3f42cd8ad8", "0000000000000000"),
            ("Root=1-", "Root="),
            ("68f0a1b2", "wrong"),
            ("0123456789abcdef", "0123456789abcdef0123456789abcdef"),
        ] {
            let broken = whole.replace(part, instead);
            assert_eq!(parent_of(&broken), None, "{broken}");
        }
        assert_eq!(parent_of(""), None);
    }

    #[test]
    fn an_annotation_has_the_type_of_its_attribute() {
        for (attribute, told) in [
            (Attribute::Bool(true), json!(true)),
            (Attribute::I64(2), json!(2)),
            (Attribute::F64(0.5), json!(0.5)),
            (Attribute::String("2".into()), json!("2")),
        ] {
            assert_eq!(annotation(&attribute), told);
        }
    }
}
