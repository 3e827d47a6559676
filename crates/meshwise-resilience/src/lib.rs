//! Tower layers that guard a call.
