//! Logs: which lines, in which form, and where to.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::Registry;
use tracing_subscriber::fmt::format;
use tracing_subscriber::fmt::format::FormatFields;
use tracing_subscriber::layer::Layer;

use super::json::JsonLog;
use super::levels::{Levels, check_level};
use crate::config::{LogConfig, LogFormat};
use crate::lifecycle::Lifecycle;

/// Where logs go.
#[derive(Clone, Copy, Debug)]
pub(crate) enum LogTo {
    /// Of services: standard output is the log.
    Stdout,
    /// Of commands that tell people something on standard output.
    Stderr,
}

/// Lines that may wait to be written; who has more to say waits too, so that none is lost.
const WAITING: usize = 4096;

/// Many short lines are one write.
const AT_ONCE: usize = 64 * 1024;

/// After a write, what is said meanwhile gathers for so long, to be one write in its turn. Else a busy
/// service wakes two processes for each line, which costs more than the line.
const GATHER: Duration = Duration::from_millis(2);

/// Writes, and gathers after each flush.
struct Gathering<W>(W);

impl<W: Write> Write for Gathering<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.0.flush();
        std::thread::sleep(GATHER);
        flushed
    }
}

impl LogTo {
    /// A thread of its own writes, whatever has come until then at once; dropping the guard waits for
    /// the last line.
    fn writer(self) -> (NonBlocking, WorkerGuard) {
        let to: Box<dyn Write + Send> = match self {
            Self::Stdout => Box::new(io::stdout()),
            Self::Stderr => Box::new(io::stderr()),
        };
        NonBlockingBuilder::default()
            .lossy(false)
            .buffered_lines_limit(WAITING)
            .thread_name("log")
            .finish(Gathering(BufWriter::with_capacity(AT_ONCE, to)))
    }
}

/// What writes the log, and how its level is changed while it does.
pub(super) fn layer(
    config: &LogConfig,
    levels: &Levels,
    to: LogTo,
) -> (Box<dyn Layer<Registry> + Send + Sync>, LogControl) {
    let (to, guard) = to.writer();
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match config.format {
        LogFormat::Json => Box::new(JsonLog::new(to, levels.clone())),
        LogFormat::Text => {
            let text = tracing_subscriber::fmt::layer()
                .fmt_fields(people())
                .with_writer(to)
                .with_filter(levels.clone());
            Box::new(text)
        }
    };
    let control = LogControl {
        levels: levels.clone(),
        file: config.level_file.clone(),
        _guard: Arc::new(guard),
    };
    (lines, control)
}

/// Fields as people read them, without those that are for traces.
fn people() -> impl for<'writer> FormatFields<'writer> + Send + Sync {
    format::debug_fn(|writer, field, value| match field.name() {
        "message" => write!(writer, "{value:?} "),
        name if name.contains('.') => Ok(()),
        name => write!(writer, "{name}={value:?} "),
    })
}

/// Changes what is logged while it is.
#[derive(Clone)]
pub(crate) struct LogControl {
    levels: Levels,
    file: Option<PathBuf>,
    /// Writes what is left when the last of these is gone.
    _guard: Arc<WorkerGuard>,
}

impl LogControl {
    /// Reads `LOG_LEVEL_FILE` again at every SIGHUP.
    ///
    /// # Errors
    /// When the system does not let us catch it.
    pub(crate) fn follow(self, lifecycle: &mut Lifecycle) -> io::Result<()> {
        // Caught without a file too: by itself it would end the process.
        let mut hangup = signal(SignalKind::hangup())?;
        let mut served: watch::Receiver<bool> = lifecycle.served();
        lifecycle.spawn("log level", async move {
            loop {
                tokio::select! {
                    Some(()) = hangup.recv() => self.read_again(),
                    _ = served.wait_for(|served| *served) => return,
                }
            }
        });
        Ok(())
    }

    fn read_again(&self) {
        let Some(file) = &self.file else {
            tracing::info!("no LOG_LEVEL_FILE to read again");
            return;
        };
        let read = std::fs::read_to_string(file).map_err(|error| error.to_string());
        let level = read.and_then(|text| {
            let level = text.trim().to_owned();
            check_level(&level).map_err(str::to_owned)?;
            Ok(level)
        });
        match level {
            // Not `level`: that is the name of what each line is.
            Ok(log_level) => {
                self.levels.set(&log_level);
                tracing::info!(log_level, "log level read again");
            }
            Err(error) => tracing::warn!(error, "LOG_LEVEL_FILE is of no use; keeping the last"),
        }
    }
}
