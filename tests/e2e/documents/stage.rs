//! A shop in which every call can be made, and who makes it.

use http::Method;
use serde_json::{Value, json};
use shopflow_testkit::{Client, Response, Service, Setup};

use super::conform::Call;
use crate::mailbox::{RESET, VERIFY, mailed};
use crate::world::{Backend, Person, World};

/// The address that the examples register.
const EXAMPLE: &str = "jane.doe@example.com";

/// Nobody's and nothing's.
pub(super) const NOTHING: &str = "00000000-0000-4000-8000-000000000000";

pub(super) struct Stage {
    pub(super) world: World,
    service: String,
    admin: Person,
    jane: Person,
    leaving: [Person; 3],
    order: String,
    pending: String,
    notification: String,
    token: String,
}

impl Stage {
    pub(super) async fn set(on: Backend) -> Self {
        let mailing = |setup: &mut Setup| setup.extra.push(("EMAIL_VERIFICATION", "true".into()));
        let world = World::start_with(on, mailing).await;
        let jane = world.customer("jane").await;
        let leaving = [
            world.customer("one").await,
            world.customer("two").await,
            world.customer("three").await,
        ];
        let admin = world.admin().await;
        let id = |order: &Value| order["id"].as_str().unwrap().to_owned();
        let (order, pending) = (id(&world.place(&jane).await), id(&world.place(&jane).await));
        world
            .advance(&admin, &order, &["confirmed", "shipped"])
            .await;
        // A mail and a text of each of three events, and the mail to verify her address.
        world.wait_notified(&jane, 7, "sent").await;
        let notification = id(&world.notifications(&jane).await[0]);
        // It was mailed to her when she registered. Its id is in an event that only services see.
        let token = "SELECT t.id FROM one_time_tokens t JOIN users u ON u.id = t.user_id \
            WHERE u.email = 'jane@example.com'";
        let token = world.database().await.id(token).await.to_string();
        Self {
            service: world.service_token("a-service"),
            world,
            admin,
            jane,
            leaving,
            order,
            pending,
            notification,
            token,
        }
    }

    pub(super) fn client(&self, service: Service) -> &Client {
        match service {
            Service::Auth => &self.world.auth,
            Service::Orders => &self.world.orders,
            Service::Notify => &self.world.notify,
        }
    }

    /// Makes a call as who may make it; `query` begins with `?`.
    pub(super) async fn make(&self, service: Service, call: &Call, query: &str) -> Response {
        let (token, id) = self.cast(call);
        let path = call.path.replace("{id}", id) + query;
        let client = match token {
            Some(token) => self.client(service).with_token(token),
            None => self.client(service).clone(),
        };
        let body = match call.example() {
            Some(example) => self.body(call.name(), example).await.to_string(),
            None => String::new(),
        };
        send(&client, call, &path, body).await
    }

    /// Who makes a call, and of what.
    pub(super) fn cast(&self, call: &Call) -> (Option<&str>, &str) {
        let [one, two, three] = &self.leaving;
        let (who, id) = match call.name() {
            "logout" => (one, ""),
            "logoutAll" => (two, ""),
            "deactivateUser" => (&self.admin, three.id.as_str()),
            "changePassword" => (&self.jane, self.jane.id.as_str()),
            "moveOrder" => (&self.admin, self.pending.as_str()),
            "getOrder" | "getOrderHistory" => (&self.admin, self.order.as_str()),
            "getNotification" | "listAttempts" => (&self.admin, self.notification.as_str()),
            "getOneTimeToken" => return (Some(&self.service), &self.token),
            _ => (&self.admin, self.jane.id.as_str()),
        };
        (call.is_guarded().then_some(who.access.as_str()), id)
    }

    /// The example, with what no document can know in place of what it invented.
    async fn body(&self, call: &str, example: &Value) -> Value {
        let mut body = example.clone();
        match call {
            "refresh" => body["refresh_token"] = json!(self.leaving[0].refresh),
            "verifyEmail" => body["token"] = json!(mailed(&self.world, EXAMPLE, VERIFY).await),
            "resetPassword" => body["token"] = json!(mailed(&self.world, EXAMPLE, RESET).await),
            _ => {}
        }
        body
    }
}

/// Sends a call with this body, which is JSON if it is anything.
pub(super) async fn send(client: &Client, call: &Call, path: &str, body: String) -> Response {
    let headers: &[(&str, &str)] = match call.example() {
        Some(_) => &[("content-type", "application/json")],
        None => &[],
    };
    let method: Method = call.method.clone();
    let answer = client.request(method, path, headers, body).await;
    answer.unwrap_or_else(|error| panic!("{error:#}"))
}
