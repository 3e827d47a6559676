//! meshwise for reqwest: a reqwest client as a service over http::Request, bodies kept streaming.
