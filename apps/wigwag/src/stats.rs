//! What the engine counts on a connection, as JSON.

use serde_json::{Value, json};
use wigwag_tokio::PeerConnection;
use wigwag_tokio::wigwag::rtp::srtp::SrtpProfile;
use wigwag_tokio::wigwag::{self, DtlsVersion, InboundStats, MediaDropped, OutboundStats, Transceiver};

/// The server's side of `connection`.
pub fn of(id: &str, connection: &PeerConnection) -> Value {
    connection.with(|engine, _| {
        let stats = engine.stats();
        let path = engine.selected_path().map(|path| {
            json!({
                "local": path.local,
                "remote": path.remote,
                "rtt_ms": engine.round_trip_time().map(milliseconds),
            })
        });
        json!({
            "id": id,
            "state": engine.connection_state().to_string(),
            "dtls": engine.dtls_version().map(dtls_name),
            "srtp": engine.srtp_profile().map(srtp_name),
            "path": path,
            "sent": { "datagrams": stats.datagrams_sent, "bytes": stats.bytes_sent },
            "received": { "datagrams": stats.datagrams_received, "bytes": stats.bytes_received },
            "srtp_dropped": stats.dropped_media,
            "srtp_refused": stats.refused_media,
            "rtp_dropped": dropped(&engine.media_dropped()),
            "media": engine.transceivers().filter_map(|it| line(engine, it)).collect::<Vec<_>>(),
        })
    })
}

fn line(engine: &wigwag::PeerConnection, transceiver: &Transceiver) -> Option<Value> {
    let stats = engine.media_stats(transceiver.id)?;
    let clock_rate = transceiver.codecs.first().map(|codec| codec.clock_rate);
    Some(json!({
        "mid": transceiver.mid,
        "kind": transceiver.kind.as_str(),
        "codec": transceiver.codecs.first().map(|codec| &codec.name),
        "clock_rate": clock_rate,
        "direction": transceiver.current_direction.map(|direction| direction.as_str()),
        "inbound": inbound(&stats.inbound),
        "outbound": outbound(&stats.outbound),
    }))
}

/// Packets that were dropped on their way in, by the reason.
fn dropped(dropped: &MediaDropped) -> Value {
    json!({
        "malformed": dropped.malformed,
        "unknown_line": dropped.unknown_line,
        "unknown_payload_type": dropped.unknown_payload_type,
        "not_receiving": dropped.not_receiving,
        "unknown_repair": dropped.unknown_repair,
        "duplicates": dropped.duplicates,
        "too_late": dropped.too_late,
        "not_polled": dropped.not_polled,
    })
}

fn inbound(stats: &InboundStats) -> Value {
    json!({
        "packets": stats.packets,
        "bytes": stats.bytes,
        "lost": stats.lost,
        "jitter_ms": milliseconds(stats.jitter),
        "nacks_sent": stats.nacks_sent,
        "plis_sent": stats.plis_sent,
        "recovered": stats.recovered,
        "duplicates": stats.duplicates,
        "probes": stats.probes,
    })
}

fn outbound(stats: &OutboundStats) -> Value {
    json!({
        "packets": stats.packets,
        "bytes": stats.bytes,
        "retransmitted": stats.retransmitted_packets,
        "nacks_received": stats.nacks_received,
        "plis_received": stats.plis_received,
        "remote_lost": stats.remote_lost,
        "remote_jitter_ms": milliseconds(stats.remote_jitter),
        "rtt_ms": stats.round_trip_time.map(milliseconds),
    })
}

fn milliseconds(duration: std::time::Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn dtls_name(version: DtlsVersion) -> &'static str {
    match version {
        DtlsVersion::Dtls12 => "1.2",
        DtlsVersion::Dtls13 => "1.3",
    }
}

fn srtp_name(profile: SrtpProfile) -> String {
    match profile {
        SrtpProfile::AeadAes128Gcm => "AEAD_AES_128_GCM".to_owned(),
        SrtpProfile::AeadAes256Gcm => "AEAD_AES_256_GCM".to_owned(),
        SrtpProfile::Aes128CmHmacSha1_80 => "AES128_CM_HMAC_SHA1_80".to_owned(),
        other => format!("{other:?}"),
    }
}
