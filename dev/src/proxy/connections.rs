//! The proxy's side towards the client: it accepts connections, refuses them, and breaks idle ones.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::Shared;

/// How an idle connection ends.
#[derive(Clone, Copy, Debug)]
pub enum Ending {
    /// In order, with a FIN.
    Close,
    /// With an RST.
    Reset,
}

/// The order to end a connection if it is idle. The sender is dropped when that is done, or when there is nothing to
/// do.
type Order = (Ending, oneshot::Sender<()>);

/// The connections made so far, each as the channel that takes orders for it.
type Open = Arc<Mutex<Vec<mpsc::UnboundedSender<Order>>>>;

pub(super) struct Connections {
    /// A bound socket that does not listen. It reserves the port while connections are refused.
    place: TcpSocket,
    accepting: Option<JoinHandle<()>>,
    open: Open,
}

impl Connections {
    pub(super) fn listen(shared: Arc<Shared>) -> Self {
        let place = socket(SocketAddr::from(([127, 0, 0, 1], 0)));
        let mut connections = Self {
            place,
            accepting: None,
            open: Open::default(),
        };
        connections.resume(shared);
        connections
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.place.local_addr().expect("a bound socket")
    }

    pub(super) fn resume(&mut self, shared: Arc<Shared>) {
        let listener = socket(self.address()).listen(128);
        let listener = listener.expect("a port that is ours");
        self.accepting = Some(tokio::spawn(accept(listener, shared, Arc::clone(&self.open))));
    }

    pub(super) async fn refuse(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
            // An error means that the task was aborted, and the listener is gone.
            let _ = accepting.await;
        }
        self.close_idle(Ending::Close).await;
    }

    pub(super) async fn close_idle(&self, ending: Ending) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for connection in open {
            let (done, followed) = oneshot::channel();
            // A connection that has ended takes no order, and drops the sender as well.
            let _ = connection.send((ending, done));
            let _ = followed.await;
        }
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        if let Some(accepting) = &self.accepting {
            accepting.abort();
        }
    }
}

/// Other sockets of this process may be bound to the same address; only the listening one gets connections.
fn socket(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseport(true).expect("a system that shares ports");
    socket.bind(address).expect("a free port");
    socket
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, open: Open) {
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        let (orders, received) = mpsc::unbounded_channel();
        let number = {
            let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
            open.push(orders);
            open.len() - 1
        };
        tokio::spawn(serve(stream, number, Arc::clone(&shared), received));
    }
}

/// Serves one connection until the client, a fault or an order closes it.
async fn serve(stream: TcpStream, number: usize, shared: Arc<Shared>, mut orders: mpsc::UnboundedReceiver<Order>) {
    let running = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&running);
    let service = service_fn(move |request| {
        let (shared, running) = (Arc::clone(&shared), Arc::clone(&counted));
        async move {
            running.fetch_add(1, Ordering::SeqCst);
            let answer = shared.handle(number, request).await;
            running.fetch_sub(1, Ordering::SeqCst);
            answer
        }
    });
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    loop {
        tokio::select! {
            biased;
            // An error means that the client went away, or that a fault closes the connection.
            _ = &mut connection => return,
            order = orders.recv() => {
                let idle = running.load(Ordering::SeqCst) == 0;
                match order {
                    Some((Ending::Reset, _done)) if idle => {
                        let stream = connection.into_parts().io.into_inner();
                        stream.set_zero_linger().expect("an open socket");
                        drop(stream);
                        return;
                    }
                    Some((Ending::Close, _done)) if idle => {
                        drop(connection);
                        return;
                    }
                    // The proxy is gone.
                    None => return,
                    Some(_) => {}
                }
            }
        }
    }
}
