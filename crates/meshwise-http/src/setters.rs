//! What can be set of both layers, that of incoming calls and that of outgoing ones.

/// Writes the methods of a layer that changes its configuration by `with`.
macro_rules! setters {
    () => {
        /// Sets the header that request ids travel in.
        #[must_use]
        pub fn with_request_id_header(self, header: http::HeaderName) -> Self {
            self.with(|config| config.request_id_header = header)
        }

        /// Sets the header that a call's remaining time travels in, as milliseconds.
        #[must_use]
        pub fn with_timeout_header(self, header: http::HeaderName) -> Self {
            self.with(|config| config.timeout_header = header)
        }

        /// Sets how it is decided how a call ended: what statuses and codes mean. Its translations of
        /// errors are added to those that the layer knows.
        #[must_use]
        pub fn with_classifier(self, classifier: meshwise_core::Classifier) -> Self {
            self.with(|config| config.classifier = classifier.with_faults_of(&config.classifier))
        }

        /// Makes errors of type `E` transparent: their sources are looked into and recorded.
        #[must_use]
        pub fn with_error<E: std::error::Error + 'static>(self) -> Self {
            self.with(|config| config.classifier = config.classifier.clone().with_error::<E>())
        }

        /// Adds a translation of errors; it is asked for an error and each of its sources.
        #[must_use]
        pub fn with_fault(self, rule: meshwise_core::outcome::FaultRule) -> Self {
            self.with(|config| config.classifier = config.classifier.clone().with_fault(rule))
        }

        /// Says that a service of type `S` only makes its future when it is called: what is the application's
        /// runs once that is polled, so that nothing has to be current before. It is known again by its name,
        /// for a `TypeId` would ask every service that is observed to be `'static`.
        #[doc(hidden)]
        #[must_use]
        pub fn with_deferring<S>(self) -> Self {
            self.with(|config| config.deferring.push(std::any::type_name::<S>()))
        }

        /// Counts the messages in the bodies of gRPC requests of type `B`, for the spans that are
        /// recorded; `wrap` turns any body into one of that type.
        #[must_use]
        #[doc(hidden)]
        pub fn with_counted_body<B: Default + 'static>(
            self,
            wrap: fn($crate::rpc::CountedBody<B>) -> B,
        ) -> Self {
            self.with(|config| config.count_bodies.push($crate::rpc::CountBody::new(wrap)))
        }
    };
}

pub(crate) use setters;
