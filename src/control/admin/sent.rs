//! What a caller sends: bounded in bytes and in time, and taken to its end.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::header::{EXPECT, HeaderMap};
use tokio::time::timeout;

use crate::connect::Patience;

use super::refused::Refused;

/// For a body to come.
const BODY_TIME: Duration = Duration::from_secs(20);
/// Bytes that are taken of what is left of a body when its request is answered.
const MOST_LEFT: usize = 64 << 20;

/// The body of a request.
pub(super) struct Sent {
    body: Incoming,
    /// Whether the caller sends it, or would if there were more.
    is_coming: bool,
}

impl Sent {
    /// What comes behind this head. A caller who expects a 100 Continue waits until the body is looked at.
    pub(super) fn behind(headers: &HeaderMap, body: Incoming) -> Self {
        Self { body, is_coming: !headers.contains_key(EXPECT) }
    }

    /// All of it, if it is not more than this many bytes.
    ///
    /// # Errors
    /// It is, or it did not come to its end.
    pub(super) async fn read(&mut self, most: usize) -> Result<Vec<u8>, Refused> {
        if self.body.size_hint().lower() > most as u64 {
            return Err(Refused::TooLarge(most));
        }
        self.is_coming = true;
        let whole = async {
            let mut bytes = Vec::new();
            while let Some(data) = self.next().await? {
                if data.len() > most - bytes.len() {
                    return Err(Refused::TooLarge(most));
                }
                bytes.extend_from_slice(&data);
            }
            Ok(bytes)
        };
        let read = Patience::of(BODY_TIME).wait(whole).await.unwrap_or(Err(Refused::Slow));
        self.is_coming = !matches!(read, Err(Refused::Slow | Refused::Broken));
        read
    }

    /// Takes what is left of it, and drops it: a caller who is still sending would not read our answer.
    pub(super) async fn drain(mut self) {
        if !self.is_coming {
            return;
        }
        let rest = async {
            let mut left = MOST_LEFT;
            while let Ok(Some(data)) = self.next().await {
                let Some(less) = left.checked_sub(data.len()) else { return };
                left = less;
            }
        };
        // Who is not done by then is not waited for.
        let _ = timeout(BODY_TIME, rest).await;
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Refused> {
        let Some(frame) = self.body.frame().await else { return Ok(None) };
        Ok(Some(frame.map_err(|_| Refused::Broken)?.into_data().unwrap_or_default()))
    }
}
