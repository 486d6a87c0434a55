//! Stand-ins for the providers outside, at the level of their HTTP protocols.

pub(crate) mod collector;
pub(crate) mod s3;
mod server;
pub(crate) mod ses;
pub(crate) mod twilio;

use crate::{runtime::runtime, wait::wait_for};
use bytes::Bytes;
use http::{Response, StatusCode, header, request::Parts};
use http_body_util::Full;
use server::{Memory, Script, State, serve};
use std::{
    fmt::Debug,
    ops::Deref,
    sync::MutexGuard,
    time::{Duration, Instant},
};
use tokio::{net::TcpListener, task::AbortHandle};

/// What a provider's stand-in does with one request. `R` names the refusals only this provider knows.
#[derive(Clone, Debug)]
pub enum Reply<R> {
    /// Accepts the message.
    Accept,
    /// Waits, then accepts the message unless the caller has hung up.
    Delay(Duration),
    /// 429: too many requests.
    Throttle,
    /// 500.
    ServerError,
    /// 503.
    Unavailable,
    /// The provider does not know these credentials.
    BadCredentials,
    /// The provider refuses this message for good, or this account.
    Reject(R),
    /// Never answers; the message is not accepted.
    Hang,
    /// Accepts the message but closes the connection instead of saying so.
    AcceptThenReset,
    /// Closes the connection; the message is not accepted.
    ResetBefore,
    /// 200 with a body that is no JSON; the message is not accepted.
    Malformed,
}

/// The protocol of one provider; [`Ses`](crate::Ses) and [`Twilio`](crate::Twilio) are the two there are.
pub trait Provider: Send + Sync + 'static {
    /// A request to send something, as read from the wire.
    type Message: Clone + Debug + Send + Sync + 'static;
    /// What [`Reply::Reject`] can say.
    type Rejection: Clone + Debug + Send + Sync + 'static;

    /// Reads a request; nothing if the provider has no such endpoint or cannot read the body.
    fn read(parts: &Parts, body: &Bytes) -> Option<Self::Message>;
    /// The answer to who asks how the account stands; nothing if the request asks something else.
    fn account(parts: &Parts) -> Option<Response<Full<Bytes>>>;
    /// Whom the message is for.
    fn recipient(message: &Self::Message) -> &str;
    /// The id of the `number`th message.
    fn id(number: usize) -> String;
    /// The answer to an accepted message.
    fn accepted(id: &str, message: &Self::Message) -> Response<Full<Bytes>>;
    /// The answer to one message too many.
    fn throttled() -> Response<Full<Bytes>>;
    /// The answer when the provider itself is in trouble, with this 5xx status.
    fn in_trouble(status: StatusCode) -> Response<Full<Bytes>>;
    /// The answer to wrong credentials.
    fn bad_credentials() -> Response<Full<Bytes>>;
    /// The answer to a refused message.
    fn rejected(rejection: &Self::Rejection) -> Response<Full<Bytes>>;
}

/// One request that reached a stand-in; the message's own fields can be read directly.
#[derive(Clone, Debug)]
pub struct Received<M> {
    /// The id that the provider gave, or would have given.
    pub id: String,
    /// When it came in.
    pub at: Instant,
    /// Whether the provider took it, and would deliver it.
    pub accepted: bool,
    /// What was to be sent.
    pub message: M,
}

impl<M> Deref for Received<M> {
    type Target = M;

    fn deref(&self) -> &M {
        &self.message
    }
}

/// A provider's stand-in on 127.0.0.1 that answers as scripted and remembers every request.
///
/// It accepts everything unless told otherwise, and stops when dropped.
#[derive(Debug)]
pub struct Fake<P: Provider> {
    endpoint: String,
    state: State<P>,
    server: AbortHandle,
}

impl<P: Provider> Fake<P> {
    /// Starts the server on a free port.
    #[must_use]
    pub fn start() -> Self {
        let _inside = runtime().enter();
        let listener = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
            .and_then(TcpListener::from_std)
            .expect("a fake provider can listen on 127.0.0.1");
        let address = listener.local_addr().expect("a listener has an address");
        let state = State::<P>::default();
        let server = tokio::spawn(serve::<P>(listener, state.clone())).abort_handle();
        Self {
            endpoint: format!("http://{address}"),
            state,
            server,
        }
    }

    /// The URL to give to the sender under test, without a path.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Answers the next requests like this, one reply each, then as by default again.
    pub fn script(&self, replies: impl IntoIterator<Item = Reply<P::Rejection>>) {
        self.memory().general.next.extend(replies);
    }

    /// Answers all requests like this that nothing else is said about.
    pub fn set_default(&self, reply: Reply<P::Rejection>) {
        self.memory().general.then = Some(reply);
    }

    /// Answers the next requests for this recipient like this; they do not use up [`Fake::script`].
    pub fn script_for(
        &self,
        recipient: &str,
        replies: impl IntoIterator<Item = Reply<P::Rejection>>,
    ) {
        let mut memory = self.memory();
        memory
            .by_recipient
            .entry(recipient.to_owned())
            .or_default()
            .next
            .extend(replies);
    }

    /// Answers all requests for this recipient like this once their script is used up.
    pub fn set_default_for(&self, recipient: &str, reply: Reply<P::Rejection>) {
        let mut memory = self.memory();
        memory
            .by_recipient
            .entry(recipient.to_owned())
            .or_default()
            .then = Some(reply);
    }

    /// Accepts everything again: forgets all that was said before.
    pub fn heal(&self) {
        let mut memory = self.memory();
        memory.general = Script::default();
        memory.by_recipient.clear();
    }

    /// Every request so far, in the order of arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<Received<P::Message>> {
        self.memory().received.clone()
    }

    /// The accepted ones: what would be delivered, twice if it was accepted twice.
    #[must_use]
    pub fn sent(&self) -> Vec<Received<P::Message>> {
        let memory = self.memory();
        memory
            .received
            .iter()
            .filter(|request| request.accepted)
            .cloned()
            .collect()
    }

    /// How many messages were accepted; cheaper than to look at [`Fake::sent`].
    #[must_use]
    pub fn sent_count(&self) -> usize {
        let memory = self.memory();
        let accepted = memory.received.iter().filter(|request| request.accepted);
        accepted.count()
    }

    /// Waits until at least `count` messages are accepted and returns all that are; panics if
    /// `timeout` is over before.
    pub async fn wait_for(&self, count: usize, timeout: Duration) -> Vec<Received<P::Message>> {
        let what = format!("{count} messages accepted by {}", self.endpoint);
        wait_for(&what, timeout, async || {
            let sent = self.sent();
            (sent.len() >= count).then_some(sent)
        })
        .await
    }

    fn memory(&self) -> MutexGuard<'_, Memory<P::Message, P::Rejection>> {
        self.state
            .lock()
            .expect("nothing panics while it holds the memory")
    }
}

impl<P: Provider> Drop for Fake<P> {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// An answer with a JSON body.
pub(crate) fn json(status: StatusCode, body: &serde_json::Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body.to_string()));
    *response.status_mut() = status;
    let json = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}
