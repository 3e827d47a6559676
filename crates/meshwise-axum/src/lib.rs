//! meshwise for axum: route templates from MatchedPath, the ops router, extractors.
