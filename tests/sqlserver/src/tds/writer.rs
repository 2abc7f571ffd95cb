//! Splits answers into packets of the negotiated size.

use std::io;

use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::packet::{DEFAULT_SIZE, HEADER, Header, Kind, STATUS_END};

/// Collects an answer's bytes and sends them packet by packet.
///
/// A send that is dropped half-way goes on where it was with the next one, so that a caller may give up waiting.
#[derive(Debug)]
pub(crate) struct PacketWriter<W> {
    stream: W,
    size: usize,
    spid: u16,
    number: u8,
    /// Bytes of the message that no packet has yet.
    waiting: Vec<u8>,
    /// Whole packets on their way out.
    framed: Vec<u8>,
    /// How much of them the stream has taken.
    sent: usize,
}

impl<W: AsyncWrite + Unpin> PacketWriter<W> {
    pub(crate) fn new(stream: W) -> Self {
        Self {
            stream,
            size: DEFAULT_SIZE,
            spid: 0,
            number: 0,
            waiting: Vec::new(),
            framed: Vec::new(),
            sent: 0,
        }
    }

    /// Both change between messages only: after the login's answer.
    pub(crate) fn established(mut self, size: usize, spid: u16) -> Self {
        self.size = size;
        self.spid = spid;
        self
    }

    /// The session's id goes into every header.
    pub(crate) fn set_spid(&mut self, spid: u16) {
        self.spid = spid;
    }

    /// Where bytes of the message are put; [`Self::send_full`] then sends what fills packets.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.waiting
    }

    /// Sends the full packets. What is left fits into one packet, which may turn out to be the last.
    pub(crate) async fn send_full(&mut self) -> io::Result<()> {
        self.frame_full();
        self.send_framed().await
    }

    /// Sends everything so that the client sees it now, though the message goes on.
    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        self.frame_full();
        if !self.waiting.is_empty() {
            self.frame_rest(0);
        }
        self.send_framed().await?;
        self.stream.flush().await
    }

    /// Ends the message.
    pub(crate) async fn finish(&mut self) -> io::Result<()> {
        self.frame_full();
        self.frame_rest(STATUS_END);
        self.number = 0;
        self.send_framed().await?;
        self.stream.flush().await
    }

    /// Ends the connection in an orderly way, with TLS's closing alert where there is TLS.
    pub(crate) async fn close(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }

    /// The stream, between messages.
    pub(crate) fn into_stream(self) -> W {
        self.stream
    }

    fn frame_full(&mut self) {
        let room = self.size - HEADER;
        let packets = self.waiting.len().saturating_sub(1) / room;
        for index in 0..packets {
            let header = self.header(room, 0);
            self.framed.extend_from_slice(&header);
            self.framed
                .extend_from_slice(&self.waiting[index * room..(index + 1) * room]);
        }
        self.waiting.drain(..packets * room);
    }

    fn frame_rest(&mut self, status: u8) {
        let header = self.header(self.waiting.len(), status);
        self.framed.extend_from_slice(&header);
        self.framed.append(&mut self.waiting);
    }

    async fn send_framed(&mut self) -> io::Result<()> {
        while self.sent < self.framed.len() {
            match self.stream.write(&self.framed[self.sent..]).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                count => self.sent += count,
            }
        }
        self.framed.clear();
        self.sent = 0;
        Ok(())
    }

    fn header(&mut self, body: usize, status: u8) -> [u8; HEADER] {
        self.number = self.number.wrapping_add(1);
        Header {
            kind: Kind::Answer,
            status,
            length: HEADER + body,
            spid: self.spid,
            number: self.number,
        }
        .encode()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tds::packet::Assembly;
    use crate::tds::reader::read_message;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(future)
    }

    proptest! {
        #[test]
        fn what_is_split_is_put_together_again(pieces: Vec<(Vec<u8>, bool)>, size in 512_usize..3000) {
            let whole: Vec<u8> = pieces.iter().flat_map(|(bytes, _)| bytes.clone()).collect();
            let wire = block_on(async {
                let mut writer = PacketWriter::new(Vec::new()).established(size, 51);
                for (bytes, flush) in &pieces {
                    writer.buffer().extend_from_slice(bytes);
                    if *flush { writer.flush().await.unwrap() } else { writer.send_full().await.unwrap() }
                }
                writer.finish().await.unwrap();
                writer.into_stream()
            });
            let mut stream = wire.as_slice();
            let message = block_on(read_message(&mut stream, &mut Assembly::new(usize::MAX))).unwrap().unwrap();
            prop_assert_eq!(message.payload, whole);
            prop_assert!(stream.is_empty());
        }
    }

    #[test]
    fn an_answer_of_exactly_one_packet_is_one_packet() {
        let wire = block_on(async {
            let mut writer = PacketWriter::new(Vec::new()).established(512, 51);
            writer.buffer().extend_from_slice(&[7; 504]);
            writer.finish().await.unwrap();
            writer.into_stream()
        });
        assert_eq!(wire.len(), 512);
        assert_eq!(&wire[..8], &[4, 1, 2, 0, 0, 51, 1, 0]);
    }
}
