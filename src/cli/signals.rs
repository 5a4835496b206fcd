//! Signals: SIGTERM and SIGINT ask to stop, SIGHUP asks for a reload.

use tokio::signal::unix::{SignalKind, signal};

use crate::lines::start::Stopped;
use crate::stop::exit;

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    /// Drain and leave.
    Stop,
    /// Read rules and tokens anew.
    Reload,
}

/// Listens for signals on a thread of its own.
#[derive(Debug)]
pub(super) struct Signals {
    received: std::sync::mpsc::Receiver<Signal>,
}

impl Signals {
    /// Starts to listen.
    pub(super) fn listen() -> Result<Signals, Stopped> {
        let failed = |error: std::io::Error| Stopped::new(exit::INTERNAL, format!("signals: {error}"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(failed)?;
        let (sender, received) = std::sync::mpsc::sync_channel(8);
        let (mut term, mut int, mut hup) = {
            let _guard = runtime.enter();
            (
                signal(SignalKind::terminate()).map_err(failed)?,
                signal(SignalKind::interrupt()).map_err(failed)?,
                signal(SignalKind::hangup()).map_err(failed)?,
            )
        };
        std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    loop {
                        let signal = tokio::select! {
                            _ = term.recv() => Signal::Stop,
                            _ = int.recv() => Signal::Stop,
                            _ = hup.recv() => Signal::Reload,
                        };
                        if sender.send(signal).is_err() {
                            return;
                        }
                    }
                });
            })
            .map_err(failed)?;
        Ok(Signals { received })
    }

    /// The next signal, if one came.
    pub(super) fn next(&mut self) -> Option<Signal> {
        self.received.try_recv().ok()
    }
}
