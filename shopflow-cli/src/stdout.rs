//! The log on its way to standard output.
//!
//! A write costs more than all else about a line, and whoever reads the other end may be slow. So lines
//! are gathered for a moment, and a thread of its own writes what has come together. A line is never
//! dropped: when too much has gathered, whoever logs waits. Who is killed outright takes the last
//! moment's lines along; every other end flushes.

use std::io::{self, Write};
use std::mem;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How long lines gather.
const MOMENT: Duration = Duration::from_millis(1);

/// More than this waits for the reader; it is about four thousand lines.
const MOST: usize = 1024 * 1024;

/// Of this process.
static STDOUT: Lines = Lines::new();

/// Lines that gather.
struct Lines {
    state: Mutex<State>,
    /// There is something to write.
    more: Condvar,
    /// Something was written.
    less: Condvar,
}

struct State {
    bytes: Vec<u8>,
    /// Whether there is a thread that writes.
    started: bool,
    /// Whether it is writing what gathered before.
    writing: bool,
}

impl Lines {
    const fn new() -> Self {
        Self {
            state: Mutex::new(State {
                bytes: Vec::new(),
                started: false,
                writing: false,
            }),
            more: Condvar::new(),
            less: Condvar::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change below is whole, so what a panic elsewhere left is as good as ever.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, on: &Condvar, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        on.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a line; the first one starts the thread that writes to `to`.
    fn push<W: Write + 'static>(&'static self, line: &[u8], to: fn() -> W) -> io::Result<()> {
        let mut state = self.state();
        if !mem::replace(&mut state.started, true) {
            let writer = thread::Builder::new().name("log".to_owned());
            writer.spawn(move || self.write(to))?;
        }
        while state.bytes.len() >= MOST {
            state = self.wait(&self.less, state);
        }
        let first = state.bytes.is_empty();
        state.bytes.extend_from_slice(line);
        drop(state);
        if first {
            self.more.notify_one();
        }
        Ok(())
    }

    /// Waits until all lines so far are written.
    fn flush(&self) {
        let mut state = self.state();
        while state.writing || !state.bytes.is_empty() {
            state = self.wait(&self.less, state);
        }
    }

    /// Writes for as long as the process lives.
    fn write<W: Write + 'static>(&self, to: fn() -> W) {
        let mut taken = Vec::new();
        loop {
            let mut state = self.state();
            while state.bytes.is_empty() {
                state = self.wait(&self.more, state);
            }
            drop(state);
            thread::sleep(MOMENT);
            let mut state = self.state();
            mem::swap(&mut state.bytes, &mut taken);
            state.writing = true;
            drop(state);
            // A log that cannot be written cannot tell so.
            let mut to = to();
            let _ = to.write_all(&taken);
            let _ = to.flush();
            taken.clear();
            self.state().writing = false;
            self.less.notify_all();
        }
    }
}

/// Standard output for a log. Each write is a whole line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogLines;

impl Write for LogLines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        STDOUT.push(line, io::stdout)?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        flush();
        Ok(())
    }
}

/// Waits until all lines so far are written.
pub(crate) fn flush() {
    STDOUT.flush();
}

#[cfg(test)]
mod tests {
    use super::*;

    static WRITTEN: Mutex<Vec<u8>> = Mutex::new(Vec::new());

    struct Slow;

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Less than all, as a pipe may.
            let some = &bytes[..bytes.len().min(100_000)];
            WRITTEN.lock().unwrap().extend_from_slice(some);
            Ok(some.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn after_a_flush_every_line_of_a_burst_is_written_once_and_whole() {
        static LINES: Lines = Lines::new();
        let burst = |thread: usize| {
            for number in 0..5000 {
                let line = format!("{thread} {number} {}\n", "x".repeat(200));
                LINES.push(line.as_bytes(), || Slow).unwrap();
            }
        };
        thread::scope(|scope| {
            for thread in 0..4 {
                scope.spawn(move || burst(thread));
            }
        });
        LINES.flush();
        let written = String::from_utf8(WRITTEN.lock().unwrap().clone()).unwrap();
        for thread in 0..4 {
            let mine = written.lines().filter_map(|line| {
                let mut words = line.split(' ');
                let of: usize = words.next()?.parse().ok()?;
                let number: usize = words.next()?.parse().ok()?;
                (of == thread && words.next()?.len() == 200).then_some(number)
            });
            assert_eq!(mine.collect::<Vec<_>>(), (0..5000).collect::<Vec<_>>());
        }
    }
}
