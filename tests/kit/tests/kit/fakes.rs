use serde_json::{Value, json};
use shopflow_testkit::{Client, FakeSes, FakeTwilio, Reply, Response, SesRejection, wait_until};
use std::time::Duration;

fn mail(to: &str) -> Value {
    json!({
        "FromEmailAddress": "shop@example.com",
        "Destination": { "ToAddresses": [to] },
        "Content": { "Simple": {
            "Subject": { "Data": "Hello" },
            "Body": { "Html": { "Data": "<p>Hi</p>" }, "Text": { "Data": "Hi" } },
        } },
        "EmailTags": [{ "Name": "order", "Value": "1" }],
    })
}

async fn send_mail(ses: &FakeSes, to: &str) -> anyhow::Result<Response> {
    let path = "/v2/email/outbound-emails";
    let headers = [("authorization", "AWS4-HMAC-SHA256 Credential")];
    Client::new(ses.endpoint())
        .request(http::Method::POST, path, &headers, mail(to).to_string())
        .await
}

async fn send_text(twilio: &FakeTwilio, to: &str) -> Response {
    let form = format!(
        "From=%2B15550001111&To={}&Body=Hi+there",
        to.replace('+', "%2B")
    );
    Client::new(twilio.endpoint())
        .with_basic("AC1", "secret")
        .request(
            http::Method::POST,
            "/2010-04-01/Accounts/AC1/Messages.json",
            &[],
            form,
        )
        .await
        .unwrap()
}

#[tokio::test]
async fn ses_reads_what_the_sdk_sends() {
    let ses = FakeSes::start();
    let answer = send_mail(&ses, "a@example.com").await.unwrap();
    assert_eq!(answer.json(), json!({ "MessageId": "ses-000001" }));
    let sent = ses.wait_for(1, Duration::from_secs(5)).await;
    let mail = &sent[0];
    assert_eq!(
        (mail.from.as_str(), mail.to.as_slice()),
        ("shop@example.com", &["a@example.com".to_owned()][..])
    );
    assert_eq!(
        (mail.subject.as_str(), mail.text.as_deref()),
        ("Hello", Some("Hi"))
    );
    assert_eq!(mail.html.as_deref(), Some("<p>Hi</p>"));
    assert_eq!(mail.tags["order"], "1");
    assert_eq!(
        mail.authorization.as_deref(),
        Some("AWS4-HMAC-SHA256 Credential")
    );
    assert_eq!(mail.id, "ses-000001");
}

#[tokio::test]
async fn ses_follows_its_scripts() {
    let ses = FakeSes::start();
    ses.script([
        Reply::Throttle,
        Reply::Reject(SesRejection::MessageRejected),
    ]);
    ses.script_for("b@example.com", [Reply::ServerError]);
    ses.set_default_for("b@example.com", Reply::Unavailable);
    let mut seen = Vec::new();
    for to in [
        "b@example.com",
        "a@example.com",
        "a@example.com",
        "b@example.com",
        "a@example.com",
    ] {
        let answer = send_mail(&ses, to).await.unwrap();
        let kind = answer
            .header("x-amzn-errortype")
            .unwrap_or("accepted")
            .to_owned();
        seen.push((answer.status, kind));
    }
    let seen: Vec<_> = seen
        .iter()
        .map(|(status, kind)| (*status, kind.as_str()))
        .collect();
    let expected = [
        (500, "InternalFailure"),
        (429, "TooManyRequestsException"),
        (400, "MessageRejected"),
        (503, "ServiceUnavailable"),
        (200, "accepted"),
    ];
    assert_eq!(seen, expected);
    assert_eq!((ses.requests().len(), ses.sent().len()), (5, 1));
}

#[tokio::test]
async fn ses_breaks_connections_as_scripted() {
    let ses = FakeSes::start();
    ses.script([
        Reply::AcceptThenReset,
        Reply::ResetBefore,
        Reply::Malformed,
        Reply::Hang,
    ]);
    ses.set_default(Reply::Delay(Duration::from_millis(50)));
    assert!(send_mail(&ses, "1@example.com").await.is_err());
    assert!(send_mail(&ses, "2@example.com").await.is_err());
    let malformed = send_mail(&ses, "3@example.com").await.unwrap();
    assert_eq!(malformed.status, 200);
    assert!(serde_json::from_slice::<Value>(&malformed.body).is_err());
    tokio::select! {
        answer = send_mail(&ses, "4@example.com") => panic!("{answer:?}"),
        () = wait_until("it has come", Duration::from_secs(30), async || {
            ses.requests().len() == 4
        }) => {}
    }
    assert_eq!(send_mail(&ses, "5@example.com").await.unwrap().status, 200);
    let accepted: Vec<_> = ses
        .requests()
        .iter()
        .map(|request| request.accepted)
        .collect();
    assert_eq!(accepted, [true, false, false, false, true]);
    let endpoint = ses.endpoint().to_owned();
    drop(ses);
    let client = Client::new(endpoint);
    let gone = client.request(http::Method::GET, "/", &[], "").await;
    assert!(gone.is_err(), "it stops when dropped");
}

#[tokio::test]
async fn twilio_answers_as_twilio_does() {
    let twilio = FakeTwilio::start();
    let accepted = send_text(&twilio, "+15550002222").await;
    assert_eq!(
        (accepted.status, accepted.json()["status"].as_str()),
        (201, Some("queued"))
    );
    assert_eq!(accepted.json()["sid"].as_str().map(str::len), Some(34));
    let text = &twilio.sent()[0];
    assert_eq!(
        (text.to.as_str(), text.body.as_str()),
        ("+15550002222", "Hi there")
    );
    assert_eq!(
        text.credentials,
        Some(("AC1".to_owned(), "secret".to_owned()))
    );

    twilio.script([Reply::Reject(21211), Reply::Throttle, Reply::BadCredentials]);
    for (status, code) in [(400, 21211), (429, 20429), (401, 20003)] {
        let refused = send_text(&twilio, "+1").await;
        assert_eq!(
            (refused.status, &refused.json()["code"]),
            (status, &json!(code))
        );
        assert_eq!(refused.json()["status"], status);
    }
}

#[tokio::test]
async fn a_healed_fake_forgets_all_that_was_to_go_wrong() {
    let ses = FakeSes::start();
    ses.script([Reply::Throttle]);
    ses.set_default(Reply::Hang);
    ses.set_default_for("a@example.com", Reply::ServerError);
    ses.heal();
    for to in ["a@example.com", "b@example.com"] {
        assert_eq!(send_mail(&ses, to).await.unwrap().status, 200);
    }
    assert_eq!(ses.sent().len(), 2);
}

#[tokio::test]
async fn an_unknown_endpoint_is_told_so() {
    let ses = FakeSes::start();
    assert_eq!(Client::new(ses.endpoint()).get("/").await.status, 404);
    assert!(ses.requests().is_empty());
}

#[tokio::test]
async fn a_fake_keeps_up_with_a_crowd() {
    let ses = FakeSes::start();
    let client = Client::new(ses.endpoint());
    let senders = (0..20).map(|sender| {
        let client = client.clone();
        tokio::spawn(async move {
            for number in 0..100 {
                let mail = mail(&format!("{sender}.{number}@example.com"));
                assert_eq!(
                    client.post("/v2/email/outbound-emails", &mail).await.status,
                    200
                );
            }
        })
    });
    futures_util::future::try_join_all(senders).await.unwrap();
    assert_eq!(ses.sent().len(), 2_000);
}

#[tokio::test]
async fn a_token_is_sent_along() {
    let ses = FakeSes::start();
    let client = Client::new(ses.endpoint()).with_token("abc");
    client
        .post("/v2/email/outbound-emails", &mail("a@example.com"))
        .await;
    assert_eq!(ses.sent()[0].authorization.as_deref(), Some("Bearer abc"));
}
