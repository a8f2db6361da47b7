//! The HTTP interface: the page, and signalling in one request.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `GET /` | | the page |
//! | `POST /api/echo` | `{"type":"offer","sdp":"..."}` | `{"type":"answer","sdp":"..."}`, candidates inside |
//! | `POST /api/offer` | | `{"id":"...","type":"offer","sdp":"..."}`, candidates inside |
//! | `POST /api/answer` | `{"id":"...","type":"answer","sdp":"..."}` | `{}` |
//!
//! What is wrong with a request is answered with 400 and `{"error":"..."}`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wigwag_tokio::wigwag::sdp;
use wigwag_tokio::{ChannelInit, Endpoint, PeerConnection, SessionDescription};

use crate::{echo, pages};

/// Far more than a browser's description needs.
const MAX_BODY: usize = 256 << 10;
/// Connections at once, those that wait for their answer included.
const MAX_CONNECTIONS: usize = 4096;
/// An offer of ours waits for its answer not longer than that.
const OFFER_LIFETIME: Duration = Duration::from_secs(60);

/// A description as JSON carries it: RTCSessionDescriptionInit.
#[derive(Debug, Serialize, Deserialize)]
struct Description {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(rename = "type")]
    kind: String,
    sdp: String,
}

/// What was wrong, for whoever asked.
#[derive(Debug)]
struct Rejected(StatusCode, String);

impl Rejected {
    fn bad(reason: impl ToString) -> Self {
        Self(StatusCode::BAD_REQUEST, reason.to_string())
    }
    fn failed(reason: impl ToString) -> Self {
        Self(StatusCode::INTERNAL_SERVER_ERROR, reason.to_string())
    }
}

impl IntoResponse for Rejected {
    fn into_response(self) -> Response {
        (self.0, Json(serde_json::json!({ "error": self.1 }))).into_response()
    }
}

#[derive(Debug)]
struct Server {
    endpoint: Arc<Endpoint>,
    /// One for each connection.
    permits: Arc<Semaphore>,
    /// Connections whose offer was given out, by its id.
    offers: Mutex<HashMap<String, PeerConnection>>,
}

impl Server {
    /// Room for one more connection.
    fn admit(&self) -> Result<OwnedSemaphorePermit, Rejected> {
        let busy = |_| Rejected(StatusCode::SERVICE_UNAVAILABLE, "too many connections".to_owned());
        Arc::clone(&self.permits).try_acquire_owned().map_err(busy)
    }
}

/// The page and its interface.
pub fn router(endpoint: Arc<Endpoint>) -> axum::Router {
    axum::Router::new()
        .merge(pages::router())
        .route("/api/echo", post(echo_offer))
        .route("/api/offer", post(make_offer))
        .route("/api/answer", post(take_answer))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(Arc::new(Server {
            endpoint,
            permits: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
            offers: Mutex::default(),
        }))
}

/// The body of a request, which must be a description of this `kind`.
fn description(body: &Bytes, kind: &str) -> Result<Description, Rejected> {
    let description: Description = serde_json::from_slice(body)
        .map_err(|error| Rejected::bad(format!("the body is not a description: {error}")))?;
    if description.kind != kind {
        return Err(Rejected::bad(format!("the description's type is \"{}\", not \"{kind}\"", description.kind)));
    }
    Ok(description)
}

/// A browser's offer: its channels are echoed.
async fn echo_offer(State(server): State<Arc<Server>>, body: Bytes) -> Result<Json<Description>, Rejected> {
    let offer = description(&body, "offer")?;
    let offered = sdp::SessionDescription::parse(&offer.sdp).map_err(Rejected::bad)?;
    if !offered.media.iter().any(|media| media.is_data_channel() && !media.is_rejected()) {
        return Err(Rejected::bad("the offer has no data channels, and there is nothing else to connect yet"));
    }
    let permit = server.admit()?;
    let connection = server.endpoint.connection().map_err(Rejected::failed)?;
    connection.set_remote_description(SessionDescription::offer(offer.sdp)).map_err(Rejected::bad)?;
    let answer = connection.create_answer().map_err(Rejected::bad)?;
    connection.set_local_description(answer).map_err(Rejected::failed)?;
    let answer = local_description(&connection).await?;
    tokio::spawn(echo::serve(connection, Vec::new(), permit));
    Ok(Json(Description { id: None, kind: answer.kind.to_string(), sdp: answer.sdp }))
}

async fn local_description(connection: &PeerConnection) -> Result<SessionDescription, Rejected> {
    let description = connection.local_description();
    description.ok_or_else(|| Rejected::failed("the connection has no description"))
}

/// An offer of ours, with a channel in it; the answer to it is to come.
async fn make_offer(State(server): State<Arc<Server>>) -> Result<Json<Description>, Rejected> {
    let permit = server.admit()?;
    let connection = server.endpoint.connection().map_err(Rejected::failed)?;
    let channel = connection.create_data_channel("echo", ChannelInit::default()).map_err(Rejected::failed)?;
    let offer = connection.create_offer().map_err(Rejected::failed)?;
    connection.set_local_description(offer).map_err(Rejected::failed)?;
    let offer = local_description(&connection).await?;

    let seed = wigwag_tokio::random_seed().map_err(Rejected::failed)?;
    let id: String = seed.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    server.offers.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), connection.clone());
    tokio::spawn(echo::serve(connection, vec![channel], permit));
    let forget = (Arc::clone(&server), id.clone());
    tokio::spawn(async move {
        tokio::time::sleep(OFFER_LIFETIME).await;
        let (server, id) = forget;
        let forgotten = server.offers.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        if let Some(connection) = forgotten {
            connection.close().await; // nobody answered
        }
    });
    Ok(Json(Description { id: Some(id), kind: offer.kind.to_string(), sdp: offer.sdp }))
}

/// The answer to an offer of ours.
async fn take_answer(State(server): State<Arc<Server>>, body: Bytes) -> Result<Json<serde_json::Value>, Rejected> {
    let answer = description(&body, "answer")?;
    let id = answer.id.ok_or_else(|| Rejected::bad("the answer has no id"))?;
    let mut offers = server.offers.lock().unwrap_or_else(PoisonError::into_inner);
    let connection = offers.get(&id).ok_or_else(|| Rejected::bad("no offer of this id waits for an answer"))?;
    // If this one is wrong, the offer still stands: a better answer may come.
    connection.set_remote_description(SessionDescription::answer(answer.sdp)).map_err(Rejected::bad)?;
    offers.remove(&id);
    Ok(Json(serde_json::json!({})))
}
