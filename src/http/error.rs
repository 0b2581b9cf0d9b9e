//! Errors as replies: the only module that chooses status codes.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{body::BodyError, reply::plain};
use crate::{domain::json::NotAnObject, ingest::Unavailable};

/// The sentence that the first specification prescribes.
pub const NOT_AN_OBJECT: &str = "Sorry, please send a valid JSON object.";

/// Why a report was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The body cannot be used.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// The body is text, but not a JSON object.
    #[error(transparent)]
    NotAnObject(#[from] NotAnObject),
    /// The store cannot take it.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl Refusal {
    /// The label `outcome` of `pingbacks_total` and `statistics_total`.
    #[must_use]
    pub fn outcome(self) -> &'static str {
        match self {
            Self::Body(BodyError::TooLarge { .. }) => "too_large",
            Self::Body(BodyError::Budget) | Self::Unavailable(_) => "unavailable",
            Self::Body(_) | Self::NotAnObject(_) => "invalid",
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, text, close) = match self {
            Self::Body(BodyError::NotText) | Self::NotAnObject(_) => (StatusCode::BAD_REQUEST, NOT_AN_OBJECT, false),
            Self::Body(BodyError::Broken) => (StatusCode::BAD_REQUEST, NOT_AN_OBJECT, true),
            Self::Body(BodyError::TooLarge { read }) => {
                (StatusCode::PAYLOAD_TOO_LARGE, "The body is too large.", !read)
            }
            Self::Body(BodyError::TooSlow) => (StatusCode::REQUEST_TIMEOUT, "The body came too slowly.", true),
            Self::Body(BodyError::Budget) | Self::Unavailable(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, "Please try again later.", false)
            }
        };
        let mut response = plain(status, text);
        if close {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
