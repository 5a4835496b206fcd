//! `cardwatch health`: whether a service on this host is ready, for supervisors that can only run a command.

use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::args::{Args, HealthArgs};
use super::output::Output;
use super::settings;
use crate::lines::start::Stopped;
use crate::stop::exit;

pub(super) fn run(args: &Args, health: &HealthArgs, output: &Output) -> Result<(), Stopped> {
    let address = match health.address {
        Some(address) => address,
        None => settings(args)?.http.listen.ok_or_else(|| {
            Stopped::new(
                exit::CONFIG,
                "http.listen is \"\": the service says nothing of itself; name another --address",
            )
        })?,
    };
    let path = if health.live { "/health/live" } else { "/health/ready" };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Stopped::new(exit::INTERNAL, error.to_string()))?;
    let within = Duration::from_secs(u64::from(health.timeout));
    let asked = runtime.block_on(async { tokio::time::timeout(within, ask(address, path)).await });
    let unavailable =
        |reason: String| Stopped::new(exit::UNAVAILABLE, format!("http://{address}{path}: {reason}"));
    let (status, body) = asked
        .map_err(|_| unavailable(format!("no answer within {} s", health.timeout)))?
        .map_err(|error| unavailable(error.to_string()))?;
    match status {
        200 => output.say(body.trim_end()),
        _ => return Err(unavailable(format!("{status}: {}", body.trim_end()))),
    }
    Ok(())
}

async fn ask(address: SocketAddr, path: &str) -> Result<(u16, String), Box<dyn std::error::Error>> {
    // What listens on every address answers on loopback.
    let reached = match address.ip().is_unspecified() {
        true if address.is_ipv6() => SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], address.port())),
        true => SocketAddr::from(([127, 0, 0, 1], address.port())),
        false => address,
    };
    let stream = TcpStream::connect(reached).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::get(path).header("host", reached.to_string()).body(Empty::<Bytes>::new())?;
    let answer = sender.send_request(request).await?;
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await?.to_bytes();
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}
