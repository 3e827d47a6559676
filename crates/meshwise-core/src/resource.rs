//! What describes this process, the same for logs, metrics and traces.

mod container;
mod kubernetes;
mod machine;
pub(crate) mod names;
mod value;

pub use machine::Machine;
use names::{INSTANCE, NAME, NAMESPACE, OPS_ADDRESS, VERSION};
use value::Attribute;
pub use value::ResourceValue;

use crate::{
    env::{Env, EnvError},
    identity::Service,
    internal::random,
    settings::{NAME_ALLOWED, ServiceSettings, is_name},
};
use percent_encoding::percent_decode_str;
use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    sync::{Arc, OnceLock},
};

const OTEL_SERVICE_NAME: &str = "OTEL_SERVICE_NAME";
const OTEL_RESOURCE_ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";

/// Describes the process that telemetry comes from. Cloning is cheap.
///
/// Make it once and give it to each part, so that all say the same. A [`Service`] turns into one that
/// knows its own attributes and no more.
///
/// ```
/// use meshwise_core::{Env, Machine, Resource, Service};
/// let env = Env::from_pairs([
///     ("OTEL_RESOURCE_ATTRIBUTES", "service.name=shop,deployment.environment.name=prod"),
///     ("OTEL_SERVICE_NAME", "billing"),
/// ]);
/// let resource = Resource::builder(Service::new("orders", "1.4.2"))
///     .with_machine(Machine::real())
///     .with_env(&env)?
///     .build();
/// assert_eq!(resource.service().name(), "billing");
/// assert_eq!(resource.service().version(), "1.4.2");
/// assert_eq!(resource.get("deployment.environment.name").unwrap().to_string(), "prod");
/// # Ok::<(), meshwise_core::EnvError>(())
/// ```
///
/// | attribute | from, the first that is there |
/// |---|---|
/// | `service.name` | `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, the code, `unknown_service:<executable>` |
/// | `service.version`, `service.namespace` | `OTEL_RESOURCE_ATTRIBUTES`, the code |
/// | `service.instance.id` | `OTEL_RESOURCE_ATTRIBUTES`, the code, a UUID that is random for each process |
/// | any other | `OTEL_RESOURCE_ATTRIBUTES`, the code, what is found |
///
/// With [`with_machine`](ResourceBuilder::with_machine) these are found:
///
/// | attribute | where |
/// |---|---|
/// | `host.name`, `host.arch`, `os.type`, `process.pid`, `process.executable.name` | the machine |
/// | `container.id` | `/proc/self/cgroup`, `/proc/self/mountinfo` |
/// | `k8s.pod.name` | `K8S_POD_NAME`, `POD_NAME`, `HOSTNAME` |
/// | `k8s.namespace.name` | `K8S_NAMESPACE`, `POD_NAMESPACE`, the service account's file |
/// | `k8s.node.name`, `k8s.pod.uid`, `k8s.container.name` | `K8S_NODE_NAME` or `NODE_NAME`, `K8S_POD_UID` or `POD_UID`, `K8S_CONTAINER_NAME` |
///
/// The `k8s.*` attributes are looked for only where `KUBERNETES_SERVICE_HOST` is set; let the
/// downward API fill the variables.
///
/// Who serves ops pages on loopback tells it to whom telemetry is sent: `meshwise.ops.address`, for a
/// console on the same machine. It is an attribute of what is sent from then on.
///
/// OpenTelemetry's specification lets code win over `OTEL_RESOURCE_ATTRIBUTES`. Here who operates a
/// service has the last word over who wrote it, for every setting alike.
#[derive(Clone, PartialEq, Eq)]
pub struct Resource(Arc<ResourceInner>);

#[derive(PartialEq, Eq)]
struct ResourceInner {
    service: Service,
    attributes: BTreeMap<Cow<'static, str>, ResourceValue>,
    instance_is_random: bool,
    /// Known only once they are served.
    ops_address: OnceLock<SocketAddr>,
}

impl Resource {
    /// Starts with what code says of the service. An empty name or version counts as not given.
    #[doc(hidden)]
    pub fn builder(service: Service) -> ResourceBuilder {
        ResourceBuilder {
            service,
            attributes: Vec::new(),
            machine: None,
            said: Vec::new(),
            pod: Env::empty(),
        }
    }

    /// Returns the service: its `service.*` attributes, the instance among them.
    #[must_use]
    pub fn service(&self) -> &Service {
        &self.0.service
    }

    /// Tells whether the instance was not named, so that its id tells this process apart and nothing
    /// else.
    #[must_use]
    #[doc(hidden)]
    pub fn is_instance_random(&self) -> bool {
        self.0.instance_is_random
    }

    /// Returns an attribute.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&ResourceValue> {
        self.0.attributes.get(key)
    }

    /// Notes where the ops pages are served, for all who hold this resource. Only an address on loopback
    /// is told: on another machine it would mean nothing, or another service.
    #[doc(hidden)]
    pub fn serve_ops_at(&self, address: SocketAddr) {
        if address.ip().is_loopback() && self.get(OPS_ADDRESS).is_none() {
            let _first_stays = self.0.ops_address.set(address);
        }
    }

    /// Returns the attribute that is known late, and so none of [`iter`](Self::iter)'s: exporters send
    /// it with what they send from then on.
    #[must_use]
    #[doc(hidden)]
    pub fn late_attribute(&self) -> Option<(&'static str, String)> {
        Some((OPS_ADDRESS, self.0.ops_address.get()?.to_string()))
    }

    /// Lists all attributes, sorted by their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &ResourceValue)> {
        self.0.attributes.iter().map(|(key, value)| (&**key, value))
    }
}

impl fmt::Debug for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl From<Service> for Resource {
    fn from(service: Service) -> Self {
        Self::builder(service).build()
    }
}

/// Puts a [`Resource`] together.
#[derive(Clone, Debug)]
#[must_use]
pub struct ResourceBuilder {
    service: Service,
    attributes: Vec<Attribute>,
    machine: Option<Machine>,
    said: Vec<Attribute>,
    pod: Env,
}

impl ResourceBuilder {
    /// Adds an attribute; of two with the same name the last counts.
    pub fn with_attribute(
        mut self,
        key: impl Into<Cow<'static, str>>,
        value: impl Into<ResourceValue>,
    ) -> Self {
        self.attributes.push((key.into(), value.into()));
        self
    }

    /// Describes host, process, container and pod too; see [`Resource`].
    #[doc(hidden)]
    pub fn with_machine(mut self, machine: Machine) -> Self {
        self.machine = Some(machine);
        self
    }

    /// Lets the environment have the last word: `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`
    /// (`name=value,...`, percent-encoded). A list that cannot be read is ignored as a whole, as the
    /// specification has it.
    ///
    /// # Errors
    /// With `MESHWISE_STRICT`, if one of them is malformed.
    pub fn with_env(mut self, env: &Env) -> Result<Self, EnvError> {
        let allowed = "name=value pairs with commas between, percent-encoded; all of it is ignored";
        let said = env.parse_with(OTEL_RESOURCE_ATTRIBUTES, allowed, parse_attributes)?;
        for (key, value) in said.unwrap_or_default() {
            let text = value.to_string();
            if is_own(&key) && !text.is_empty() && !is_name(&text) {
                let found = format!("{key}={text}");
                env.refuse(EnvError::new(OTEL_RESOURCE_ATTRIBUTES, found, NAME_ALLOWED))?;
                continue;
            }
            self.said.push((key, value));
        }
        let named = |text: &str| is_name(text).then(|| text.to_owned());
        if let Some(name) = env.parse_with(OTEL_SERVICE_NAME, NAME_ALLOWED, named)? {
            self.said.push((NAME.into(), name.into()));
        }
        self.pod = env.clone();
        Ok(self)
    }

    /// Lets settings have the last word but for the environment's: call it after
    /// [`with_env`](Self::with_env).
    #[doc(hidden)]
    pub fn with_settings(mut self, settings: &ServiceSettings) -> Self {
        let own = [
            (NAME, &settings.name),
            (VERSION, &settings.version),
            (NAMESPACE, &settings.namespace),
            (INSTANCE, &settings.instance),
        ];
        let others = settings.attributes.iter();
        let all = others.chain(own).filter_map(|(name, setting)| {
            Some((Cow::Owned(name.to_owned()), setting.get()?.as_str().into()))
        });
        // Of two with the same name the later counts.
        self.said = all.chain(self.said).collect();
        self
    }

    /// Makes the resource.
    #[must_use]
    pub fn build(self) -> Resource {
        let Self { service, attributes, machine, said, pod } = self;
        // Later ones replace earlier ones of the same name.
        let mut all: BTreeMap<Cow<'static, str>, ResourceValue> = BTreeMap::from([
            ("telemetry.distro.name".into(), "meshwise".into()),
            ("telemetry.distro.version".into(), env!("CARGO_PKG_VERSION").into()),
        ]);
        if let Some(machine) = machine {
            all.extend(machine.describe());
            all.extend(kubernetes::detect(&pod, &machine));
        }
        let in_code = [
            (NAME, Some(service.name())),
            (VERSION, Some(service.version())),
            (NAMESPACE, service.namespace()),
            (INSTANCE, service.instance()),
        ];
        let in_code = in_code.into_iter().filter_map(|(key, value)| Some((key.into(), value?)));
        all.extend(in_code.map(|(key, value)| (key, value.into())));
        all.extend(attributes);
        // Nothing said is nothing changed.
        all.extend(said.into_iter().filter(|(key, value)| !is_own(key) || !value.is_blank()));
        all.retain(|key, value| !is_own(key) || !value.is_blank());
        all.entry(NAME.into()).or_insert_with(|| Machine::default_service_name().into());
        let instance_is_random = !all.contains_key(INSTANCE);
        all.entry(INSTANCE.into()).or_insert_with(|| instance().into());

        let text = |key: &str| all.get(key).map(ResourceValue::to_string);
        let service =
            Service::new(text(NAME).unwrap_or_default(), text(VERSION).unwrap_or_default());
        let service = text(NAMESPACE).into_iter().fold(service, Service::with_namespace);
        let service = text(INSTANCE).into_iter().fold(service, Service::with_instance);
        Resource(Arc::new(ResourceInner {
            service,
            attributes: all,
            instance_is_random,
            ops_address: OnceLock::new(),
        }))
    }
}

/// Tells whether an attribute says who the service is: what every log line may carry.
fn is_own(key: &str) -> bool {
    [NAME, VERSION, NAMESPACE, INSTANCE].contains(&key)
}

/// Parses `name=value,...`; `None` if an entry has no name or no `=`, or is not percent-encoded
/// (RFC 3986 section 2.1) UTF-8.
fn parse_attributes(text: &str) -> Option<Vec<Attribute>> {
    let entries = text.split(',').filter(|entry| !entry.trim().is_empty());
    let attribute = |entry: &str| {
        let (key, value) = entry.split_once('=')?;
        let (key, value) = (decode(key)?, decode(value)?);
        (!key.is_empty()).then(|| (Cow::Owned(key), value.into()))
    };
    entries.map(attribute).collect()
}

fn decode(text: &str) -> Option<String> {
    let text = text.trim();
    let mut escapes = text.split('%');
    let _before = escapes.next();
    let whole = |rest: &str| {
        rest.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    if !escapes.all(whole) {
        return None;
    }
    percent_decode_str(text).decode_utf8().ok().map(Cow::into_owned)
}

/// Returns the id of this process: a UUID, version 4 (RFC 9562 section 5.4). However many resources
/// are made of it, a process is one instance.
fn instance() -> &'static str {
    static INSTANCE: OnceLock<String> = OnceLock::new();
    INSTANCE.get_or_init(|| {
        let bits = random::u128() & !(0xf000 << 64) & !(0xc << 60) | (0x4000 << 64) | (0x8 << 60);
        let hex = format!("{bits:032x}");
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    })
}

#[cfg(test)]
mod tests;
