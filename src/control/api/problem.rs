//! What is wrong with a request (RFC 9457).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config;

/// What is wrong with a request (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// Which kind of problem it is.
    #[serde(rename = "type")]
    pub kind: ProblemKind,
    /// That in words.
    pub title: String,
    /// The status of the answer.
    pub status: u16,
    /// What is wrong with this request, and how to mend it.
    pub detail: String,
    /// What is wrong with settings, up to 50 of it, each with its place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<config::Problem>,
    /// Whether more is wrong with them than that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

/// The kinds of problems.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ProblemKind {
    /// The request is not one that HTTP/1.1 has.
    #[serde(rename = "urn:loadbalancer:problem:bad-request")]
    BadRequest,
    /// The token is missing or wrong.
    #[serde(rename = "urn:loadbalancer:problem:unauthorized")]
    Unauthorized,
    /// It came through a page of another site.
    #[serde(rename = "urn:loadbalancer:problem:foreign-site")]
    ForeignSite,
    /// There is nothing of this name.
    #[serde(rename = "urn:loadbalancer:problem:not-found")]
    NotFound,
    /// That cannot be done with it.
    #[serde(rename = "urn:loadbalancer:problem:method")]
    Method,
    /// The answer is JSON, which the request does not accept.
    #[serde(rename = "urn:loadbalancer:problem:not-acceptable")]
    NotAcceptable,
    /// The body took too long.
    #[serde(rename = "urn:loadbalancer:problem:timeout")]
    Timeout,
    /// The settings make sense, but not here and now.
    #[serde(rename = "urn:loadbalancer:problem:unfit")]
    Unfit,
    /// Others have changed it since.
    #[serde(rename = "urn:loadbalancer:problem:outdated")]
    Outdated,
    /// The body has too many bytes.
    #[serde(rename = "urn:loadbalancer:problem:too-large")]
    TooLarge,
    /// The body is not of a media type that is taken.
    #[serde(rename = "urn:loadbalancer:problem:media-type")]
    MediaType,
    /// The body can be read, but not done.
    #[serde(rename = "urn:loadbalancer:problem:body")]
    Body,
    /// The settings make no sense.
    #[serde(rename = "urn:loadbalancer:problem:settings")]
    Settings,
    /// Others bring settings, which takes its time.
    #[serde(rename = "urn:loadbalancer:problem:busy")]
    Busy,
    /// The program is about to end.
    #[serde(rename = "urn:loadbalancer:problem:stopping")]
    Stopping,
}
