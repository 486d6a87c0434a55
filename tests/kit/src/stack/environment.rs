//! What a service is started with.

use super::{Backend, JWT_SECRET, Service, Stack, servers::Servers};
use std::ffi::OsString;

impl Stack {
    /// The arguments of a service.
    pub(super) fn arguments(&self, service: Service) -> Vec<OsString> {
        let Some(data) = self.data_dir() else {
            return vec!["serve".into(), service.name().into()];
        };
        let mut args = vec!["dev".into(), "--data-dir".into(), data.into()];
        for (of, port) in Service::ALL.iter().zip(self.setup.ports) {
            args.push(format!("--{}-port", of.name()).into());
            args.push(port.to_string().into());
        }
        args
    }

    /// The environment of a service.
    #[must_use]
    pub fn environment(&self, service: Service) -> Vec<(&'static str, String)> {
        let mut env = match self.backend() {
            Backend::Servers => self.own_environment(service),
            Backend::Embedded => vec![("LOG_FORMAT", "json".into()), ("LOG_LEVEL", "info".into())],
        };
        // A test is one address that does in seconds what people do in hours.
        for limit in ["RATE_LIMIT_AUTH_PER_MINUTE", "RATE_LIMIT_ORDERS_PER_MINUTE"] {
            env.push((limit, "0".into()));
        }
        // Tests of orders count mails, and set faults for the next ones.
        env.push(("EMAIL_VERIFICATION", "false".into()));
        for (name, value) in &self.setup.extra {
            env.retain(|(known, _)| known != name);
            env.push((name, value.clone()));
        }
        env
    }

    fn own_environment(&self, service: Service) -> Vec<(&'static str, String)> {
        let url = |of: Service| format!("http://127.0.0.1:{}", self.setup.ports[of as usize]);
        let mut env = vec![
            ("DATABASE_URL", self.setup.database_url.clone()),
            ("PORT", self.setup.ports[service as usize].to_string()),
            ("BIND_ADDRESS", "127.0.0.1".into()),
            ("RABBITMQ_URL", self.setup.rabbitmq_url.clone()),
        ];
        if service == Service::Auth {
            env.push(("JWT_SECRET", JWT_SECRET.into()));
        } else {
            let own = format!("{}-service", service.name());
            env.push(("AUTH_SERVICE_URL", url(Service::Auth)));
            env.push(("AUTH_SERVICE_TOKEN", self.service_token(&own)));
        }
        if service == Service::Notify {
            let token = self.service_token("notification-service");
            env.push(("ORDER_SERVICE_URL", url(Service::Orders)));
            env.push(("ORDER_SERVICE_TOKEN", token));
            env.extend(providers(self.servers()));
        }
        env
    }
}

fn providers(servers: &Servers) -> [(&'static str, String); 9] {
    let account = "AC00000000000000000000000000000000";
    [
        ("AWS_SES_REGION", "us-east-1".into()),
        ("AWS_SES_FROM_EMAIL", "noreply@shopflow.example".into()),
        ("AWS_ENDPOINT_URL", servers.ses.endpoint().to_owned()),
        ("AWS_ACCESS_KEY_ID", "test".into()),
        ("AWS_SECRET_ACCESS_KEY", "test".into()),
        ("TWILIO_ACCOUNT_SID", account.into()),
        ("TWILIO_AUTH_TOKEN", "twilio-token".into()),
        ("TWILIO_FROM_NUMBER", "+15550001234".into()),
        ("TWILIO_API_BASE_URL", servers.twilio.endpoint().to_owned()),
    ]
}
