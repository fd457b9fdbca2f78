//! The byte budget of one request: what covers the bytes that it holds, and what no reservation covers yet.

use cellgate_routing::DecodingCost;

use super::{RequestState, StateMachine};
use crate::budget::Reservation;

impl StateMachine {
    /// Sets the reservation that covers the next message since its arrival. `None` drops it once the message is handled.
    pub fn set_message_reservation(&mut self, reservation: Option<Reservation>) {
        self.message_reservation = reservation;
    }

    /// Takes the reservation of a chunk of this many bytes that goes back. It must live as long as the chunk.
    pub fn take_reservation(&mut self, bytes: usize) -> Option<Reservation> {
        let bytes = bytes as u64;
        self.reservation.split(bytes).or_else(|| self.message_reservation.as_mut()?.split(bytes))
    }

    /// Bytes that the request holds and that the byte budget had no room for. No other event may follow until [`cover`] or
    /// [`Event::NoRoom`].
    ///
    /// [`cover`]: Self::cover
    /// [`Event::NoRoom`]: super::Event::NoRoom
    #[must_use]
    pub fn shortfall(&self) -> u64 {
        self.buffer_shortfall + self.decoder_shortfall
    }

    /// Bytes of the decoders that scan the rest of a body whose decision is sent. They are kept until the body ends.
    #[must_use]
    pub fn guard_memory(&self) -> u64 {
        if matches!(self.state, RequestState::Guarding(_)) { self.decoder_reservation.bytes() } else { 0 }
    }

    /// The part of the [`shortfall`](Self::shortfall) that decoders need.
    #[must_use]
    pub fn decoder_shortfall(&self) -> u64 {
        self.decoder_shortfall
    }

    /// Covers the [`shortfall`](Self::shortfall) with a reservation of as many bytes.
    pub fn cover(&mut self, mut reservation: Reservation) {
        if let Some(part) = reservation.split(self.decoder_shortfall) {
            self.decoder_reservation.merge(part);
        }
        if let Some(part) = reservation.split(self.buffer_shortfall) {
            self.reservation.merge(part);
        }
        (self.buffer_shortfall, self.decoder_shortfall) = (0, 0);
    }

    /// Bytes of the byte budget that the request reserves.
    #[must_use]
    pub fn reserved_bytes(&self) -> u64 {
        self.reservation.bytes() + self.decoder_reservation.bytes()
    }

    /// Reserves bytes of the byte budget, first those that the message at hand reserved on arrival.
    pub(super) fn reserve(&mut self, mut bytes: u64) {
        if let Some(part) = self.message_reservation.as_mut().and_then(|message| message.split(bytes)) {
            bytes -= part.bytes();
            self.reservation.merge(part);
        }
        if !self.reservation.try_grow(bytes) {
            self.buffer_shortfall += bytes;
        }
    }

    /// Reserves the memory of the decoders, which grows with what they have decoded.
    pub(super) fn cover_decoders(&mut self, decoded: Option<DecodingCost>) {
        let memory = decoded.map_or(0, |decoded| decoded.memory);
        let bytes = memory.saturating_sub(self.decoder_reservation.bytes());
        if !self.decoder_reservation.try_grow(bytes) {
            self.decoder_shortfall = bytes;
        }
    }
}
