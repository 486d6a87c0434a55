//! What follows a request through all services: its id and its trace (W3C Trace Context).

use std::fmt::Write as _;
use std::sync::Arc;

/// The trace a piece of work belongs to, and the span within it (W3C Trace Context, level 1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    flags: u8,
    state: Option<Arc<str>>,
}

/// Vendors' `tracestate` beyond this is dropped, as the recommendation allows (§3.3.1.5).
const MAX_STATE: usize = 512;

impl TraceContext {
    /// A new trace, sampled.
    #[must_use]
    pub fn root() -> Self {
        Self {
            trace_id: random(),
            span_id: random(),
            flags: 1,
            state: None,
        }
    }

    /// Reads `traceparent` and, if there is one, `tracestate`. `None` when it breaks the rules of
    /// W3C Trace Context §3.2.2: then a new trace is to be begun.
    #[must_use]
    pub fn parse(traceparent: &str, tracestate: Option<&str>) -> Option<Self> {
        let bytes = traceparent.as_bytes();
        let known_length = match bytes.get(..3)? {
            b"00-" => bytes.len() == 55,
            b"ff-" => false,
            // A later version may append fields, behind one more hyphen.
            _ => bytes.len() == 55 || bytes.get(55) == Some(&b'-'),
        };
        if !known_length || bytes[35] != b'-' || bytes[52] != b'-' {
            return None;
        }
        hex::<1>(&bytes[..2])?;
        let trace_id = hex::<16>(&bytes[3..35])?;
        let span_id = hex::<8>(&bytes[36..52])?;
        let [flags] = hex::<1>(&bytes[53..55])?;
        let valid = trace_id != [0; 16] && span_id != [0; 8];
        valid.then(|| Self {
            trace_id,
            span_id,
            flags,
            state: tracestate
                .filter(|state| !state.is_empty() && state.len() <= MAX_STATE)
                .map(Arc::from),
        })
    }

    /// A new span of the same trace.
    #[must_use]
    pub fn child(&self) -> Self {
        Self {
            span_id: random(),
            ..self.clone()
        }
    }

    /// The `traceparent` header: `00-<trace id>-<span id>-<flags>`.
    #[must_use]
    pub fn traceparent(&self) -> String {
        let mut text = String::with_capacity(55);
        text.push_str("00-");
        push_hex(&mut text, &self.trace_id);
        text.push('-');
        push_hex(&mut text, &self.span_id);
        text.push('-');
        push_hex(&mut text, &[self.flags]);
        text
    }

    /// The `tracestate` header, if the caller sent one.
    #[must_use]
    pub fn tracestate(&self) -> Option<&str> {
        self.state.as_deref()
    }

    /// The id of the trace, 32 hex digits.
    #[must_use]
    pub fn trace_id(&self) -> String {
        let mut text = String::with_capacity(32);
        push_hex(&mut text, &self.trace_id);
        text
    }
}

/// The first bytes of a random UUID: the fixed version and variant bits keep it from being zero.
fn random<const N: usize>() -> [u8; N] {
    let uuid = crate::OrderId::generate().0.into_bytes();
    let mut out = [0; N];
    out.copy_from_slice(&uuid[..N]);
    out
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
}

/// Lower-case hex only, as the recommendation demands.
fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut out = [0; N];
    for (index, pair) in text.chunks_exact(2).enumerate() {
        *out.get_mut(index)? = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(out)
}

/// What one request is known by, from its first log line to its last effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestContext {
    /// The caller's `x-request-id`, or one of ours.
    pub request_id: Arc<str>,
    /// The span of the request.
    pub trace: TraceContext,
}

impl RequestContext {
    /// A context for work that no request began, such as a command at the terminal.
    #[must_use]
    pub fn generate() -> Self {
        Self {
            request_id: crate::EventId::generate().to_string().into(),
            trace: TraceContext::root(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_child_stays_in_the_trace_with_a_span_of_its_own() {
        let parent = TraceContext::parse(PARENT, Some("vendor=1")).unwrap();
        assert_eq!(parent.traceparent(), PARENT);
        let child = parent.child();
        assert_eq!(child.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_ne!(child.traceparent(), PARENT);
        assert_eq!(child.tracestate(), Some("vendor=1"));
    }

    #[test]
    fn a_broken_traceparent_is_no_trace() {
        let zero = "00-00000000000000000000000000000000-00f067aa0ba902b7-01";
        let upper = PARENT.to_uppercase();
        let longer = format!("{PARENT}-00");
        for bad in [
            "",
            "00",
            zero,
            &upper,
            &longer,
            &PARENT.replace("00-4", "ff-4"),
            &PARENT[..54],
        ] {
            assert_eq!(TraceContext::parse(bad, None), None, "{bad}");
        }
        let later = format!("01{}-what-comes", &PARENT[2..]);
        assert!(TraceContext::parse(&later, None).is_some());
    }
}
