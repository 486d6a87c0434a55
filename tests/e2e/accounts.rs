//! Contract §2: accounts, logins and tokens.

use std::collections::HashSet;

use serde_json::{Value, json};
use shopflow_testkit::{Response, wait_for, wait_until};

use crate::world::{AUTH, Backend, PASSWORD, SOON, World, assert_problem};

back_ends! {
    both:
        a_registration_is_normalized_and_takes_no_role,
        all_faults_of_a_registration_come_together,
        unknown_email_and_wrong_password_answer_alike,
        a_deactivated_account_is_told_so_only_by_its_right_password,
        a_login_gives_a_pair_that_nobody_may_keep,
        a_service_token_is_valid_and_names_its_service,
        a_refresh_token_works_once_and_its_reuse_ends_the_session,
        within_the_grace_a_used_refresh_token_gets_a_working_pair,
        of_fifty_refreshes_at_once_one_gets_a_pair_and_the_session_ends,
        within_the_grace_fifty_refreshes_at_once_all_get_working_pairs,
        a_profile_is_for_its_owner_admins_and_services,
        a_bcrypt_hash_made_elsewhere_logs_in_and_becomes_scrypt,
        a_storm_of_logins_is_bounded_and_told_to_come_again,
        who_is_turned_away_in_a_storm_and_comes_again_is_served;
    servers:
        a_rotated_secret_logs_nobody_out;
}

fn registration(email: &str) -> Value {
    json!({ "email": email, "password": PASSWORD, "first_name": "Jane", "last_name": "Doe" })
}

async fn refresh(world: &World, token: &str) -> Response {
    world
        .auth
        .post("/auth/refresh", &json!({ "refresh_token": token }))
        .await
}

async fn validate(world: &World, token: &str) -> Response {
    world
        .auth
        .with_token(token)
        .post("/auth/validate", &Value::Null)
        .await
}

async fn a_registration_is_normalized_and_takes_no_role(on: Backend) {
    let world = World::start(on).await;
    let mut body = registration("  Jane.Doe@Example.COM ");
    body["first_name"] = json!("  Jane ");
    body["role"] = json!("admin");
    body["is_active"] = json!(false);
    let made = world.auth.post("/auth/register", &body).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let made = made.json();
    assert_eq!(made["email"], "jane.doe@example.com");
    assert_eq!(made["first_name"], "Jane");
    assert_eq!(made["phone"], Value::Null);
    assert_eq!(made["role"], "customer");
    let at = made["created_at"].as_str().unwrap();
    assert!(
        at.len() == 24 && at.ends_with('Z') && at.as_bytes()[19] == b'.',
        "{at}"
    );
    assert_eq!(made.as_object().unwrap().len(), 7, "{made}");

    let again = world
        .auth
        .post("/auth/register", &registration("JANE.DOE@example.com"))
        .await;
    assert_problem(&again, 409, "email_taken");
    let hash = "SELECT count(*) FROM users WHERE email = 'jane.doe@example.com'
        AND password_hash LIKE '$scrypt$ln=14,r=8,p=5$%'";
    assert_eq!(world.count(hash).await, 1);
}

async fn all_faults_of_a_registration_come_together(on: Backend) {
    let world = World::start(on).await;
    let body =
        json!({ "email": "jane", "password": "short", "first_name": " ", "phone": "0155512345" });
    let answer = world.auth.post("/auth/register", &body).await;
    assert_problem(&answer, 400, "validation_failed");
    let faults = answer.json()["errors"].clone();
    let pointers: Vec<_> = faults
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f["pointer"].clone())
        .collect();
    let all = ["/email", "/password", "/first_name", "/last_name", "/phone"];
    assert_eq!(Value::from(pointers), json!(all));
    assert!(
        !answer.text().contains("short"),
        "a password is never echoed"
    );
}

async fn unknown_email_and_wrong_password_answer_alike(on: Backend) {
    let world = World::start(on).await;
    world.customer("jane").await;
    let login = async |email: &str| {
        let body = json!({ "email": email, "password": "Wr0ng!Passw0rd" });
        let answer = world.auth.post("/auth/login", &body).await;
        assert_problem(&answer, 401, "invalid_credentials");
        let mut problem = answer.json();
        problem.as_object_mut().unwrap().remove("request_id");
        problem
    };
    assert_eq!(
        login("jane@example.com").await,
        login("nobody@example.com").await
    );
    assert_eq!(
        login("no email at all").await,
        login("nobody@example.com").await
    );
    login("jane\0@example.com").await;
    let missing = world.auth.post("/auth/login", &json!({ "email": 7 })).await;
    assert_problem(&missing, 400, "validation_failed");
    assert_eq!(missing.json()["errors"].as_array().unwrap().len(), 2);
}

async fn a_deactivated_account_is_told_so_only_by_its_right_password(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    world.execute("UPDATE users SET is_active = false").await;
    let login = async |password: &str| {
        let body = json!({ "email": jane.email, "password": password });
        world.auth.post("/auth/login", &body).await
    };
    assert_problem(&login(PASSWORD).await, 403, "account_deactivated");
    assert_problem(&login("Wr0ng!Passw0rd").await, 401, "invalid_credentials");
    // Done by hand in the database, it is noticed a moment later.
    wait_until("her tokens end", SOON, async || {
        validate(&world, &jane.access).await.status == 401
    })
    .await;
    assert_problem(&refresh(&world, &jane.refresh).await, 401, "invalid_token");
}

async fn a_login_gives_a_pair_that_nobody_may_keep(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    let body = json!({ "email": " JANE@example.com", "password": PASSWORD });
    let answer = world.auth.post("/auth/login", &body).await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let pair = answer.json();
    assert_eq!(
        (&pair["token_type"], &pair["expires_in"]),
        (&json!("Bearer"), &json!(3600))
    );
    let valid = validate(&world, pair["access_token"].as_str().unwrap()).await;
    let user = json!({ "id": jane.id, "email": "jane@example.com", "role": "customer" });
    assert_eq!(valid.json(), json!({ "valid": true, "user": user }));
    // Neither token stands in for the other.
    let (access, refresh_token) = (&jane.access, &jane.refresh);
    assert_problem(&validate(&world, refresh_token).await, 401, "invalid_token");
    assert_problem(&refresh(&world, access).await, 401, "invalid_token");
}

async fn a_service_token_is_valid_and_names_its_service(on: Backend) {
    let world = World::start(on).await;
    let valid = validate(&world, &world.service_token("notification-service")).await;
    let user = json!({ "id": "notification-service", "email": null, "role": "service" });
    assert_eq!(valid.json(), json!({ "valid": true, "user": user }));
}

async fn a_refresh_token_works_once_and_its_reuse_ends_the_session(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    let other = world.login(&jane.email).await;
    let first = refresh(&world, &jane.refresh).await;
    assert_eq!(first.status, 200, "{}", first.text());
    let next = first.json();
    assert_eq!(
        validate(&world, next["access_token"].as_str().unwrap())
            .await
            .status,
        200
    );

    assert_problem(&refresh(&world, &jane.refresh).await, 401, "invalid_token");
    for access in [&jane.access, next["access_token"].as_str().unwrap()] {
        assert_problem(&validate(&world, access).await, 401, "invalid_token");
    }
    let child = next["refresh_token"].as_str().unwrap();
    assert_problem(&refresh(&world, child).await, 401, "invalid_token");
    assert_eq!(
        validate(&world, &other.access).await.status,
        200,
        "another session goes on"
    );

    for (body, status, code) in [
        (json!({}), 400, "validation_failed"),
        (json!({ "refresh_token": 7 }), 400, "validation_failed"),
        (json!({ "refresh_token": "" }), 401, "invalid_token"),
        (json!({ "refresh_token": "x.y.z" }), 401, "invalid_token"),
    ] {
        assert_problem(&world.auth.post("/auth/refresh", &body).await, status, code);
    }
}

async fn within_the_grace_a_used_refresh_token_gets_a_working_pair(on: Backend) {
    let grace = ("REFRESH_REUSE_GRACE_SECONDS", "60".to_owned());
    let world = World::start_with(on, |setup| setup.extra.push(grace)).await;
    let jane = world.customer("jane").await;
    for _ in 0..3 {
        let pair = refresh(&world, &jane.refresh).await;
        assert_eq!(pair.status, 200, "{}", pair.text());
        let access = pair.json()["access_token"].as_str().unwrap().to_owned();
        assert_eq!(validate(&world, &access).await.status, 200);
    }
}

async fn a_profile_is_for_its_owner_admins_and_services(on: Backend) {
    let world = World::start(on).await;
    let (jane, joe) = (world.customer("jane").await, world.customer("joe").await);
    let admin = world.admin().await;
    let get = async |token: &str, id: &str| {
        world
            .auth
            .with_token(token)
            .get(&format!("/auth/users/{id}"))
            .await
    };
    let own = get(&jane.access, &jane.id.to_uppercase()).await.json();
    assert_eq!(own["id"], jane.id);
    assert_eq!(own["phone"], "+15551234567");
    assert_eq!(own["is_active"], true);
    assert_eq!(own.as_object().unwrap().len(), 9, "{own}");
    for token in [&admin.access, &world.service_token("notification-service")] {
        assert_eq!(get(token, &jane.id).await.json(), own);
        let nobody = "00000000-0000-4000-8000-000000000000";
        assert_problem(&get(token, nobody).await, 404, "not_found");
        assert_problem(&get(token, "no-uuid").await, 404, "not_found");
    }
    assert_problem(&get(&jane.access, &joe.id).await, 403, "forbidden");
    let nobody = "00000000-0000-4000-8000-000000000000";
    assert_problem(&get(&jane.access, nobody).await, 403, "forbidden");
}

async fn a_bcrypt_hash_made_elsewhere_logs_in_and_becomes_scrypt(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    // bcrypt of PASSWORD with cost 4, in the three spellings there are.
    for version in ["2a", "2b", "2y"] {
        let hash = bcrypt::hash_with_result(PASSWORD, 4).unwrap().to_string();
        let hash = hash.replacen("$2b$", &format!("${version}$"), 1);
        let plant = format!("UPDATE users SET password_hash = '{hash}'");
        world.execute(&plant).await;
        world.login(&jane.email).await;
        let renewed = "SELECT count(*) FROM users WHERE password_hash LIKE '$scrypt$%'";
        assert_eq!(world.count(renewed).await, 1, "{version}");
        world.login(&jane.email).await;
    }
}

async fn a_rotated_secret_logs_nobody_out() {
    let mut world = World::start(Backend::Servers).await;
    let jane = world.customer("jane").await;
    let service = world.service_token("notification-service");
    world.setup.extra.push((
        "JWT_SECRET",
        "another secret of 32 bytes or more, newer".into(),
    ));
    world.setup.extra.push((
        "JWT_SECRET_PREVIOUS",
        format!("{},", crate::world::JWT_SECRET),
    ));
    world.crash(AUTH).await;
    world.wait_ready(AUTH).await;
    assert_eq!(validate(&world, &jane.access).await.status, 200);
    assert_eq!(validate(&world, &service).await.status, 200);
    let pair = refresh(&world, &jane.refresh).await;
    assert_eq!(pair.status, 200, "{}", pair.text());

    world
        .setup
        .extra
        .retain(|(name, _)| *name != "JWT_SECRET_PREVIOUS");
    world.crash(AUTH).await;
    world.wait_ready(AUTH).await;
    assert_problem(&validate(&world, &jane.access).await, 401, "invalid_token");
    let access = pair.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(validate(&world, &access).await.status, 200);
}

async fn a_storm_of_logins_is_bounded_and_told_to_come_again(on: Backend) {
    let wait = ("PASSWORD_HASH_MAX_WAIT_SECONDS", "0".to_owned());
    let world = World::start_with(on, |setup| setup.extra.push(wait)).await;
    let body = json!({ "email": "nobody@example.com", "password": "Wr0ng!Passw0rd" });
    let logins = (0..30).map(|_| world.auth.post("/auth/login", &body));
    let answers = futures_util::future::join_all(logins).await;
    let busy = answers.iter().filter(|answer| answer.status == 503).count();
    assert!(busy > 0 && busy < 30, "{busy} of 30 were turned away");
    for answer in answers.iter().filter(|answer| answer.status == 503) {
        assert_problem(answer, 503, "unavailable");
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
}

async fn who_is_turned_away_in_a_storm_and_comes_again_is_served(on: Backend) {
    let wait = ("PASSWORD_HASH_MAX_WAIT_SECONDS", "0".to_owned());
    let world = World::start_with(on, |setup| setup.extra.push(wait)).await;
    let names: Vec<String> = (0..5).map(|n| format!("jane{n}")).collect();
    let customers = names.iter().map(|name| world.customer(name));
    let customers = futures_util::future::join_all(customers).await;
    let ids: HashSet<&String> = customers.iter().map(|one| &one.id).collect();
    assert_eq!(ids.len(), 5);
}

/// The answers to fifty refreshes with one token at once. One that did not get its turn at the database
/// in time is a 503 and has done nothing, so it is sent again.
async fn fifty_refreshes(world: &World, token: &str) -> Vec<Response> {
    let refreshes = (0..50).map(|_| {
        wait_for("an answer", SOON, async || {
            let answer = refresh(world, token).await;
            (answer.status != 503).then_some(answer)
        })
    });
    futures_util::future::join_all(refreshes).await
}

async fn of_fifty_refreshes_at_once_one_gets_a_pair_and_the_session_ends(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    let answers = fifty_refreshes(&world, &jane.refresh).await;
    let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert_eq!((won.len(), lost.len()), (1, 49));
    for answer in lost {
        assert_problem(answer, 401, "invalid_token");
    }
    // Somebody else may have been the first, so not even the winner's pair counts.
    let pair = won[0].json();
    let [access, next] = ["access_token", "refresh_token"].map(|name| pair[name].clone());
    assert_eq!(validate(&world, access.as_str().unwrap()).await.status, 401);
    assert_eq!(refresh(&world, next.as_str().unwrap()).await.status, 401);
    let ended = "SELECT count(*) FROM sessions WHERE end_reason = 'refresh token reused'";
    assert_eq!(world.count(ended).await, 1);
    assert_eq!(world.count("SELECT count(*) FROM refresh_tokens").await, 2);
}

async fn within_the_grace_fifty_refreshes_at_once_all_get_working_pairs(on: Backend) {
    let grace = ("REFRESH_REUSE_GRACE_SECONDS", "60".to_owned());
    let world = World::start_with(on, |setup| setup.extra.push(grace)).await;
    let jane = world.customer("jane").await;
    for answer in fifty_refreshes(&world, &jane.refresh).await {
        assert_eq!(answer.status, 200, "{}", answer.text());
        let access = answer.json()["access_token"].as_str().unwrap().to_owned();
        assert_eq!(validate(&world, &access).await.status, 200);
    }
    let living = "SELECT count(*) FROM sessions WHERE ended_at IS NULL";
    assert_eq!(world.count(living).await, 1, "all of one session");
}
