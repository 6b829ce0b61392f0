//! Turns SIGTERM and SIGINT into one request to stop that every part can wait for.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Exit status after a second signal: 128 + SIGINT, as shells do.
const EXIT_STATUS_FORCED: i32 = 130;

/// Asks for the stop; when it is dropped, the stop is asked for too.
#[derive(Debug)]
pub struct ShutdownTrigger {
    sender: watch::Sender<bool>,
}

impl ShutdownTrigger {
    /// Ask every holder of the token to stop.
    pub fn request(&self) {
        self.sender.send_replace(true);
    }
}

/// A token to wait for the request to stop; cheap to clone.
#[derive(Debug, Clone)]
pub struct Shutdown {
    receiver: watch::Receiver<bool>,
}

impl Shutdown {
    /// Make a token and its trigger, for parts started by a program rather than a signal.
    pub fn new() -> (ShutdownTrigger, Self) {
        let (sender, receiver) = watch::channel(false);
        (ShutdownTrigger { sender }, Self { receiver })
    }

    /// Make a token that SIGTERM or SIGINT requests; a second signal ends the process at once.
    ///
    /// Must be called inside a tokio runtime. Errors if the signals cannot be caught.
    pub fn on_signals() -> std::io::Result<Self> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let (trigger, token) = Self::new();
        tokio::spawn(async move {
            let mut asked = false;
            loop {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                if asked {
                    tracing::warn!("a second signal came; ending at once");
                    std::process::exit(EXIT_STATUS_FORCED);
                }
                asked = true;
                tracing::info!("stopping; a second signal ends at once");
                trigger.request();
            }
        });
        Ok(token)
    }

    /// Tell whether the stop was asked for.
    pub fn is_requested(&self) -> bool {
        *self.receiver.borrow() || self.receiver.has_changed().is_err()
    }

    /// Wait until the stop is asked for.
    pub async fn requested(&self) {
        let mut receiver = self.receiver.clone();
        // An error means that the trigger is gone, and with it whoever could still want us to run.
        let _ = receiver.wait_for(|requested| *requested).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_reaches_every_clone_even_those_that_ask_late() {
        let (trigger, token) = Shutdown::new();
        let early = tokio::spawn({
            let token = token.clone();
            async move { token.requested().await }
        });
        assert!(!token.is_requested());
        trigger.request();
        early.await.unwrap();
        token.clone().requested().await;
        assert!(token.is_requested());
    }

    #[tokio::test]
    async fn a_lost_trigger_counts_as_a_request() {
        let (trigger, token) = Shutdown::new();
        drop(trigger);
        token.requested().await;
        assert!(token.is_requested());
    }
}
