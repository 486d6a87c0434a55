//! The settings as flags and variables, still as text. Their meaning is checked in `services`, so
//! that every problem reads alike and none hides another.

use clap::Args;

/// One setting a line: field, variable, what it is.
macro_rules! settings {
    ($(#[$doc:meta])* $name:ident { $($field:ident = $env:literal, $help:literal;)* } $(with { $($flat:ident: $type:ty,)* })?) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, Args)]
        pub(crate) struct $name {
            $(
                #[doc = $help]
                #[arg(long, env = $env, hide_env_values = true, value_name = "VALUE")]
                pub(crate) $field: Option<String>,
            )*
            $($(
                #[command(flatten)]
                pub(crate) $flat: $type,
            )*)?
        }
    };
}

settings! {
    /// Where the data is.
    DatabaseArgs {
        database_url = "DATABASE_URL", "PostgreSQL, as postgres://user:password@host:5432/database";
        database_url_file = "DATABASE_URL_FILE", "File with DATABASE_URL in it";
        database_max_connections = "DATABASE_MAX_CONNECTIONS", "Connections of this instance at most [default: 20]";
    }
}

settings! {
    /// Where the data of the auth service is, if it is elsewhere.
    AuthPlaceArgs {
        auth_database_url = "AUTH_DATABASE_URL", "PostgreSQL of the auth service [default: DATABASE_URL]";
        auth_database_url_file = "AUTH_DATABASE_URL_FILE", "File with AUTH_DATABASE_URL in it";
    }
}

settings! {
    /// Where the data of the notification service is, if it is elsewhere.
    NotifyPlaceArgs {
        notify_database_url = "NOTIFY_DATABASE_URL", "PostgreSQL of the notification service [default: DATABASE_URL]";
        notify_database_url_file = "NOTIFY_DATABASE_URL_FILE", "File with NOTIFY_DATABASE_URL in it";
    }
}

settings! {
    /// What every service has.
    HttpArgs {
        port = "PORT", "Port to listen on [default: 3001 auth, 3002 orders, 3003 notify]";
        bind_address = "BIND_ADDRESS", "Address to listen on [default: 0.0.0.0]";
        shutdown_grace_seconds = "SHUTDOWN_GRACE_SECONDS", "How long a stop may take [default: 30]";
        migrate_on_start = "MIGRATE_ON_START", "Bring the database up to date first: true or false [default: true]";
        retention_every_hours = "RETENTION_EVERY_HOURS", "Run retention every so many hours; 0 for never [default: 0]";
        metrics_port = "METRICS_PORT", "Port of its own for /metrics and the health checks; /metrics is on no other then [default: PORT]";
    } with { log: LogArgs, traces: TraceArgs, database: DatabaseArgs, edge: EdgeArgs, }
}

settings! {
    /// What lies between the services and their callers.
    EdgeArgs {
        trusted_proxies = "TRUSTED_PROXIES", "Proxies whose X-Forwarded-For counts, as 10.0.0.0/8,192.0.2.7 [default: none]";
        cors_allowed_origins = "CORS_ALLOWED_ORIGINS", "Origins whose pages may call, as https://shop.example,http://localhost:5173 [default: none]";
    }
}

settings! {
    /// What is logged.
    LogArgs {
        log_level = "LOG_LEVEL", "error, warn, info, debug, trace, or filters such as info,sqlx=debug [default: info; dev: warn]";
        log_level_file = "LOG_LEVEL_FILE", "File with LOG_LEVEL in it, read again at SIGHUP";
        log_format = "LOG_FORMAT", "json or text [default: json; dev: text]";
    }
}

settings! {
    /// Where traces go.
    TraceArgs {
        otel_exporter_otlp_endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT", "Collector that takes traces, as http://collector:4318 [default: none, nothing is traced]";
        otel_exporter_otlp_protocol = "OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf or grpc [default: http/protobuf]";
        otel_exporter_otlp_headers = "OTEL_EXPORTER_OTLP_HEADERS", "Headers to show the collector, as authorization=Bearer%20...";
        otel_exporter_otlp_headers_file = "OTEL_EXPORTER_OTLP_HEADERS_FILE", "File with OTEL_EXPORTER_OTLP_HEADERS in it";
        otel_exporter_otlp_timeout = "OTEL_EXPORTER_OTLP_TIMEOUT", "How long the collector may take for a batch, in milliseconds [default: 10000]";
        otel_exporter_otlp_certificate = "OTEL_EXPORTER_OTLP_CERTIFICATE", "File with the certificate authorities that an https collector is known by, in PEM [default: those of the system]";
        otel_exporter_otlp_compression = "OTEL_EXPORTER_OTLP_COMPRESSION", "none, the only one there is [default: none]";
        otel_service_name = "OTEL_SERVICE_NAME", "What traces call this service [default: its name]";
        otel_resource_attributes = "OTEL_RESOURCE_ATTRIBUTES", "What traces tell of this process beside that, as deployment.environment.name=production";
        otel_traces_sampler = "OTEL_TRACES_SAMPLER", "Which traces are recorded: always_on, always_off or traceidratio, or one of these with parentbased_ in front [default: parentbased_always_on]";
        otel_traces_sampler_arg = "OTEL_TRACES_SAMPLER_ARG", "The share of traceidratio, from 0 to 1 [default: 1]";
        otel_sdk_disabled = "OTEL_SDK_DISABLED", "Trace nothing, whatever else is set: true or false [default: false]";
        otel_traces_exporter = "OTEL_TRACES_EXPORTER", "otlp, or none to trace nothing [default: otlp]";
    } with { own: TraceOnlyArgs, batches: BatchArgs, }
}

settings! {
    /// The same of the collector, for whom other signals go elsewhere than traces.
    TraceOnlyArgs {
        otel_exporter_otlp_traces_endpoint = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "Whole URL that traces go to, as http://collector:4318/v1/traces [default: by OTEL_EXPORTER_OTLP_ENDPOINT]";
        otel_exporter_otlp_traces_protocol = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "In place of OTEL_EXPORTER_OTLP_PROTOCOL";
        otel_exporter_otlp_traces_headers = "OTEL_EXPORTER_OTLP_TRACES_HEADERS", "In place of OTEL_EXPORTER_OTLP_HEADERS";
        otel_exporter_otlp_traces_headers_file = "OTEL_EXPORTER_OTLP_TRACES_HEADERS_FILE", "File with OTEL_EXPORTER_OTLP_TRACES_HEADERS in it";
        otel_exporter_otlp_traces_timeout = "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "In place of OTEL_EXPORTER_OTLP_TIMEOUT";
        otel_exporter_otlp_traces_certificate = "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "In place of OTEL_EXPORTER_OTLP_CERTIFICATE";
        otel_exporter_otlp_traces_compression = "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "In place of OTEL_EXPORTER_OTLP_COMPRESSION";
    }
}

settings! {
    /// How spans are gathered before they are sent.
    BatchArgs {
        otel_bsp_schedule_delay = "OTEL_BSP_SCHEDULE_DELAY", "How long spans are gathered before they are sent, in milliseconds [default: 5000]";
        otel_bsp_max_queue_size = "OTEL_BSP_MAX_QUEUE_SIZE", "How many spans may wait; what comes beyond is lost, and counted [default: 2048]";
        otel_bsp_max_export_batch_size = "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "How many spans are sent at once, at most as many as may wait [default: 512]";
        otel_bsp_export_timeout = "OTEL_BSP_EXPORT_TIMEOUT", "How long sending a batch may take with its repetitions, in milliseconds [default: 30000]";
        otel_bsp_max_concurrent_exports = "OTEL_BSP_MAX_CONCURRENT_EXPORTS", "How many batches are sent at the same time [default: 1]";
    }
}

settings! {
    /// What signs tokens.
    KeyArgs {
        jwt_secret = "JWT_SECRET", "Secret that signs tokens, at least 32 bytes";
        jwt_secret_file = "JWT_SECRET_FILE", "File with JWT_SECRET in it, read again when it changes";
        jwt_secret_previous = "JWT_SECRET_PREVIOUS", "Earlier secrets that still verify, comma-separated";
        jwt_secret_previous_file = "JWT_SECRET_PREVIOUS_FILE", "File with JWT_SECRET_PREVIOUS in it, read again when it changes";
    }
}

settings! {
    /// What a password hash costs.
    ScryptArgs {
        password_scrypt_ln = "PASSWORD_SCRYPT_LN", "scrypt: log2 of N [default: 14]";
        password_scrypt_r = "PASSWORD_SCRYPT_R", "scrypt: block size [default: 8]";
        password_scrypt_p = "PASSWORD_SCRYPT_P", "scrypt: parallelism [default: 5]";
    }
}

settings! {
    /// How logins and sessions are treated.
    PolicyArgs {
        refresh_reuse_grace_seconds = "REFRESH_REUSE_GRACE_SECONDS", "How long a used refresh token still gets a pair [default: 0]";
        password_hash_max_wait_seconds = "PASSWORD_HASH_MAX_WAIT_SECONDS", "How long a login waits for its turn to hash before it gets a 503 [default: 10]";
        rate_limit_auth_per_minute = "RATE_LIMIT_AUTH_PER_MINUTE", "Requests to /auth/* of one address in any 60 seconds; 0 for no limit, nor on failed logins [default: 100]";
        email_verification = "EMAIL_VERIFICATION", "Whether who registers has to verify the address, by a mail: true or false; with false it counts as verified [default: true]";
        require_verified_email = "REQUIRE_VERIFIED_EMAIL", "Whether only verified addresses may log in: true or false [default: false]";
    } with { scrypt: ScryptArgs, }
}

settings! {
    /// Where the broker is.
    BrokerArgs {
        rabbitmq_url = "RABBITMQ_URL", "RabbitMQ, as amqp://user:password@host:5672/%2f; auth sends no mails without it";
        rabbitmq_url_file = "RABBITMQ_URL_FILE", "File with RABBITMQ_URL in it";
    }
}

settings! {
    /// Pages of the shop that mails lead to.
    LinkArgs {
        password_reset_url = "PASSWORD_RESET_URL", "Page where a new password is set; ?token=... is added [default: the mail has the token alone]";
        email_verification_url = "EMAIL_VERIFICATION_URL", "Page where an address is verified; ?token=... is added [default: the mail has the token alone]";
    }
}

settings! {
    /// Where limits are counted.
    RedisArgs {
        redis_url = "REDIS_URL", "Redis or Valkey in which all replicas count together, as redis://user:password@host:6379/0 [default: each counts alone]";
        redis_url_file = "REDIS_URL_FILE", "File with REDIS_URL in it";
        redis_timeout_ms = "REDIS_TIMEOUT_MS", "How long a request waits for Redis before it is counted without it [default: 50]";
    }
}

settings! {
    /// The auth service.
    AuthArgs {} with { policy: PolicyArgs, keys: KeyArgs, broker: BrokerArgs, redis: RedisArgs, http: HttpArgs, }
}

settings! {
    /// How the auth service and the broker are reached.
    PeerArgs {
        auth_service_url = "AUTH_SERVICE_URL", "Base URL of the auth service, as http://auth:3001";
        auth_service_token = "AUTH_SERVICE_TOKEN", "Service token to show it";
        auth_service_token_file = "AUTH_SERVICE_TOKEN_FILE", "File with AUTH_SERVICE_TOKEN in it, read again when it changes";
    } with { broker: BrokerArgs, }
}

settings! {
    /// How much one user may ask of the order service.
    OrderLimitArgs {
        rate_limit_orders_per_minute = "RATE_LIMIT_ORDERS_PER_MINUTE", "Requests to /orders of one user in any 60 seconds; 0 for no limit [default: 1000]";
    }
}

settings! {
    /// The order service.
    OrdersArgs {} with { limit: OrderLimitArgs, redis: RedisArgs, peers: PeerArgs, http: HttpArgs, }
}

settings! {
    /// Where notifications go that are older than a year.
    ArchiveArgs {
        retention_archive_url = "RETENTION_ARCHIVE_URL", "Cold storage, as file:///var/archive or s3://bucket/prefix; for S3 also the standard AWS_* variables";
    }
}

settings! {
    /// What retention needs beside a database.
    RetentionArgs {
        auth_service_url = "AUTH_SERVICE_URL", "Base URL of the auth service, which tells who was purged; for the notification database";
        auth_service_token = "AUTH_SERVICE_TOKEN", "Service token to show it";
        auth_service_token_file = "AUTH_SERVICE_TOKEN_FILE", "File with AUTH_SERVICE_TOKEN in it";
    } with { archive: ArchiveArgs, }
}

settings! {
    /// The notification service.
    NotifyArgs {
        order_service_url = "ORDER_SERVICE_URL", "Base URL of the order service, as http://orders:3002";
        order_service_token = "ORDER_SERVICE_TOKEN", "Service token to show it";
        order_service_token_file = "ORDER_SERVICE_TOKEN_FILE", "File with ORDER_SERVICE_TOKEN in it, read again when it changes";
        aws_ses_region = "AWS_SES_REGION", "Region of SES, as us-east-1; credentials and endpoint come from the standard AWS_* variables";
        aws_ses_from_email = "AWS_SES_FROM_EMAIL", "Address that mails come from";
        twilio_account_sid = "TWILIO_ACCOUNT_SID", "Twilio account, AC...";
        twilio_auth_token = "TWILIO_AUTH_TOKEN", "Its token";
        twilio_auth_token_file = "TWILIO_AUTH_TOKEN_FILE", "File with TWILIO_AUTH_TOKEN in it";
        twilio_from_number = "TWILIO_FROM_NUMBER", "Number that texts come from, in E.164";
        twilio_api_base_url = "TWILIO_API_BASE_URL", "Where Twilio is [default: Twilio's own address]";
        ambiguous_email = "AMBIGUOUS_EMAIL", "What is done with a mail whose answer was lost: retry, or park it as a dead letter [default: retry]";
        ambiguous_sms = "AMBIGUOUS_SMS", "What is done with a text whose answer was lost: retry, or park it as a dead letter [default: retry]";
    } with { links: LinkArgs, peers: PeerArgs, http: HttpArgs, archive: ArchiveArgs, }
}
