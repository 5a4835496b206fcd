//! The service's HTTP side: `/metrics`, `/health/live`, `/health/ready`.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use prometheus::{Registry, TextEncoder};

use crate::health::{Health, Report};
use crate::stop::Stop;

/// How often the server looks whether it should stop.
const STOP_CHECK: Duration = Duration::from_millis(50);
/// How long requests under way may take once it should; a client that holds its connection is cut off.
const GRACE: Duration = Duration::from_millis(500);
/// What the Prometheus text format is called in HTTP.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What the handlers show.
#[derive(Debug)]
struct Shown {
    registry: Registry,
    health: Health,
}

/// A running server, on a thread of its own.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    thread: JoinHandle<io::Result<()>>,
}

impl Server {
    /// Serves `listener` until `stop` is asked. Readiness must be visible while lines drain, so give the
    /// server a [`Stop`] of its own and ask it last.
    ///
    /// # Errors
    /// When the listener or the runtime cannot be set up.
    pub fn start(
        listener: TcpListener,
        registry: Registry,
        health: Health,
        stop: Stop,
    ) -> io::Result<Server> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let router = router(Arc::new(Shown { registry, health }));
        let thread = std::thread::Builder::new()
            .name("http".to_owned())
            .spawn(move || runtime.block_on(serve(listener, router, stop)))?;
        Ok(Server { address, thread })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until it has stopped.
    ///
    /// # Errors
    /// When it failed before it was asked to stop.
    pub fn join(self) -> io::Result<()> {
        self.thread.join().unwrap_or_else(|_| Err(io::Error::other("the HTTP thread panicked")))
    }
}

async fn serve(listener: TcpListener, router: Router, stop: Stop) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let server = axum::serve(listener, router).with_graceful_shutdown(asked(stop.clone()));
    tokio::select! {
        result = server => result,
        () = async { asked(stop).await; tokio::time::sleep(GRACE).await } => Ok(()),
    }
}

/// Waits until `stop` is asked. It is a condition variable, which no async task can wait for.
async fn asked(stop: Stop) {
    let mut ticks = tokio::time::interval(STOP_CHECK);
    while !stop.is_asked() {
        ticks.tick().await;
    }
}

fn router(shown: Arc<Shown>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/health/live", get(async |State(shown): State<Arc<Shown>>| report(shown.health.live())))
        .route("/health/ready", get(async |State(shown): State<Arc<Shown>>| report(shown.health.ready())))
        .with_state(shown)
}

async fn metrics(State(shown): State<Arc<Shown>>) -> Response {
    match TextEncoder::new().encode_to_string(&shown.registry.gather()) {
        Ok(text) => ([(header::CONTENT_TYPE, METRICS_TYPE)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn report(report: Report) -> Response {
    let status = if report.ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(header::CACHE_CONTROL, "no-store")], Json(report)).into_response()
}

#[cfg(test)]
mod tests;
