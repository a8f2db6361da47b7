//! The connections of the demo, by the names that it gave them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wigwag_tokio::PeerConnection;

/// Connections at once, those that wait for their answer included.
const MAX_CONNECTIONS: usize = 4096;

/// All connections: handles that keep them until [`Guard`] is dropped.
#[derive(Debug)]
pub struct Connections {
    /// One for each.
    permits: Arc<Semaphore>,
    all: Mutex<HashMap<String, PeerConnection>>,
}

impl Default for Connections {
    fn default() -> Self {
        Self { permits: Arc::new(Semaphore::new(MAX_CONNECTIONS)), all: Mutex::default() }
    }
}

/// A connection's place among them.
#[derive(Debug)]
pub struct Guard {
    connections: Arc<Connections>,
    pub id: String,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.connections.lock().remove(&self.id);
    }
}

impl Connections {
    /// Room for one more; `None`: there is none.
    pub fn admit(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.permits).try_acquire_owned().ok()
    }

    /// Takes a connection in, under a name that nobody guesses.
    pub fn insert(
        self: &Arc<Self>,
        connection: &PeerConnection,
        permit: OwnedSemaphorePermit,
    ) -> std::io::Result<Guard> {
        let seed = wigwag_tokio::random_seed()?;
        let id: String = seed.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        self.lock().insert(id.clone(), connection.clone());
        Ok(Guard { connections: Arc::clone(self), id, _permit: permit })
    }

    /// The connection of this name.
    pub fn find(&self, id: &str) -> Option<PeerConnection> {
        self.lock().get(id).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, PeerConnection>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
