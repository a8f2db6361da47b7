//! The HTTP interface: the page, and signalling in one request.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `GET /` | | the page |
//! | `POST /api/echo` | `{"type":"offer","sdp":"..."}` | `{"id":"...","type":"answer","sdp":"..."}`, candidates inside |
//! | `POST /api/echo` | `{"id":"...","type":"offer","sdp":"..."}` | the same, for the connection of this id |
//! | `POST /api/offer` | `{"media":["audio","video"]}`, or nothing | `{"id":"...","type":"offer","sdp":"..."}`, candidates inside |
//! | `POST /api/answer` | `{"id":"...","type":"answer","sdp":"..."}` | `{}` |
//! | `GET /api/stats/{id}` | | what the engine counts on this connection |
//!
//! Every message comes back on its channel, every track on its transceiver, with the same codec.
//!
//! What is wrong with a request is answered with 400 and `{"error":"..."}`.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use tokio::sync::OwnedSemaphorePermit;
use wigwag_tokio::wigwag::{SignalingState, sdp};
use wigwag_tokio::{
    ChannelInit, Config, DataChannel, Endpoint, KeyLog, MediaKind, PeerConnection, SessionDescription, TransceiverInit,
    random_seed,
};

use crate::connections::Connections;
use crate::{echo, pages, stats, tracks};

/// Far more than a browser's description needs.
const MAX_BODY: usize = 256 << 10;
/// Tracks that an offer of ours may be asked to have.
const MAX_TRACKS: usize = 16;
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
    key_log: Option<KeyLog>,
    connections: Arc<Connections>,
}

impl Server {
    /// A new connection, if there is room for one more.
    fn connection(&self) -> Result<(PeerConnection, OwnedSemaphorePermit), Rejected> {
        let busy = || Rejected(StatusCode::SERVICE_UNAVAILABLE, "too many connections".to_owned());
        let permit = self.connections.admit().ok_or_else(busy)?;
        let mut config = Config::new(random_seed().map_err(Rejected::failed)?);
        config.key_log.clone_from(&self.key_log);
        Ok((self.endpoint.connection_with(config).map_err(Rejected::failed)?, permit))
    }

    /// The connection that a request names.
    fn find(&self, id: &str) -> Result<PeerConnection, Rejected> {
        self.connections.find(id).ok_or_else(|| Rejected::bad("there is no connection of this id, or it is over"))
    }

    /// Serves a connection under a name of its own, from now on.
    fn serve(
        &self,
        connection: &PeerConnection,
        channels: Vec<DataChannel>,
        permit: OwnedSemaphorePermit,
    ) -> Result<String, Rejected> {
        let guard = self.connections.insert(connection, permit).map_err(Rejected::failed)?;
        let id = guard.id.clone();
        tokio::spawn(echo::serve(connection.clone(), channels, guard));
        Ok(id)
    }
}

/// The page and its interface.
pub fn router(endpoint: Arc<Endpoint>, key_log: Option<KeyLog>) -> axum::Router {
    axum::Router::new()
        .merge(pages::router())
        .route("/api/echo", post(echo_offer))
        .route("/api/offer", post(make_offer))
        .route("/api/answer", post(take_answer))
        .route("/api/stats/{id}", get(stats))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(Arc::new(Server { endpoint, key_log, connections: Arc::default() }))
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

/// A browser's offer, of a new connection or, with its id, of one that is there: what comes on its channels and tracks goes
/// back.
async fn echo_offer(State(server): State<Arc<Server>>, body: Bytes) -> Result<Json<Description>, Rejected> {
    let offer = description(&body, "offer")?;
    let (answer, id) = match offer.id {
        Some(id) => (answer(&server.find(&id)?, offer.sdp)?, id),
        None => {
            let (connection, permit) = server.connection()?;
            let answer = answer(&connection, offer.sdp)?;
            if !uses_anything(&answer) {
                let reason = "the offer has nothing that can be connected: no data channels, and no audio or video with a codec \
                              that is known here";
                return Err(Rejected::bad(reason));
            }
            (answer, server.serve(&connection, Vec::new(), permit)?)
        }
    };
    Ok(Json(Description { id: Some(id), kind: answer.kind.to_string(), sdp: answer.sdp }))
}

/// Our answer to an offer, which is in force then. In one go, for two requests may renegotiate one connection at once; if it fails, the
/// connection is as it was.
fn answer(connection: &PeerConnection, offer: String) -> Result<SessionDescription, Rejected> {
    connection.with(|engine, now| {
        engine.set_remote_description(now, SessionDescription::offer(offer)).map_err(Rejected::bad)?;
        tracks::send_back(engine);
        if let Err(error) = engine.set_local_description_implicitly(now) {
            // Nothing else can be done about it: an offer that was applied can always be taken back.
            drop(engine.set_remote_description(now, SessionDescription::rollback()));
            return Err(Rejected::failed(error));
        }
        engine.local_description().ok_or_else(no_description)
    })
}

fn uses_anything(answer: &SessionDescription) -> bool {
    let parsed = sdp::SessionDescription::parse(&answer.sdp);
    parsed.is_ok_and(|answer| answer.media.iter().any(|media| !media.is_rejected()))
}

fn no_description() -> Rejected {
    Rejected::failed("the connection has no description")
}

/// What an offer of ours should have besides a data channel.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Wanted {
    media: Vec<String>,
}

/// An offer of ours, with a channel in it, and audio and video if they are asked for; the answer to it is to come.
async fn make_offer(State(server): State<Arc<Server>>, body: Bytes) -> Result<Json<Description>, Rejected> {
    let wanted: Wanted = match body.is_empty() {
        true => Wanted::default(),
        false => {
            serde_json::from_slice(&body).map_err(|error| Rejected::bad(format!("the body is not right: {error}")))?
        }
    };
    if wanted.media.len() > MAX_TRACKS {
        return Err(Rejected::bad(format!("no more than {MAX_TRACKS} tracks")));
    }
    let (connection, permit) = server.connection()?;
    let channel = connection.create_data_channel("echo", ChannelInit::default()).map_err(Rejected::failed)?;
    for kind in wanted.media {
        let kind = match kind.as_str() {
            "audio" => MediaKind::Audio,
            "video" => MediaKind::Video,
            other => return Err(Rejected::bad(format!("\"{other}\" is neither \"audio\" nor \"video\""))),
        };
        connection.add_transceiver(kind, TransceiverInit::default()).map_err(Rejected::failed)?;
    }
    let offer = connection.create_offer().map_err(Rejected::failed)?;
    connection.set_local_description(offer).map_err(Rejected::failed)?;
    let offer = connection.local_description().ok_or_else(no_description)?;
    let id = server.serve(&connection, vec![channel], permit)?;
    tokio::spawn(async move {
        tokio::time::sleep(OFFER_LIFETIME).await;
        if connection.with(|engine, _| engine.signaling_state()) == SignalingState::HaveLocalOffer {
            connection.close().await; // nobody answered
        }
    });
    Ok(Json(Description { id: Some(id), kind: offer.kind.to_string(), sdp: offer.sdp }))
}

/// The answer to an offer of ours. If it is wrong, the offer still stands: a better one may come.
async fn take_answer(State(server): State<Arc<Server>>, body: Bytes) -> Result<Json<serde_json::Value>, Rejected> {
    let answer = description(&body, "answer")?;
    let id = answer.id.ok_or_else(|| Rejected::bad("the answer has no id"))?;
    let connection = server.find(&id)?;
    connection.set_remote_description(SessionDescription::answer(answer.sdp)).map_err(Rejected::bad)?;
    Ok(Json(serde_json::json!({})))
}

/// What the engine counts on a connection.
async fn stats(State(server): State<Arc<Server>>, Path(id): Path<String>) -> Result<Json<serde_json::Value>, Rejected> {
    let Some(connection) = server.connections.find(&id) else {
        return Err(Rejected(StatusCode::NOT_FOUND, "there is no connection of this id, or it is over".to_owned()));
    };
    Ok(Json(stats::of(&id, &connection)))
}
