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
    let provider = SdkTracerProvider::builder()
        .with_resource(Resource::builder_empty().build())
        // Lambda decides whether a request is traced.
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOff)))
        .with_simple_exporter(Daemon::new(daemon)?)
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

impl Daemon {
    fn new(address: SocketAddrV4) -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, address })
    }
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
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use lambda_http::tracing::subscriber::layer::SubscriberExt as _;
    use lambda_http::tracing::subscriber::registry;

    use super::*;

    /// What Lambda passes with an invocation that X-Ray samples.
    const SAMPLED: &str =
        "Root=1-68f0a1b2-0123456789abcdef01234567;Parent=53995c3f42cd8ad8;Sampled=1;Lineage=1:a87bd80c:0";

    /// A socket that stands in for the daemon, and its address.
    fn daemon() -> (UdpSocket, SocketAddrV4) {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        let port = socket.local_addr().unwrap().port();
        (socket, SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))
    }

    #[test]
    fn only_the_spans_of_the_library_are_sent() {
        let (socket, address) = daemon();
        tracing::subscriber::with_default(registry().with(layer(address).unwrap()), || {
            let _parent = parent(SAMPLED).expect("a parent").attach();
            drop(tracing::info_span!(target: "elsewhere", "theirs"));
            drop(tracing::info_span!(target: "lambda_session::store", "ours"));
        });
        let mut datagram = [0; 1_024];
        let bytes = socket.recv(&mut datagram).unwrap();
        let (header, document) = datagram[..bytes].split_at(HEADER.len());
        assert_eq!(header, HEADER.as_bytes());
        let document: Value = serde_json::from_slice(document).unwrap();
        assert_eq!(document["name"], "ours");
    }

    /// Two functions on one machine have a socket each.
    #[test]
    fn a_socket_waits_for_nothing_and_takes_any_free_port() {
        let (_, address) = daemon();
        let [one, _other] = [(); 2].map(|()| Daemon::new(address).unwrap());
        let (send, answer) = mpsc::channel();
        thread::spawn(move || send.send(one.socket.recv(&mut [0])));
        let received = answer.recv_timeout(Duration::from_mins(1)).expect("an answer at once");
        assert_eq!(received.unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn only_a_sampled_invocation_with_a_whole_header_has_a_parent() {
        let parent_of = |header: &str| parent(header).map(|context| context.span().span_context().clone());
        let parent = parent_of(SAMPLED).expect("a parent");
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
            let broken = SAMPLED.replace(part, instead);
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
