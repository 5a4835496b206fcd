//! The service's HTTP side: `/metrics` and `/health` for everybody, `/v1` for whoever has a token.
//!
//! Routes live in a file each and are merged into [`Api`]; the layer of [`auth`] stands before all of them.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use prometheus::Registry;

use crate::health::Health;
use crate::metrics::HttpMetrics;
use crate::stop::Stop;
use auth::{Gate, Tokens};
use problem::Problem;

pub mod alerts;
pub mod auth;
pub mod incidents;
pub mod problem;
pub mod webhooks;

mod deliveries;
mod open;
mod openapi;
mod outcomes;
mod parameters;
mod webhook_acts;
mod whoami;

/// How often the server looks whether it should stop.
const STOP_CHECK: Duration = Duration::from_millis(50);
/// How long requests under way may take once it should; a client that holds its connection is cut off.
const GRACE: Duration = Duration::from_millis(500);

/// What is served beyond metrics and health, to callers with a token.
#[derive(Debug)]
pub struct Api {
    tokens: Tokens,
    routes: Router,
}

impl Api {
    /// `/v1/whoami` and the description of the whole for the owners of these tokens.
    pub fn new(tokens: Tokens) -> Api {
        Api { tokens, routes: whoami::routes().merge(openapi::routes()) }
    }

    /// And these routes.
    #[must_use]
    pub fn with(mut self, routes: Router) -> Api {
        self.routes = self.routes.merge(routes);
        self
    }
}

/// Everything that is served.
#[derive(Debug)]
pub struct Site {
    /// Shown under `/metrics`.
    pub registry: Registry,
    /// Shown under `/health`.
    pub health: Health,
    /// What needs a token; without it there is nothing else.
    pub api: Option<Api>,
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
    pub fn start(listener: TcpListener, site: Site, stop: Stop) -> io::Result<Server> {
        Server::open(listener, router(site)?, stop)
    }

    /// Serves these routes and nothing else, to anybody.
    ///
    /// # Errors
    /// When the listener or the runtime cannot be set up.
    pub fn open(listener: TcpListener, router: Router, stop: Stop) -> io::Result<Server> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name("http".to_owned()).spawn(move || {
            let served = runtime.block_on(serve(listener, router, stop));
            // What still blocks for a request must not hold the process.
            runtime.shutdown_background();
            served
        })?;
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

fn router(site: Site) -> io::Result<Router> {
    let open = open::routes(site.registry.clone(), site.health);
    let Some(Api { tokens, routes }) = site.api else { return Ok(open) };
    let metrics = HttpMetrics::new(&site.registry).map_err(io::Error::other)?;
    let guarded = routes
        .method_not_allowed_fallback(async || {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method", "this path does not take that method")
        })
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "not_found", "there is nothing here"))
        // Last, so that it stands before the fallbacks too: without a token nobody learns what there is.
        .layer(from_fn_with_state(Gate { tokens, metrics }, auth::guard));
    Ok(open.merge(guarded))
}

#[cfg(test)]
mod tests;
