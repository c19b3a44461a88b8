//! Sound files, fetched from a node when an offer names one, and kept by their hash.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use reeve_media::{Clip, Source, wav};
use reeve_proto::v1::GetMediaRequest;
use reeve_proto::v1::worker_gateway_client::WorkerGatewayClient;
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tonic::Code;
use tonic::transport::Channel;

use crate::token::Token;

/// Files that are kept; they are small, and runs use few.
const MOST_KEPT: usize = 32;
/// A file that does not come within this makes its assignment not ready; the cluster tries the run elsewhere or again.
const PATIENCE: Duration = Duration::from_secs(8);
/// One call.
const ASK: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(300);
/// A file is at most 1 MiB.
const MOST_BYTES: usize = 2 * 1024 * 1024;

type Way = Option<(Channel, Token)>;

/// The files of this process.
pub struct Library {
    way: watch::Sender<Way>,
    kept: Mutex<HashMap<Vec<u8>, Arc<Clip>>>,
}

impl Default for Library {
    fn default() -> Self {
        Self {
            way: watch::Sender::new(None),
            kept: Mutex::default(),
        }
    }
}

impl Library {
    /// From now on files are asked for over this connection.
    pub fn connected(&self, channel: &Channel, token: &Token) {
        self.way.send_replace(Some((channel.clone(), token.clone())));
    }

    /// What is played; no hash is the tone. The error says why there is no file.
    pub async fn source(&self, sha256: &[u8]) -> Result<Source, String> {
        self.source_within(sha256, PATIENCE).await
    }

    async fn source_within(&self, sha256: &[u8], patience: Duration) -> Result<Source, String> {
        if sha256.is_empty() {
            return Ok(Source::Tone);
        }
        if let Some(clip) = self.kept.lock().get(sha256) {
            return Ok(Source::Clip(Arc::clone(clip)));
        }
        let fetched = timeout(patience, self.fetch(sha256)).await;
        let bytes = fetched.unwrap_or_else(|_| Err("sip.media: it does not come".to_owned()))?;
        let clip = wav::read(&bytes).map_err(|error| format!("sip.media: {error}"))?;
        let clip = Arc::new(clip);
        let mut kept = self.kept.lock();
        if kept.len() >= MOST_KEPT {
            kept.clear();
        }
        kept.insert(sha256.to_vec(), Arc::clone(&clip));
        Ok(Source::Clip(clip))
    }

    /// Asks until a node has it or says that none has.
    async fn fetch(&self, sha256: &[u8]) -> Result<Vec<u8>, String> {
        let mut ways = self.way.subscribe();
        loop {
            let way = ways.wait_for(Option::is_some).await.map(|way| way.clone());
            let Ok(Some((channel, token))) = way else {
                return Err("sip.media: it is shutting down".to_owned());
            };
            let request = GetMediaRequest {
                token: token.reveal().to_owned(),
                sha256: sha256.to_vec(),
            };
            let mut client = WorkerGatewayClient::new(channel).max_decoding_message_size(MOST_BYTES);
            match timeout(ASK, client.get_media(request)).await {
                Ok(Ok(answer)) => {
                    let data = answer.into_inner().data;
                    if Sha256::digest(&data).as_slice() == sha256 {
                        return Ok(data);
                    }
                    return Err("sip.media: what the node sent is another file".to_owned());
                }
                Ok(Err(status)) if status.code() == Code::NotFound => {
                    return Err(format!("sip.media: {}", status.message()));
                }
                // The session may move to another node meanwhile.
                Ok(Err(_)) | Err(_) => sleep(PAUSE).await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_a_hash_it_is_the_tone_and_nobody_is_asked() {
        assert!(matches!(Library::default().source(&[]).await, Ok(Source::Tone)));
    }

    #[tokio::test]
    async fn a_file_that_does_not_come_says_so() {
        let why = Library::default().source_within(&[7; 32], ASK / 100).await.err();
        assert_eq!(why.as_deref(), Some("sip.media: it does not come"));
    }
}
