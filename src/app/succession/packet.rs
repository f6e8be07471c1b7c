//! What two processes send each other: a text, and sockets that are both processes' from then on.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::cmsg_space;
use rustix::io::retry_on_intr;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use socket2::{SockRef, Socket};
use tokio::time::sleep;

use super::LOOK;

/// Sockets in one packet: fewer than the system takes (253).
pub(super) const MOST_SOCKETS: usize = 128;
/// Bytes of a text. The longest is of a backend: the name of its pool and what was found of it have no other bound.
pub(super) const MOST_BYTES: usize = 64 * 1024;

/// Two ends, for one process each.
pub(super) fn ends() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

/// Sends a text and up to [`MOST_SOCKETS`] sockets.
pub(super) fn send(to: impl AsFd, text: &str, sockets: &[Socket]) -> io::Result<()> {
    let sockets: Vec<BorrowedFd<'_>> = sockets.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST_SOCKETS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !sockets.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&sockets)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let text = [IoSlice::new(text.as_bytes())];
    retry_on_intr(|| sendmsg(&to, &text, &mut control, SendFlags::NOSIGNAL))?;
    Ok(())
}

/// Waits for what the other end sends next; nothing if it has gone.
pub(super) fn receive(from: impl AsFd) -> io::Result<Option<(String, Vec<Socket>)>> {
    let mut bytes = vec![0; MOST_BYTES];
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST_SOCKETS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = retry_on_intr(|| {
        let mut text = [IoSliceMut::new(&mut bytes)];
        recvmsg(&from, &mut text, &mut control, RecvFlags::CMSG_CLOEXEC)
    })?;
    if received.flags.contains(ReturnFlags::CTRUNC) {
        return Err(io::Error::other("too few open files; raise the limit with `ulimit -n`"));
    }
    let length = received.bytes;
    if length == 0 {
        return Ok(None);
    }
    let sockets = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(sockets) => Some(sockets),
        _ => None,
    });
    let sockets = sockets.flatten().map(Socket::from).collect();
    let text = str::from_utf8(&bytes[..length]).map_err(io::Error::other)?;
    Ok(Some((text.to_owned(), sockets)))
}

/// One end, for somebody who has other things to do. It looks now and then: what comes is not urgent, and there is little of it.
pub(super) struct End(OwnedFd);

impl End {
    /// This one, which does not wait from now on.
    pub(super) fn of(end: OwnedFd) -> io::Result<Self> {
        SockRef::from(&end).set_nonblocking(true)?;
        Ok(Self(end))
    }

    /// As [`send`].
    pub(super) async fn send(&self, text: &str, sockets: &[Socket]) -> io::Result<()> {
        when_ready(|| send(&self.0, text, sockets)).await
    }

    /// Whether this text is here already. It is taken, whatever it is.
    pub(super) fn has(&self, text: &str) -> bool {
        matches!(receive(&self.0), Ok(Some((said, _))) if said == text)
    }

    /// As [`receive`].
    pub(super) async fn receive(&self) -> io::Result<Option<(String, Vec<Socket>)>> {
        when_ready(|| receive(&self.0)).await
    }
}

async fn when_ready<T>(mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match attempt() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(LOOK).await,
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_socket_that_was_sent_is_the_same_one() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (here, there) = ends().unwrap();
        let sockets: Vec<Socket> = (0..MOST_SOCKETS).map(|_| listener.try_clone().unwrap().into()).collect();
        send(&here, "an address", &sockets).unwrap();
        send(&here, "no socket", &[]).unwrap();
        drop(here);
        let (text, sent) = receive(&there).unwrap().unwrap();
        assert_eq!((text.as_str(), sent.len()), ("an address", MOST_SOCKETS));
        for socket in sent {
            assert_eq!(socket.local_addr().unwrap().as_socket(), Some(address));
        }
        assert!(
            receive(&there).unwrap().is_some_and(|(text, sockets)| text == "no socket" && sockets.is_empty())
        );
        assert!(receive(&there).unwrap().is_none());
    }
}
