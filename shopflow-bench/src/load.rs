//! Load: closed, as much as so many connections can make; and open, so many requests a second.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::http::Answer;

/// The longest wait that is told apart, in microseconds.
const LONGEST: u64 = 60_000_000;

/// Makes the request with this number.
type Make = dyn Fn(usize) -> Vec<u8> + Send + Sync;

/// What is called, and what it should answer.
#[derive(Clone)]
pub(crate) struct Target {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// The request with a number, counted over all connections and runs.
    pub(crate) make: Arc<Make>,
    /// The status that is right.
    pub(crate) status: u16,
    /// How many requests were made.
    pub(crate) made: Arc<AtomicUsize>,
}

impl Target {
    /// Requests to a port of this machine.
    pub(crate) fn new(
        port: u16,
        status: u16,
        make: impl Fn(usize) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            make: Arc::new(make),
            status,
            made: Arc::default(),
        }
    }

    /// The same requests to another port, from the first on.
    pub(crate) fn at(&self, port: u16) -> Self {
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            made: Arc::default(),
            ..self.clone()
        }
    }

    fn check(&self, status: u16, answer: &Answer) -> io::Result<()> {
        match status == self.status {
            true => Ok(()),
            false => Err(io::Error::other(format!(
                "{status} from {}: {}",
                self.address,
                String::from_utf8_lossy(answer.body())
            ))),
        }
    }

    /// The body of one answer.
    pub(crate) fn once(&self) -> io::Result<String> {
        Wire::open(self.address)?.body(self)
    }
}

/// Load that goes on until it is stopped. One thread makes it all.
pub(crate) struct Closed {
    done: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<io::Result<()>>,
}

impl Closed {
    /// Begins with so many connections, each with one request under way.
    pub(crate) fn begin(target: &Target, connections: usize) -> Self {
        Self::begin_limited(target, connections, usize::MAX)
    }

    /// The same with no more than so many requests.
    pub(crate) fn begin_limited(target: &Target, connections: usize, limit: usize) -> Self {
        let (done, stop) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let (target, counted, stopped) = (target.clone(), done.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = { runtime }.enable_all().build()?;
            let mut all = tokio::task::JoinSet::new();
            for _ in 0..connections {
                let each = one_by_one(target.clone(), limit, counted.clone(), stopped.clone());
                all.spawn_on(each, runtime.handle());
            }
            runtime.block_on(async {
                while let Some(ended) = all.join_next().await {
                    ended.map_err(io::Error::other)??;
                }
                Ok(())
            })
        });
        Self { done, stop, thread }
    }

    /// How many requests were answered.
    pub(crate) fn done(&self) -> usize {
        self.done.load(Ordering::Relaxed)
    }

    /// Ends, once what is under way is answered.
    ///
    /// # Errors
    /// When any answer was wrong.
    pub(crate) fn end(self) -> io::Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        self.wait()
    }

    /// Waits until all requests there are to be are answered.
    ///
    /// # Errors
    /// When any answer was wrong.
    pub(crate) fn wait(self) -> io::Result<()> {
        self.thread.join().expect("the load does not panic")
    }
}

async fn one_by_one(
    target: Target,
    limit: usize,
    done: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
) -> io::Result<()> {
    let mut stream = tokio::net::TcpStream::connect(target.address).await?;
    stream.set_nodelay(true)?;
    let (mut answer, mut room) = (Answer::default(), vec![0; 16 * 1024]);
    while !stop.load(Ordering::Relaxed) {
        let number = target.made.fetch_add(1, Ordering::Relaxed);
        if number >= limit {
            break;
        }
        stream.write_all(&(target.make)(number)).await?;
        answer.begin();
        let status = loop {
            let read = stream.read(&mut room).await?;
            if let Some(status) = answer.take(&room[..read])? {
                break status;
            }
        };
        target.check(status, &answer)?;
        done.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// One connection of a thread that waits for its answers.
pub(crate) struct Wire {
    stream: TcpStream,
    answer: Answer,
    room: Vec<u8>,
}

impl Wire {
    /// A new connection.
    ///
    /// # Errors
    /// When nobody listens there.
    pub(crate) fn open(address: impl Into<SocketAddr>) -> io::Result<Self> {
        let stream = TcpStream::connect(address.into())?;
        stream.set_nodelay(true)?;
        let (answer, room) = (Answer::default(), vec![0; 16 * 1024]);
        Ok(Self {
            stream,
            answer,
            room,
        })
    }

    /// The body of one answer.
    ///
    /// # Errors
    /// When it is not the right one.
    pub(crate) fn body(&mut self, target: &Target) -> io::Result<String> {
        self.call(target)?;
        Ok(String::from_utf8_lossy(self.answer.body()).into_owned())
    }

    fn call(&mut self, target: &Target) -> io::Result<()> {
        let number = target.made.fetch_add(1, Ordering::Relaxed);
        self.stream.write_all(&(target.make)(number))?;
        self.answer.begin();
        loop {
            let read = self.stream.read(&mut self.room)?;
            if let Some(status) = self.answer.take(&self.room[..read])? {
                return target.check(status, &self.answer);
            }
        }
    }
}

/// Connections of an open load; more than are ever busy at the rates that are asked for.
const WIRES: u32 = 16;

/// So many requests a second for so long. Each is due at a time, and what it takes counts from then,
/// so a slow answer cannot hide the wait of those behind it. Microseconds.
///
/// The threads sleep until a request is due: timers of the async runtime know milliseconds only.
///
/// # Errors
/// When any answer was wrong.
pub(crate) fn open(target: &Target, rate: u32, time: Duration) -> io::Result<Histogram<u64>> {
    let begun = Instant::now() + Duration::from_millis(50);
    let gap = Duration::from_secs(1) / rate;
    let threads: Vec<_> = (0..WIRES)
        .map(|first| {
            let target = target.clone();
            std::thread::spawn(move || due_one_by_one(&target, begun, gap, first, time))
        })
        .collect();
    let mut all = Histogram::new_with_max(LONGEST, 3).map_err(io::Error::other)?;
    for thread in threads {
        let one = thread.join().expect("the load does not panic")?;
        all.add(one).map_err(io::Error::other)?;
    }
    Ok(all)
}

fn due_one_by_one(
    target: &Target,
    begun: Instant,
    gap: Duration,
    first: u32,
    time: Duration,
) -> io::Result<Histogram<u64>> {
    let mut wire = Wire::open(target.address)?;
    let mut taken = Histogram::new_with_max(LONGEST, 3).map_err(io::Error::other)?;
    for number in (first..).step_by(WIRES as usize) {
        let due = begun + gap * number;
        if due > begun + time {
            break;
        }
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        wire.call(target)?;
        let micros = u64::try_from(due.elapsed().as_micros()).unwrap_or(LONGEST);
        taken.saturating_record(micros);
    }
    Ok(taken)
}
