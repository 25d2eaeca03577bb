//! The process that supervisors are copies of. Starting a program of our size costs milliseconds; it
//! is done once, and a supervisor begins where this process stands.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    process::ExitCode,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::{CWD, Mode, OFlags, openat},
    io::Errno,
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
    },
    process::{setsid, umask},
    stdio::dup2_stdin,
};

use super::{forked::Forked, protocol::Channel, supervisor};
use crate::processes;

/// Room for one open file.
const ROOM: usize = rustix::cmsg_space!(ScmRights(1));

pub(super) fn main() -> ExitCode {
    serve().unwrap_or(ExitCode::FAILURE)
}

/// Makes a supervisor for each line to one that is asked for, until nobody can ask any more. This
/// process never has more than one thread.
fn serve() -> io::Result<ExitCode> {
    let asked = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    detach()?;
    let mut running: Vec<Forked> = Vec::new();
    loop {
        let (is_asked, ended) = wait(&asked, &running)?;
        let mut ended = ended.into_iter();
        running.retain(|forked| {
            let has_ended = ended.next().unwrap_or(false);
            if has_ended {
                forked.wait();
            }
            !has_ended
        });
        if !is_asked {
            continue;
        }
        let Some(line) = receive(&asked)? else { return Ok(ExitCode::SUCCESS) };
        match Forked::fork() {
            Ok(None) => {
                drop((asked, running));
                return Ok(supervisor::main(Channel::new(line)));
            }
            Ok(Some(forked)) => running.push(forked),
            // Whoever asked hears it by the line's end.
            Err(_) => {}
        }
    }
}

/// Becomes independent of whoever started us: no terminal, no folder, no open files of theirs.
fn detach() -> io::Result<()> {
    let _ = setsid(); // fails only if we lead a session already
    umask(Mode::from_raw_mode(0o022));
    let _ = std::env::set_current_dir("/");
    let nothing = openat(CWD, "/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    dup2_stdin(&nothing)?;
    close_fds::CloseFdsBuilder::new().cloexecfrom(3);
    processes::boot_id(); // all copies know it then
    Ok(())
}

/// Waits until somebody asks, or one of `running` ends.
fn wait(asked: &UnixStream, running: &[Forked]) -> io::Result<(bool, Vec<bool>)> {
    let mut files = vec![PollFd::new(asked, PollFlags::IN)];
    files.extend(running.iter().map(|forked| PollFd::new(forked.process(), PollFlags::IN)));
    loop {
        match poll(&mut files, None) {
            Ok(_) => break,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let mut ready = files.iter().map(|file| !file.revents().is_empty());
    Ok((ready.next().unwrap_or(false), ready.collect()))
}

/// Asks the process at the other end of `asking` for a supervisor with the line `theirs`.
pub(crate) fn ask(asking: &UnixStream, theirs: BorrowedFd<'_>) -> io::Result<()> {
    let (mut space, files) = ([MaybeUninit::uninit(); ROOM], [theirs]);
    let mut with = SendAncillaryBuffer::new(&mut space);
    with.push(SendAncillaryMessage::ScmRights(&files));
    sendmsg(asking, &[IoSlice::new(&[1])], &mut with, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// The line of the supervisor that is asked for; `None` when nobody asks any more.
fn receive(asked: &UnixStream) -> io::Result<Option<UnixStream>> {
    let mut space = [MaybeUninit::uninit(); ROOM];
    let mut with = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let mut buffers = [IoSliceMut::new(&mut byte)];
    let count = loop {
        match recvmsg(asked, &mut buffers, &mut with, RecvFlags::CMSG_CLOEXEC) {
            Ok(message) => break message.bytes,
            Err(Errno::INTR) => {}
            Err(Errno::CONNRESET) => break 0,
            Err(error) => return Err(error.into()),
        }
    };
    if count == 0 {
        return Ok(None);
    }
    let mut given = with.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut files) => files.next(),
        _ => None,
    });
    let line: Option<OwnedFd> = given.next();
    line.map(UnixStream::from).map(Some).ok_or_else(|| io::Error::other("no line came"))
}
