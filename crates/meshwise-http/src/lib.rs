//! Tower layers that observe calls: ServerLayer and ClientLayer for any service over http::Request.
