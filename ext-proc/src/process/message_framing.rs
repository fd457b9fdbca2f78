//! The lengths of gRPC messages, from the bytes of a stream.

/// The bytes of gRPC's prefix of a message: the compression flag and the length.
pub(super) const PREFIX: usize = 5;

/// Follows the messages of one stream. tonic follows them too, but does not report the length of a message before it is
/// complete.
#[derive(Debug, Default)]
pub(super) struct MessageFraming {
    /// The prefix that is being read, and how many of its bytes are here.
    prefix: [u8; PREFIX],
    filled: usize,
    /// Bytes of the message that are still to come.
    rest: u64,
}

impl MessageFraming {
    /// Reads the next bytes. Returns how many bytes the message still needs in which they end.
    pub(super) fn read(&mut self, mut data: &[u8]) -> u64 {
        while !data.is_empty() {
            if self.rest > 0 {
                let within = usize::try_from(self.rest).unwrap_or(usize::MAX).min(data.len());
                self.rest -= within as u64;
                data = data.get(within..).unwrap_or_default();
                continue;
            }
            let (byte, behind) = data.split_first().unwrap_or((&0, &[]));
            if let Some(place) = self.prefix.get_mut(self.filled) {
                *place = *byte;
            }
            (self.filled, data) = (self.filled + 1, behind);
            if self.filled == PREFIX {
                let [_, length @ ..] = self.prefix;
                (self.filled, self.rest) = (0, u64::from(u32::from_be_bytes(length)));
            }
        }
        self.rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_the_last_message_is_known_at_every_cut() {
        let lengths = [0_usize, 1, 70_000, 0, 5, 300];
        let (mut stream, mut rests) = (Vec::new(), Vec::new());
        for length in lengths {
            stream.push(0);
            stream.extend(u32::try_from(length).unwrap().to_be_bytes());
            stream.resize(stream.len() + length, b'x');
            rests.extend([0; PREFIX - 1]);
            rests.extend((0..=length as u64).rev());
        }
        for cut in [1, 2, 3, 7, 16_384, stream.len()] {
            let (mut framing, mut at) = (MessageFraming::default(), 0);
            for chunk in stream.chunks(cut) {
                at += chunk.len();
                assert_eq!(framing.read(chunk), rests[at - 1], "byte {at}, cut at {cut}");
            }
        }
    }
}
