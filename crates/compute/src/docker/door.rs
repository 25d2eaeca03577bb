//! The one way out of a container that has a network of its own: a port of its loopback that leads to
//! the server.

use std::{
    fs::File,
    io,
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    os::fd::AsFd,
    sync::Arc,
    thread,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Connections at once; more are refused.
const MOST: usize = 256;

/// Opens the port of `server` for the container whose first process is `pid`, for as long as this process lives.
pub(super) fn open(pid: i32, server: SocketAddr) -> io::Result<()> {
    let network = File::open(format!("/proc/{pid}/ns/net"))?;
    // A socket stays in the network that it was made in; the thread that goes there ends at once.
    let bind = move || {
        move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))?;
        TcpListener::bind((Ipv4Addr::LOCALHOST, server.port()))
    };
    let bound = thread::spawn(bind).join();
    let listener = bound.map_err(|_| io::Error::other("a thread has ended early"))??;
    thread::spawn(move || {
        let open = Arc::new(());
        while let Ok((inside, _)) = listener.accept() {
            let held = Arc::clone(&open);
            if Arc::strong_count(&held) <= MOST {
                thread::spawn(move || {
                    pass(&inside, server);
                    drop(held);
                });
            }
        }
    });
    Ok(())
}

/// Passes on what both sides say until both have said all.
fn pass(inside: &TcpStream, server: SocketAddr) {
    // Without a server the connection just ends.
    let Ok(server) = TcpStream::connect(server) else { return };
    thread::scope(|scope| {
        scope.spawn(|| one_way(inside, &server));
        one_way(&server, inside);
    });
}

fn one_way(mut from: &TcpStream, mut to: &TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}
