//! The table of all APIs that are served: versions, listeners, order, handler.
//!
//! Dispatch and ApiVersions come from it. What is not in it is not advertised.

use bytes::BytesMut;

use super::api;
use super::context::{Handled, RequestContext};
use crate::protocol::key;

/// Which listeners serve an API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// Those of brokers.
    Broker,
    /// Those of controllers.
    Controller,
    /// Both.
    Both,
}

/// When the next request of a connection may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Once this one is answered.
    OneAtATime,
    /// Once this one has begun: the waits of both overlap, the answers keep their order.
    Pipelined,
}

/// One API as it is served.
pub struct Api {
    /// Its number.
    pub key: i16,
    /// Its oldest version here.
    pub min_version: i16,
    /// Its newest version here.
    pub max_version: i16,
    /// Where.
    pub on: On,
    /// In which order.
    pub order: Order,
    /// By whom. Gets the body in a buffer of its own.
    pub handler: fn(RequestContext, BytesMut) -> Handled,
}

/// The API with this number on a kind of listener.
pub fn find(key: i16, controller: bool) -> Option<&'static Api> {
    let here = if controller { On::Controller } else { On::Broker };
    APIS.iter().find(|api| api.key == key && (api.on == On::Both || api.on == here))
}

/// The APIs on a kind of listener.
pub fn served(controller: bool) -> impl Iterator<Item = &'static Api> {
    let here = if controller { On::Controller } else { On::Broker };
    APIS.iter().filter(move |api| api.on == On::Both || api.on == here)
}

/// A handler of a decoded request that answers at once.
macro_rules! now {
    ($handle:path) => {
        |context, body| {
            let answer = |context: &RequestContext| {
                let request = api::decode(context, body)?;
                Ok(context.reply(&$handle(context, request)))
            };
            Handled::Now(answer(&context).unwrap_or_else(api::malformed))
        }
    };
}

/// A handler of a decoded request that may wait.
macro_rules! later {
    ($handle:path) => {
        |context, body| match api::decode(&context, body) {
            Ok(request) => Handled::Later(Box::pin(async move {
                let response = $handle(&context, request).await;
                context.reply(&response)
            })),
            Err(error) => Handled::Now(api::malformed(error)),
        }
    };
}

macro_rules! apis {
    ($($name:ident $min:literal-$max:literal $on:ident $order:ident $handler:expr;)*) => {
        /// Everything that is served, in the order of the numbers.
        pub static APIS: &[Api] = &[$(Api {
            key: key::$name,
            min_version: $min,
            max_version: $max,
            on: On::$on,
            order: Order::$order,
            handler: $handler,
        }),*];
    };
}

use {later, now};

apis! {
    // API        versions listeners  order       handler
    ApiVersions   0-5      Both       OneAtATime  api::api_versions::handle;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::apis::facts;

    #[test]
    fn nothing_is_served_that_kafka_does_not_have() {
        for api in APIS {
            let facts = facts(api.key).unwrap();
            assert!(api.min_version >= facts.min_version, "{}", facts.name);
            assert!(api.max_version <= facts.max_version, "{}", facts.name);
            let broker = api.on != On::Controller;
            let controller = api.on != On::Broker;
            assert!(!broker || facts.on_broker, "{} is not for brokers", facts.name);
            assert!(!controller || facts.on_controller, "{} is not for controllers", facts.name);
        }
        assert!(APIS.is_sorted_by_key(|api| api.key));
    }
}
