//! Which line a packet belongs to, as far as all lines together decide it. RFC 9143 section 9.2. Made anew when a line changes.

use std::collections::BTreeMap;

use wigwag_rtp::{ExtensionKind, ExtensionValue, PayloadType, RtpPacket, Ssrc};

use super::line::Line;
use crate::LineId;

/// The lines that something stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    One(LineId),
    Several,
}

impl Owner {
    fn and(before: Option<Self>, line: LineId) -> Option<Self> {
        Some(if before.is_none_or(|owner| owner == Self::One(line)) { Self::One(line) } else { Self::Several })
    }

    fn only(self) -> Option<LineId> {
        match self {
            Self::One(line) => Some(line),
            Self::Several => None,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Routes {
    mids: BTreeMap<String, LineId>,
    rids: BTreeMap<String, Owner>,
    payload_types: BTreeMap<PayloadType, Owner>,
    /// Ids of header extensions: the same on all lines that have them. RFC 9143 section 9.1.
    mid: Option<u8>,
    rid: Option<u8>,
    repaired_rid: Option<u8>,
    /// Whose feedback is for us, RTX included.
    pub senders: BTreeMap<Ssrc, LineId>,
    /// Feedback may travel without a report.
    pub reduced_size: bool,
}

/// What a packet says of where it belongs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Names<'a> {
    pub mid: Option<&'a str>,
    pub rid: Option<&'a str>,
    pub repaired_rid: Option<&'a str>,
}

/// What these names and the payload type say of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// By mid: this decides, even for a source that was elsewhere before.
    ByMid(LineId),
    /// A mid that no line has. RFC 9143 section 9.2: to be dropped.
    WrongMid,
    /// Otherwise: this decides for a source that is new.
    Otherwise(Option<LineId>),
}

impl Routes {
    pub fn new(lines: &BTreeMap<LineId, Line>) -> Self {
        let mut routes = Self { reduced_size: !lines.is_empty(), ..Self::default() };
        for (id, line) in lines {
            let config = &line.config;
            routes.reduced_size &= config.reduced_size;
            let extension = |kind| config.extensions.id(kind);
            routes.mid = routes.mid.or(extension(ExtensionKind::Mid));
            routes.rid = routes.rid.or(extension(ExtensionKind::Rid));
            routes.repaired_rid = routes.repaired_rid.or(extension(ExtensionKind::RepairedRid));
            if let Some(mid) = &config.mid {
                routes.mids.insert(mid.clone(), *id);
            }
            if let Some(outbound) = &line.outbound {
                routes.senders.insert(outbound.ssrc, *id);
                routes.senders.extend(outbound.rtx.map(|rtx| (rtx, *id)));
            }
            let Some(receive) = &config.receive else { continue };
            for rid in &receive.rids {
                let owner = Owner::and(routes.rids.get(rid).copied(), *id);
                routes.rids.extend(owner.map(|owner| (rid.clone(), owner)));
            }
            for codec in &config.codecs {
                for payload_type in codec.retransmission.into_iter().chain([codec.payload_type]) {
                    let owner = Owner::and(routes.payload_types.get(&payload_type).copied(), *id);
                    routes.payload_types.extend(owner.map(|owner| (payload_type, owner)));
                }
            }
        }
        routes
    }

    /// What the packet says of itself.
    pub fn names<'a>(&self, packet: &RtpPacket<'a>) -> Names<'a> {
        let text = |kind, value| match ExtensionValue::parse(kind, value) {
            Some(ExtensionValue::Mid(text) | ExtensionValue::Rid(text)) => Some(text),
            _ => None,
        };
        let mut names = Names::default();
        for extension in packet.extensions() {
            let id = Some(extension.id);
            if id == self.mid {
                names.mid = text(ExtensionKind::Mid, extension.value);
            } else if id == self.rid {
                names.rid = text(ExtensionKind::Rid, extension.value);
            } else if id == self.repaired_rid {
                names.repaired_rid = text(ExtensionKind::Rid, extension.value);
            }
        }
        names
    }

    /// Which line that means.
    pub fn line(&self, names: &Names<'_>, payload_type: PayloadType) -> Named {
        if let Some(mid) = names.mid {
            return self.mids.get(mid).map_or(Named::WrongMid, |line| Named::ByMid(*line));
        }
        let by_rid = names.rid.or(names.repaired_rid).and_then(|rid| self.rids.get(rid)).copied().and_then(Owner::only);
        let by_type = || self.payload_types.get(&payload_type).copied().and_then(Owner::only);
        Named::Otherwise(by_rid.or_else(by_type))
    }
}
