//! Counting the messages that flow in one direction of a gRPC call.

use bytes::Buf;
use std::io::IoSlice;

/// Bytes before each message: a flag and its length (gRPC over HTTP/2, "Length-Prefixed-Message").
const PREFIX: usize = 5;
/// How many slices of one frame are looked at; transports hand on one.
const SLICES: usize = 16;

/// Counts whole messages and their bytes, prefixes left out, as they flow by in pieces of any size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Messages {
    /// Whole ones.
    pub count: u64,
    /// Theirs, prefixes left out, and those of one that is not whole yet.
    pub bytes: u64,
    framing: Framing,
}

impl Messages {
    /// Looks at a piece without consuming it.
    pub fn frame(&mut self, data: &impl Buf) {
        let (count, bytes) = self.framing.frame(data);
        self.count += count;
        self.bytes += bytes;
    }

    /// Tells whether a message was whole, or that cannot be known any more: what comes then is a stream.
    #[must_use]
    pub const fn are_past_the_first(&self) -> bool {
        self.framing.is_past_the_first()
    }
}

/// Tells messages apart as they flow by in pieces of any size; in eight bytes, for who carries it along and
/// counts nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Framing {
    /// What is still to come of the message at hand; what is known of that, while its prefix comes.
    left: u32,
    /// How much of the prefix has come.
    have: u8,
    /// A message was whole.
    past_first: bool,
    /// Something could not be looked at: from here on there are no messages to tell apart.
    lost: bool,
}

impl Framing {
    /// Looks at a piece without consuming it; returns how many messages end in it, and how many of its bytes are
    /// theirs, prefixes left out.
    pub fn frame(&mut self, data: &impl Buf) -> (u64, u64) {
        let mut seen = (0, 0);
        let chunk = data.chunk();
        if chunk.len() == data.remaining() {
            self.feed(chunk, &mut seen);
            return seen;
        }
        let mut slices = [IoSlice::new(&[]); SLICES];
        let filled = data.chunks_vectored(&mut slices);
        let slices = slices.get(..filled).unwrap_or_default();
        let length: usize = slices.iter().map(|slice| slice.len()).sum();
        slices.iter().for_each(|slice| self.feed(slice, &mut seen));
        self.lost |= length < data.remaining();
        seen
    }

    /// Tells whether a message was whole, or that cannot be known any more: what comes then is a stream.
    #[must_use]
    pub const fn is_past_the_first(&self) -> bool {
        self.past_first || self.lost
    }

    fn feed(&mut self, mut data: &[u8], (count, bytes): &mut (u64, u64)) {
        while !data.is_empty() && !self.lost {
            let have = usize::from(self.have);
            if have < PREFIX {
                let (now, rest) = data.split_at(data.len().min(PREFIX - have));
                data = rest;
                // The flag is shifted out by the four bytes of the length.
                self.left = now.iter().fold(self.left, |left, byte| left << 8 | u32::from(*byte));
                self.have += now.len() as u8;
                if usize::from(self.have) < PREFIX {
                    return;
                }
            } else {
                let n = u32::try_from(data.len()).unwrap_or(u32::MAX).min(self.left);
                data = data.get(n as usize..).unwrap_or_default();
                *bytes += u64::from(n);
                self.left -= n;
            }
            if self.left == 0 {
                *count += 1;
                self.past_first = true;
                self.have = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn stream(sizes: &[usize]) -> Vec<u8> {
        sizes
            .iter()
            .flat_map(|&size| {
                let mut message = vec![0];
                message.extend(u32::try_from(size).unwrap().to_be_bytes());
                message.resize(PREFIX + size, b'x');
                message
            })
            .collect()
    }

    #[test]
    fn messages_are_counted_however_they_are_cut() {
        let sizes = [0, 1, 300, 0, 7];
        let stream = stream(&sizes);
        for piece in 1..=stream.len() {
            let mut messages = Messages::default();
            for data in stream.chunks(piece) {
                messages.frame(&Bytes::copy_from_slice(data));
            }
            assert_eq!((messages.count, messages.bytes), (5, 308), "in pieces of {piece}");
        }
    }

    #[test]
    fn a_message_counts_once_it_is_whole() {
        let mut messages = Messages::default();
        let stream = stream(&[4, 4]);
        messages.frame(&&stream[..stream.len() - 1]);
        assert_eq!((messages.count, messages.bytes), (1, 7));
    }

    #[test]
    fn pieces_of_several_slices_are_seen_whole_or_the_count_stops() {
        let stream = stream(&[10, 20]);
        let (head, tail) = stream.split_at(9);
        let mut messages = Messages::default();
        messages.frame(&head.chain(tail));
        assert_eq!((messages.count, messages.bytes), (2, 30));

        /// Shows only its first byte at a time.
        struct Shy<'a>(&'a [u8]);
        impl Buf for Shy<'_> {
            fn remaining(&self) -> usize {
                self.0.len()
            }
            fn chunk(&self) -> &[u8] {
                &self.0[..1]
            }
            fn advance(&mut self, n: usize) {
                self.0 = &self.0[n..];
            }
        }
        let mut messages = Messages::default();
        messages.frame(&Shy(&stream));
        messages.frame(&stream.as_slice());
        assert_eq!(messages.count, 0, "nothing is made up");
        assert!(messages.are_past_the_first(), "what cannot be told apart is a stream");
    }

    #[test]
    fn a_lying_length_is_only_waited_for() {
        let mut messages = Messages::default();
        messages.frame(&&[0xff; 50][..]);
        assert_eq!((messages.count, messages.bytes), (0, 45));
        assert!(!messages.are_past_the_first());
    }
}
