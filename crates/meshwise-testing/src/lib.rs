//! Assertions on spans, metrics and log lines for the tests of services that use meshwise.
