//! What follows a request through all services: its id and its trace (W3C Trace Context).

use std::sync::{Arc, OnceLock};

/// The trace a piece of work belongs to, and the span within it (W3C Trace Context, level 1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    parent_id: Option<[u8; 8]>,
    flags: u8,
    state: Option<Arc<str>>,
}

/// Vendors' `tracestate` beyond this is dropped, as the recommendation allows (§3.3.1.5).
const MAX_STATE: usize = 512;

/// The flag that says that a trace is recorded (W3C Trace Context §3.2.2.5.1). The only one that
/// version 00 knows; others are neither heeded nor sent on (§3.2.2.5.2).
const SAMPLED: u8 = 1;

/// Which traces are recorded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// The share of the traces that begin here, 0 to 1.
    pub share: f64,
    /// Whether what the caller decided for its trace counts here too.
    pub heed_caller: bool,
}

/// Without a setting every trace counts as recorded unless its caller says otherwise: a neighbour
/// may record what we do not.
static SAMPLING: OnceLock<Sampling> = OnceLock::new();

impl Sampling {
    const DEFAULT: Self = Self {
        share: 1.0,
        heed_caller: true,
    };

    /// Decides so from now on, in this process. The first call counts.
    pub fn begin(self) {
        let _ = SAMPLING.set(self);
    }

    fn current() -> Self {
        SAMPLING.get().copied().unwrap_or(Self::DEFAULT)
    }

    /// The same answer for a trace in every service with the same share: it follows from the id
    /// (`TraceIdRatioBased` of the OpenTelemetry SDK specification).
    fn takes(self, trace_id: &[u8; 16]) -> bool {
        let [_, _, _, _, _, _, _, _, low @ ..] = *trace_id;
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        let place = (u64::from_be_bytes(low) >> 11) as f64 / (1_u64 << 53) as f64;
        place < self.share
    }
}

impl TraceContext {
    /// A new trace, recorded if [`Sampling`] takes it.
    #[must_use]
    pub fn root() -> Self {
        Self::root_by(Sampling::current())
    }

    fn root_by(sampling: Sampling) -> Self {
        let trace_id = random_trace();
        Self {
            flags: u8::from(sampling.takes(&trace_id)),
            trace_id,
            span_id: random_span(),
            parent_id: None,
            state: None,
        }
    }

    /// The span in which a service works on what it was sent: a new one in the caller's trace, or
    /// in a new trace if there is none.
    #[must_use]
    pub fn continued(caller: Option<&Self>) -> Self {
        Self::continued_by(Sampling::current(), caller)
    }

    fn continued_by(sampling: Sampling, caller: Option<&Self>) -> Self {
        let Some(caller) = caller else {
            return Self::root_by(sampling);
        };
        let mut own = caller.child();
        if !sampling.heed_caller {
            let sampled = u8::from(sampling.takes(&own.trace_id));
            own.flags = sampled;
        }
        own
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
        if !known_length || [2, 35, 52].iter().any(|&at| bytes[at] != b'-') {
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
            parent_id: None,
            flags: flags & SAMPLED,
            state: tracestate
                .filter(|state| !state.is_empty() && state.len() <= MAX_STATE)
                .map(Arc::from),
        })
    }

    /// A new span of the same trace.
    #[must_use]
    pub fn child(&self) -> Self {
        Self {
            span_id: random_span(),
            parent_id: Some(self.span_id),
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
        hex_of(&self.trace_id)
    }

    /// The id of the span, 16 hex digits.
    #[must_use]
    pub fn span_id(&self) -> String {
        hex_of(&self.span_id)
    }

    /// The id of the span that this one is part of, if it was made by [`TraceContext::child`].
    #[must_use]
    pub fn parent_id(&self) -> Option<String> {
        self.parent_id.as_ref().map(|parent| hex_of(parent))
    }

    /// Whether the trace is recorded.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }
}

/// The bytes of a random UUID. Its fixed version and variant bits, which keep it from being zero, go
/// to the first half: samplers take the second one for a random number.
fn random_trace() -> [u8; 16] {
    let mut bytes = crate::OrderId::generate().0.into_bytes();
    bytes.rotate_left(1);
    bytes
}

/// The first bytes of a random UUID; its version bits keep it from being zero.
fn random_span() -> [u8; 8] {
    let [bytes @ .., _, _, _, _, _, _, _, _] = crate::OrderId::generate().0.into_bytes();
    bytes
}

fn hex_of(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    push_hex(&mut text, bytes);
    text
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
    ];
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)]);
        text.push(DIGITS[usize::from(byte & 15)]);
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
    fn a_child_knows_its_parent() {
        let parent = TraceContext::parse(PARENT, None).unwrap();
        assert_eq!(parent.parent_id(), None);
        let child = TraceContext::continued(Some(&parent));
        assert_eq!(child.parent_id().as_deref(), Some("00f067aa0ba902b7"));
        assert_eq!(child.span_id(), child.traceparent()[36..52]);
    }

    #[test]
    fn a_share_of_the_traces_that_begin_here_is_recorded() {
        let recorded = |share| {
            let sampling = Sampling {
                share,
                heed_caller: true,
            };
            let traces = (0..2000).map(|_| TraceContext::root_by(sampling));
            traces.filter(TraceContext::is_sampled).count()
        };
        assert_eq!(recorded(0.0), 0);
        assert_eq!(recorded(1.0), 2000);
        let quarter = recorded(0.25);
        // Six standard deviations on either side.
        assert!((384..=616).contains(&quarter), "{quarter} of 2000");
    }

    #[test]
    fn what_the_caller_decided_counts_if_it_is_heeded() {
        let caller = TraceContext::parse(&PARENT.replace("-01", "-00"), None).unwrap();
        let own = |heed_caller| {
            let sampling = Sampling {
                share: 1.0,
                heed_caller,
            };
            TraceContext::continued_by(sampling, Some(&caller)).is_sampled()
        };
        assert!(!own(true));
        assert!(own(false));
    }

    #[test]
    fn flags_that_nobody_knows_are_not_sent_on() {
        for (given, sent) in [("-fe", "-00"), ("-ff", "-01"), ("-03", "-01")] {
            let caller = TraceContext::parse(&PARENT.replace("-01", given), None).unwrap();
            assert!(caller.child().traceparent().ends_with(sent), "{given}");
        }
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
            &PARENT.replace("00-4", "01x4"),
            &PARENT[..54],
        ] {
            assert_eq!(TraceContext::parse(bad, None), None, "{bad}");
        }
        let later = format!("01{}-what-comes", &PARENT[2..]);
        assert!(TraceContext::parse(&later, None).is_some());
    }
}
