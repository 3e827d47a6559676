//! Where log lines go, beside standard output.

use crate::settings::{
    forms::{BOOL, COUNT, LIMIT, NAME, TEXT, TEXTS},
    kind::SettingKind,
    part::{Spec, section},
    units::Size,
    value::Setting,
};
use std::time::Duration;

section! {
    /// The file of the output `file`.
    LogFileSettings {
        /// Where it is.
        path: Setting<String> = Spec::of(TEXT);
        /// With how much a new file begins.
        max_size: Setting<Size> = Spec::of(SettingKind::Size(64 << 10, 1 << 40)).or("100MiB");
        /// When a new file begins, too: each full hour, each midnight (UTC), or by size alone.
        rotate: Setting<String> = Spec::of(SettingKind::Word(&["size", "hour", "day"])).or("size");
        /// How many older files are kept.
        keep: Setting<u32> = Spec::of(COUNT).or("10");
        /// Whether older files are compressed.
        gzip: Setting<bool> = Spec::of(BOOL).or("true");
    }
}

section! {
    /// The output `fluent`: Fluent Bit or Fluentd, by the forward protocol.
    LogFluentSettings {
        /// The servers, such as `logs:24224` or `tls://logs.example.com:24224`; the first is used while
        /// it answers.
        servers: Setting<Vec<String>> = Spec::of(TEXTS);
        /// The tag of records; the service's name unless set.
        tag: Setting<String> = Spec::of(NAME);
        /// The key that servers ask for.
        shared_key: Setting<String> = Spec::of(TEXT).secret();
        /// The user's name that servers ask for beside the key.
        user: Setting<String> = Spec::of(NAME);
        /// The user's password.
        password: Setting<String> = Spec::of(TEXT).secret();
        /// A PEM file with the certificates that are trusted; the system's unless set.
        ca_file: Setting<String> = Spec::of(TEXT);
        /// How long a connection, and an answer, are waited for.
        timeout: Setting<Duration> = Spec::of(LIMIT).or("10s");
    }
}

section! {
    /// The output `bulk`: Elasticsearch or OpenSearch, by the bulk API.
    LogBulkSettings {
        /// The cluster's nodes, such as `https://search:9200`; the first is used while it answers.
        urls: Setting<Vec<String>> = Spec::of(TEXTS).secret();
        /// The data stream or index that documents are created in.
        stream: Setting<String> = Spec::of(NAME).or("logs-meshwise-default");
        /// The API key, in its encoded form.
        api_key: Setting<String> = Spec::of(TEXT).secret();
        /// A user's name.
        user: Setting<String> = Spec::of(NAME);
        /// The user's password.
        password: Setting<String> = Spec::of(TEXT).secret();
        /// A PEM file with the certificates that are trusted; the system's unless set.
        ca_file: Setting<String> = Spec::of(TEXT);
        /// How long a request may take.
        timeout: Setting<Duration> = Spec::of(LIMIT).or("30s");
        /// Whether requests are compressed.
        gzip: Setting<bool> = Spec::of(BOOL).or("true");
    }
}

section! {
    /// Where lines for `fluent` and `bulk` wait on disk while the other side is away.
    LogSpoolSettings {
        /// The directory; without one, lines wait in memory.
        directory: Setting<String> = Spec::of(TEXT);
        /// How much one process may spool for each output.
        max_size: Setting<Size> = Spec::of(SettingKind::Size(16 << 20, 1 << 40)).or("256MiB");
        /// Whether each batch is written through to the disk at once.
        sync: Setting<bool> = Spec::of(BOOL).or("false");
    }
}

section! {
    /// Fields that not all who read logs may see.
    LogPrivateSettings {
        /// Their names: `email` is `customer_email`, too. They are hidden in log lines, records and spans.
        fields: Setting<Vec<String>> = Spec::of(TEXTS);
        /// The file that has the lines with such fields, in which they are shown; owner and group may read
        /// it. Without one, they are nowhere.
        path: Setting<String> = Spec::of(TEXT);
        /// How many older files are kept; a new one begins with 100 MiB.
        keep: Setting<u32> = Spec::of(COUNT).or("10");
    }
}
