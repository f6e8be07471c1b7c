//! Upgraded connections (WebSocket) are tunnelled.
