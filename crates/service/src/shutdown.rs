//! The signal that ends a service.

use tokio::sync::watch;

/// Waits until `stop` becomes true, or its sender is gone: a service that nothing can stop any more
/// stops by itself.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    drop(stop.wait_for(|stop| *stop).await);
}
