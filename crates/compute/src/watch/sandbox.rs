//! A running sandbox, until its end.

use std::{
    io::{PipeReader, Read},
    os::fd::{AsFd, BorrowedFd},
    path::PathBuf,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::ioctl_fionbio,
};

use super::{Signals, disk::DiskWatch, memory::MemoryWatch};
use crate::{
    Cause, ProcessSpec, Status,
    cgroups::Groups,
    docker::Container,
    logs::{Lines, LogWriter, Source},
    sandbox::{
        Init,
        protocol::{Channel, FromInit, Terminate},
    },
};

/// How long part of a line waits for its rest before it is written.
const PART: Duration = Duration::from_millis(500);

/// A running sandbox.
#[derive(Debug)]
pub(crate) struct Sandbox {
    inside: Inside,
    streams: [Stream; 2],
    /// What the first process said of the command's end.
    ended: Option<(Status, u64)>,
    cause: Option<Cause>,
    /// When SIGKILL follows SIGTERM.
    kill_at: Option<Instant>,
}

/// What the command runs in.
#[derive(Debug)]
enum Inside {
    Sandbox(Init),
    Container(Container),
}

/// How a sandbox ended.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) status: Status,
    pub(crate) cause: Option<Cause>,
    pub(crate) cpu_millis: u64,
    pub(crate) peak_memory: u64,
}

/// Standard output or standard error of the command.
#[derive(Debug)]
struct Stream {
    pipe: PipeReader,
    source: Source,
    lines: Lines,
    open: bool,
    /// When an unfinished line is written.
    flush_at: Option<Instant>,
}

impl Sandbox {
    pub(crate) fn new(init: Init, streams: [PipeReader; 2]) -> Self {
        Self::of(Inside::Sandbox(init), streams)
    }

    pub(crate) fn of_container(container: Container, streams: [PipeReader; 2]) -> Self {
        Self::of(Inside::Container(container), streams)
    }

    fn of(inside: Inside, [output, errors]: [PipeReader; 2]) -> Self {
        let streams = [Stream::new(output, Source::Output), Stream::new(errors, Source::Error)];
        Self { inside, streams, ended: None, cause: None, kill_at: None }
    }

    /// Looks after it until its last process is gone and its last line is in `log`. Kills it when the
    /// other end of `lifeline` is closed.
    pub(crate) fn run(
        mut self,
        spec: &ProcessSpec,
        mut log: LogWriter,
        signals: &Signals,
        groups: &Groups,
        mut lifeline: Option<&Channel>,
    ) -> End {
        let pid = self.inside.pid();
        // A container's memory is limited by Docker.
        let is_ours = spec.container.is_none() && !groups.limits_memory();
        let memory = spec.limits.memory.filter(|_| is_ours);
        let mut memory = memory.map(|limit| MemoryWatch::new(limit, pid));
        let mut disk = spec.limits.disk.map(|limit| DiskWatch::new(limit, writable(spec), pid));
        let timeout = spec.timeout.map(|after| Instant::now() + after);
        while !self.is_over() {
            let looks =
                [memory.as_ref().map(MemoryWatch::next), disk.as_ref().map(DiskWatch::next)];
            let timeout = timeout.filter(|_| self.cause.is_none());
            let flushes = self.streams.iter().filter_map(|stream| stream.flush_at).min();
            let times = [timeout, self.kill_at, flushes, looks[0], looks[1]];
            if self.wait(times.into_iter().flatten().min(), signals, lifeline, &mut log) {
                lifeline = None;
                self.kill(Cause::Stopped);
            }
            let now = Instant::now();
            if signals.stop() {
                self.stop(Cause::Stopped, spec.stop_grace);
            }
            if signals.kill() {
                self.kill(Cause::Stopped);
            }
            if timeout.is_some_and(|at| at <= now) {
                self.stop(Cause::TimedOut, spec.stop_grace);
            }
            if self.kill_at.is_some_and(|at| at <= now) {
                self.kill_at = None;
                self.inside.kill();
            }
            if memory.as_mut().is_some_and(|watch| watch.exceeded(now)) {
                self.kill(Cause::OutOfMemory);
            }
            if disk.as_mut().is_some_and(|watch| watch.exceeded(now)) {
                self.kill(Cause::OutOfDisk);
            }
        }
        self.inside.wait();
        self.drain(&mut log);
        if disk.is_some_and(|watch| watch.exceeded_at_last()) {
            self.cause.get_or_insert(Cause::OutOfDisk);
        }
        let watched = memory.map_or(0, |watch| watch.peak());
        self.end(groups, watched)
    }

    /// Whether the first process has ended, or is about to.
    fn is_over(&self) -> bool {
        self.ended.is_some()
    }

    /// Waits for output, a message, a signal or the moment `until`. Whether the lifeline is cut.
    fn wait(
        &mut self,
        until: Option<Instant>,
        signals: &Signals,
        lifeline: Option<&Channel>,
        log: &mut LogWriter,
    ) -> bool {
        let mut files =
            vec![PollFd::new(&self.inside, PollFlags::IN), PollFd::new(signals, PollFlags::IN)];
        files.extend(lifeline.map(|lifeline| PollFd::new(lifeline, PollFlags::IN)));
        let open = self.streams.iter().filter(|stream| stream.open);
        files.extend(open.map(|stream| PollFd::new(&stream.pipe, PollFlags::IN)));
        let pause = until.map(|at| at.saturating_duration_since(Instant::now()));
        let pause = pause.and_then(|pause| Timespec::try_from(pause).ok());
        let _ = poll(&mut files, pause.as_ref()); // a signal ends it early, which is right
        let told = !files[0].revents().is_empty();
        // Nothing is ever said there: it can be read from when it is closed.
        let is_cut = lifeline.is_some() && !files[2].revents().is_empty();
        drop(files);
        for stream in &mut self.streams {
            stream.take(log);
        }
        let _ = log.flush(); // what is lost for want of space is counted there
        if told {
            self.hear();
        }
        is_cut
    }

    fn hear(&mut self) {
        match &mut self.inside {
            Inside::Sandbox(init) => {
                let alive = init.channel.fill().unwrap_or(false);
                let told = init.channel.received();
                if let Ok(Some(FromInit::Ended { status, cpu_millis })) = told {
                    self.ended = Some((status, cpu_millis));
                } else if !alive {
                    // It was killed, with all inside.
                    self.ended = Some((Status::Signal(libc::SIGKILL), 0));
                }
            }
            Inside::Container(container) => {
                if let Some((status, cause)) = container.ended() {
                    self.ended = Some((status, 0));
                    self.cause = cause.or(self.cause);
                }
            }
        }
    }

    fn stop(&mut self, cause: Cause, grace: Duration) {
        if self.kill_at.is_none() {
            self.cause.get_or_insert(cause);
            self.inside.terminate();
            self.kill_at = Some(Instant::now() + grace);
        }
    }

    /// Ends the first process, and with it all inside.
    fn kill(&mut self, cause: Cause) {
        self.cause.get_or_insert(cause);
        self.inside.kill();
    }

    /// Writes what is left in the pipes. (Somebody outside who was given their other ends would keep
    /// them open; that is not waited for.)
    fn drain(&mut self, log: &mut LogWriter) {
        for stream in &mut self.streams {
            stream.take(log);
            stream.flush(true, log);
        }
        let _ = log.flush();
    }

    fn end(self, groups: &Groups, watched: u64) -> End {
        let (status, cpu_millis) = self.ended.unwrap_or((Status::Lost, 0));
        let starved = status != Status::Code(0) && groups.killed_for_memory();
        let cause = if starved { Some(Cause::OutOfMemory) } else { self.cause };
        End { status, cause, cpu_millis, peak_memory: watched.max(groups.peak_memory()) }
    }
}

impl Inside {
    /// The first of our processes that it stands for.
    fn pid(&self) -> u32 {
        match self {
            Self::Sandbox(init) => init.id(),
            Self::Container(_) => std::process::id(),
        }
    }

    /// Asks the command to end.
    fn terminate(&mut self) {
        match self {
            Self::Sandbox(init) => {
                let _ = init.channel.send(&Terminate);
            }
            Self::Container(container) => container.signal("TERM"),
        }
    }

    /// Ends all of it.
    fn kill(&mut self) {
        match self {
            Self::Sandbox(init) => init.kill(),
            Self::Container(container) => container.signal("KILL"),
        }
    }

    /// Waits until nobody is left to write.
    fn wait(&mut self) {
        match self {
            Self::Sandbox(init) => init.wait(),
            Self::Container(container) => container.remove(),
        }
    }
}

impl AsFd for Inside {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Sandbox(init) => init.as_fd(),
            Self::Container(container) => container.process().as_fd(),
        }
    }
}

impl Stream {
    fn new(pipe: PipeReader, source: Source) -> Self {
        // A pipe that can't be read without waiting is read when there is something.
        let _ = ioctl_fionbio(&pipe, true);
        Self { pipe, source, lines: Lines::default(), open: true, flush_at: None }
    }

    /// Takes what is there.
    fn take(&mut self, log: &mut LogWriter) {
        let mut chunk = vec![0; 64 << 10];
        let (source, mut came) = (self.source, false);
        // A writer that is faster than we are must not keep us from the rest.
        for _ in 0..16 {
            match self.pipe.read(&mut chunk) {
                Ok(0) => {
                    self.open = false;
                    break;
                }
                Ok(count) => {
                    came = true;
                    let mut add = |text: &[u8], continues| log.add(source, continues, text);
                    self.lines.feed(&chunk[..count], &mut add);
                }
                Err(_) => break, // nothing is there
            }
        }
        if came {
            self.flush_at = self.lines.is_pending().then(|| Instant::now() + PART);
        }
        let due = self.flush_at.is_some_and(|at| at <= Instant::now());
        if due || !self.open {
            self.flush(!self.open, log);
        }
    }

    fn flush(&mut self, last: bool, log: &mut LogWriter) {
        let source = self.source;
        self.lines.flush(last, &mut |text, continues| log.add(source, continues, text));
        self.flush_at = None;
    }
}

fn writable(spec: &ProcessSpec) -> Vec<PathBuf> {
    let writable = spec.mounts.iter().filter(|bind| !bind.read_only);
    writable.map(|bind| bind.source.clone()).collect()
}
