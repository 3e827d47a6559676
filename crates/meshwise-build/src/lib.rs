//! Checks a service's API declaration from its build script.
