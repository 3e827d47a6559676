//! What a span says from its start on.

use crate::{
    client::{config::ClientConfig, target::Target},
    method, names,
    operations::Operation,
    redact::{redact_query, write_url},
    rpc::full_method,
    server::config::ServerConfig,
};
use http::{Method, Request, header, uri::PathAndQuery};
use meshwise_core::Protocol;
use meshwise_trace::Room;
use opentelemetry::{KeyValue, Value};
use std::{net::IpAddr, sync::Arc};

/// Room for what is usual, and for what the call's end adds: the list never grows then.
const USUAL: usize = 14;

/// Gathers attributes.
struct Attributes<'a>(&'a mut Room);

impl<'a> Attributes<'a> {
    fn within(room: &'a mut Room) -> Self {
        room.attributes.reserve(USUAL);
        Self(room)
    }

    /// Adds one.
    #[inline]
    fn say(&mut self, key: &'static str, value: impl Into<Value>) {
        self.0.attributes.push(KeyValue::new(key, value));
    }

    /// Adds one, if it is known.
    #[inline]
    fn set(&mut self, key: &'static str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.say(key, value);
        }
    }
}

/// Lists what a server's span says.
pub(super) fn server<B>(
    room: &mut Room,
    config: &ServerConfig,
    request: &Request<B>,
    protocol: Protocol,
    caller: Option<&Arc<str>>,
    operation: &Operation,
) {
    let texts = &config.telemetry.0.texts;
    let headers = request.headers();
    let uri = request.uri();
    let mut list = Attributes::within(room);
    // Of gRPC all is told at the end: only then is it sure that it is, and that this server has the
    // method.
    if protocol != Protocol::Grpc {
        set_method(&mut list, operation.method, request.method());
        set_url(&mut list, uri.path(), uri.query(), operation);
    }
    list.say(names::NETWORK_PROTOCOL_VERSION, method::version(request.version()));
    // One look at all is cheaper than two look-ups.
    let (mut host, mut agent) = (None, None);
    for (name, value) in headers {
        if name == header::HOST {
            host = host.or(Some(value));
        } else if name == header::USER_AGENT {
            agent = agent.or(Some(value));
        }
    }
    let host = host.and_then(|host| config.telemetry.0.hosts.find(host));
    let authority =
        || uri.authority().map(|authority| (texts.share(authority.host()), authority.port_u16()));
    let (host, port) = host.or_else(authority).unzip();
    list.set(names::SERVER_ADDRESS, host);
    list.set(names::SERVER_PORT, port.flatten().map(i64::from));
    list.set(names::CLIENT_ADDRESS, client_address(config, request).map(|ip| ip.to_string()));
    let agent = agent.and_then(|agent| texts.share_header(agent));
    list.set(names::USER_AGENT_ORIGINAL, agent);
    list.set(names::CLIENT_SERVICE_NAME, caller.cloned());
}

/// Finds the client's address, if the server's parts know it.
pub(super) fn client_address<B>(config: &ServerConfig, request: &Request<B>) -> Option<IpAddr> {
    config.client_address.iter().find_map(|address| address(request.extensions()))
}

/// Lists what the span of a served HTTP call says that began as a gRPC call would.
pub(super) fn http(operation: &Operation, path: Option<&PathAndQuery>) -> Vec<KeyValue> {
    let mut room = Room::default();
    let mut list = Attributes::within(&mut room);
    list.say(names::HTTP_REQUEST_METHOD, operation.method);
    let query = path.and_then(PathAndQuery::query);
    set_url(&mut list, path.map_or("", PathAndQuery::path), query, operation);
    room.into_attributes()
}

fn set_url(list: &mut Attributes<'_>, path: &str, query: Option<&str>, operation: &Operation) {
    let route = operation.route.as_ref();
    match route.filter(|route| ***route == *path) {
        Some(same) => list.say(names::URL_PATH, Arc::clone(same)),
        None => list.0.push_text(names::URL_PATH, |text| text.push_str(path)),
    }
    list.set(names::URL_QUERY, query.map(|query| redact_query(query).into_owned()));
    list.say(names::URL_SCHEME, operation.scheme);
    list.set(names::HTTP_ROUTE, route.cloned());
}

/// Lists what a client's span says; the target is that of an HTTP call.
pub(super) fn client<B>(
    room: &mut Room,
    config: &ClientConfig,
    request: &Request<B>,
    target: Option<&Target>,
    resend_count: u32,
    template: Option<&'static str>,
) {
    let uri = request.uri();
    let mut list = Attributes::within(room);
    if let Some(target) = target {
        let method = request.method();
        set_method(&mut list, method::known(method), method);
        let origin = target.origin.as_deref();
        list.0.push_text(names::URL_FULL, |text| write_url(text, origin, uri));
        list.set(names::URL_TEMPLATE, template);
    } else {
        list.say(names::RPC_SYSTEM_NAME, "grpc");
        list.say(names::RPC_METHOD, full_method(uri.path()).to_owned());
    }
    let (address, port) = match (target, uri.authority()) {
        (Some(target), _) => (target.address.clone(), target.port),
        (None, Some(authority)) => {
            let (host, port) = method::host_and_port(authority);
            (Some(config.address(host)), port)
        }
        (None, None) => (None, None),
    };
    let port = port.or_else(|| method::default_port(uri.scheme_str()?));
    let resent = (resend_count > 0).then(|| i64::from(resend_count));
    list.set(names::SERVER_ADDRESS, address);
    list.set(names::SERVER_PORT, port.map(i64::from));
    list.set(names::HTTP_REQUEST_RESEND_COUNT, resent);
    list.say(names::SERVER_SERVICE_NAME, Arc::clone(&config.peer));
}

/// Says a request's method, of which the label is known.
fn set_method(list: &mut Attributes<'_>, label: &'static str, method: &Method) {
    list.say(names::HTTP_REQUEST_METHOD, label);
    let original = || method.as_str().chars().take(64).collect::<String>();
    list.set(names::HTTP_REQUEST_METHOD_ORIGINAL, (label == method::OTHER).then(original));
}
