//! MQTT 5 through `rumqttc` 0.25 (`rumqttc::v5`). MQTT 3.1.1 has no headers.

use crate::carrier::{Carrier, CarrierMut, Delivery};
use rumqttc_0_25::v5::mqttbytes::v5::{Publish, PublishProperties};

impl Carrier for PublishProperties {
    fn each<'c>(&'c self, see: &mut dyn FnMut(&'c str, &'c [u8])) {
        self.user_properties.each(see);
    }
}

impl CarrierMut for PublishProperties {
    fn add(&mut self, name: &str, value: &str) {
        self.user_properties.add(name, value);
    }

    fn remove_if(&mut self, gone: &dyn Fn(&str) -> bool) {
        self.user_properties.remove_if(gone);
    }
}

impl Carrier for Publish {
    fn each<'c>(&'c self, see: &mut dyn FnMut(&'c str, &'c [u8])) {
        self.properties.each(see);
    }
}

impl Delivery for Publish {
    /// All that MQTT says is that it may not be the first time.
    fn deliveries_before(&self) -> u32 {
        u32::from(self.dup)
    }

    fn body_size(&self) -> Option<usize> {
        Some(self.payload.len())
    }
}
