//! Whom a service calls: its neighbours and the providers. Nothing is sent.

use core_kernel::{Clock, SystemClock, chain};
use core_notify::{SendError, Standing};
use futures_util::future::join_all;
use jiff::SignedDuration;
use shopflow_http::{CallError, HttpClient, accepts, health};
use shopflow_ses::SesSender;
use shopflow_twilio::{Account, TwilioSender};

use super::clock::compare;
use super::verdict::{Finding, PATIENCE, bounded, fail, ok, warn};
use crate::config::PeerSettings;

/// `Date` in an answer has whole seconds.
const CUT: SignedDuration = SignedDuration::from_secs(1);

/// Whether a neighbour is ready, by which clock it lives, and whether it takes our token.
pub(super) async fn peer(client: &HttpClient, peer: &PeerSettings) -> Vec<Finding> {
    let (name, Some(url)) = (peer.name, &peer.url) else {
        return Vec::new();
    };
    let advice = format!(
        "is it running, and {}_SERVICE_URL right?",
        match name {
            "auth" => "AUTH",
            _ => "ORDER",
        }
    );
    bounded(name, &advice, async {
        let before = SystemClock.now();
        let told = match health(client, url, PATIENCE).await {
            Ok(told) => told,
            Err(error) => return vec![fail(name, chain(&error), &*advice)],
        };
        let mut all = vec![match (told.ready, told.lacks.is_empty()) {
            (true, _) => ok(name, "is ready"),
            (false, false) => {
                let what = format!("is not ready: it lacks its {}", told.lacks.join(", "));
                fail(name, what, format!("run: shopflow doctor {name}"))
            }
            (false, true) => fail(name, "is not ready, or not the service", &*advice),
        }];
        let clock = told.clock;
        let clock = clock.map(|theirs| compare(&format!("{name} clock"), theirs, before, CUT));
        all.extend(clock);
        all
    })
    .await
}

/// Whether auth takes our tokens. Auth is asked for all of them at once: it is who knows.
pub(super) async fn tokens(client: &HttpClient, peers: &[PeerSettings]) -> Vec<Finding> {
    let auth = peers.iter().find(|peer| peer.name == "auth");
    let Some(url) = auth.and_then(|auth| auth.url.as_ref()) else {
        return Vec::new();
    };
    let each = peers.iter().filter_map(|peer| {
        let token = peer.token.as_ref()?;
        Some(async {
            let told = accepts(client, url, &token.value, PATIENCE).await;
            taken(peer.token_name, told)
        })
    });
    // That auth is away is told where auth is.
    let all = tokio::time::timeout(PATIENCE, join_all(each)).await;
    all.unwrap_or_default().into_iter().flatten().collect()
}

fn taken(name: &str, told: Result<bool, CallError>) -> Option<Finding> {
    Some(match told {
        Ok(true) => ok(name, "auth takes it"),
        Ok(false) => fail(
            name,
            "auth refuses it",
            "make another with the JWT_SECRET of auth: shopflow token service --subject NAME",
        ),
        Err(CallError::Connect(_) | CallError::TimedOut(_)) => return None,
        Err(error) => warn(name, chain(&error), "see what auth logs"),
    })
}

pub(super) async fn ses(region: &str, from: &str) -> Vec<Finding> {
    let advice = "see the AWS_* variables, and the account in the SES console";
    let check = async {
        let sender = SesSender::connect(region, from).await;
        vec![standing("ses", sender.account().await, advice)]
    };
    bounded("ses", advice, Box::pin(check)).await
}

pub(super) async fn twilio(client: &HttpClient, account: &Account, url: &str) -> Vec<Finding> {
    let advice = "see the TWILIO_* variables, and the account in the Twilio console";
    let check = async {
        let told = match TwilioSender::new(client.clone(), url, account) {
            Ok(sender) => sender.account().await,
            Err(error) => Err(SendError::Away(error.to_string())),
        };
        vec![standing("twilio", told, advice)]
    };
    bounded("twilio", advice, check).await
}

fn standing(name: &str, told: Result<Standing, SendError>, advice: &str) -> Finding {
    match told {
        Ok(Standing::Good) => ok(name, "knows our account, which may send"),
        Ok(Standing::Limited(how)) => warn(name, format!("knows our account, but {how}"), advice),
        Err(
            SendError::Refused(why)
            | SendError::NotNow(why)
            | SendError::Unknown(why)
            | SendError::Away(why),
        ) => fail(name, why, advice),
    }
}
