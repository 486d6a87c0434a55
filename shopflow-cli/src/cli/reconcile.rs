//! `shopflow reconcile` as it is typed.

use clap::Args;

use super::common::{OutputArgs, PlaceArgs, YesArgs};
use crate::config::{BrokerArgs, NotifyPlaceArgs};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  shopflow reconcile --newer-than 24h\n  NOTIFY_DATABASE_URL=postgres://shopflow@notify/shopflow shopflow reconcile --fix\n  shopflow reconcile --fix --yes --data-dir ./shopflow-data"
)]
pub(crate) struct ReconcileArgs {
    /// Let what is missing go out; needs RABBITMQ_URL, to see that no dead letter is sent twice
    #[arg(long)]
    pub(crate) fix: bool,
    /// Mend also what is older than a week, of which the outbox has forgotten the event
    ///
    /// A dlq replay that runs meanwhile may have that event in hand, and then it is mailed twice:
    /// see first that none runs.
    #[arg(long, requires = "fix")]
    pub(crate) forgotten: bool,
    /// Only what is at least so old: what is younger may be on its way
    #[arg(long, value_name = "AGE", default_value = "15m")]
    pub(crate) older_than: String,
    /// Only what happened within so long, such as 24h [default: what has not gone to cold storage]
    #[arg(long, value_name = "AGE")]
    pub(crate) newer_than: Option<String>,
    #[command(flatten)]
    pub(crate) yes: YesArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    /// The order service's.
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    #[command(flatten)]
    pub(crate) notify: NotifyPlaceArgs,
    #[command(flatten)]
    pub(crate) broker: BrokerArgs,
}
