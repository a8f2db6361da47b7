//! To which description, and so to which transport, a candidate of the peer's belongs. webrtc-pc section 4.4.1.7.

use super::{Applied, CandidateError, IceCandidate, Negotiation};
use crate::state::SignalingState;

/// What is to be done with a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CandidateFor {
    /// It belongs to the transport in use.
    Agent,
    /// It was kept for the agreement that its offer is waiting for.
    Later,
    /// Its section is not used.
    Nobody,
}

impl Negotiation {
    /// Whether a candidate belongs to what the peer described, and to which part of it.
    pub fn check_candidate(&mut self, candidate: &IceCandidate) -> Result<CandidateFor, CandidateError> {
        if self.state == SignalingState::Closed {
            return Err(CandidateError::Closed);
        }
        if self.pending_remote.is_none() && self.current_remote.is_none() {
            return Err(CandidateError::NoRemoteDescription);
        }
        // What the peer offers waits for our answer; everything else is in force.
        let is_offered = self.state == SignalingState::HaveRemoteOffer;
        let mut result = Err(CandidateError::UnknownSection);
        let descriptions = [(&mut self.pending_remote, is_offered), (&mut self.current_remote, false)];
        for (applied, waits) in descriptions {
            let Some(applied) = applied else { continue };
            match applied.finds(candidate) {
                Ok(true) if waits => {
                    if let Some(remote) = &mut applied.remote {
                        remote.add_candidate(&candidate.candidate);
                    }
                    return Ok(CandidateFor::Later);
                }
                Ok(true) => return Ok(CandidateFor::Agent),
                Ok(false) => result = Ok(CandidateFor::Nobody),
                Err(error) if result.is_err() => result = Err(error),
                Err(_) => {}
            }
        }
        result
    }
}

impl Applied {
    /// Whether `candidate` belongs to the transport in use; `false`: to a section that is not used.
    fn finds(&self, candidate: &IceCandidate) -> Result<bool, CandidateError> {
        let section = match (&candidate.sdp_mid, candidate.sdp_m_line_index) {
            (Some(mid), _) => self.sections.iter().find(|section| section.mid.as_ref() == Some(mid)),
            (None, Some(index)) => self.sections.get(usize::from(index)),
            (None, None) => self.sections.iter().find(|section| section.is_used()).or(self.sections.first()),
        };
        let section = section.ok_or(CandidateError::UnknownSection)?;
        let Some(remote) = &self.remote else { return Ok(false) };
        match &candidate.username_fragment {
            Some(fragment) if *fragment == remote.credentials.ufrag => Ok(true), // within a bundle, of whichever section
            Some(fragment) if section.is_used() => Err(CandidateError::UnknownUserFragment(fragment.clone())),
            Some(_) => Ok(false),
            None => Ok(section.is_used() || section.ufrag.as_ref() == Some(&remote.credentials.ufrag)),
        }
    }
}
