//! What a request may do: the authorizer, if there is one, asked for its client (Kafka 4.4
//! `AuthHelper`).

use std::sync::Arc;

use super::apis;
use super::context::RequestContext;
use crate::controller::command::{self, Refusal};
use crate::coordinator::groups::consumer::command::TopicFilter;
use crate::metadata::authorizer::bits;
use crate::metadata::{Authorizer, Operation, Requester, Resource, ResourceKind};
use crate::types::ErrorCode;

impl RequestContext {
    /// Whether the client may; the operator is told if it may not.
    pub fn may(&self, operation: Operation, resource: Resource<'_>) -> bool {
        let may = self.may_quietly(operation, resource);
        if !may {
            tracing::info!(
                "Principal = {} is Denied operation = {} from host = {} on resource = {:?}:{} for \
                 request = {}",
                self.principal.as_str(),
                operation.name(),
                self.peer.ip(),
                resource.kind(),
                resource.name(),
                self.api.name
            );
        }
        may
    }

    /// The same without a word: where another right would do too, or where only what the client may
    /// see is shown.
    pub fn may_quietly(&self, operation: Operation, resource: Resource<'_>) -> bool {
        self.check_stated(operation, resource.kind());
        let Some(authorizer) = self.authorizer() else { return true };
        authorizer.allows(&self.image.acls, self.requester(), operation, resource)
    }

    /// Whether the client may with any resource of a type.
    pub fn may_with_any(&self, operation: Operation, kind: ResourceKind) -> bool {
        self.check_stated(operation, kind);
        let Some(authorizer) = self.authorizer() else { return true };
        authorizer.allows_any(&self.image.acls, self.requester(), operation, kind)
    }

    /// Nothing if the client may, else the code that it hears.
    pub fn require(&self, operation: Operation, resource: Resource<'_>) -> Result<(), ErrorCode> {
        if self.may(operation, resource) { Ok(()) } else { Err(resource.kind().refusal()) }
    }

    /// The same, with words for the answers that have room for them.
    pub fn require_in_words(
        &self,
        operation: Operation,
        resource: Resource<'_>,
    ) -> Result<(), Refusal> {
        self.require(operation, resource).map_err(|code| refused(resource.kind(), code))
    }

    /// The same for operations on the cluster (Kafka 4.4 `AuthHelper.authorizeClusterOperation`).
    pub fn require_on_cluster(&self, operation: Operation) -> Result<(), Refusal> {
        self.require(operation, Resource::Cluster).map_err(|code| {
            let words = format!("Request {} needs {} permission.", self.api.name, operation.name());
            Refusal::new(code, words)
        })
    }

    /// Asks the controller, if the client may on the cluster.
    pub async fn call_on_cluster<C: command::Operation>(
        &self,
        operation: Operation,
        command: C,
    ) -> Result<C::Reply, Refusal> {
        self.require_on_cluster(operation)?;
        self.broker.controller.call(command).await
    }

    /// All that the client may do with a resource, as a bit of each operation's number.
    pub fn operations(&self, resource: Resource<'_>) -> i32 {
        match self.authorizer() {
            Some(authorizer) => authorizer.operations(&self.image.acls, self.requester(), resource),
            None => bits(resource.kind().operations().iter().copied()),
        }
    }

    /// Which topics the client may see, for whoever looks through them later; `None` for all.
    pub fn topic_filter(&self) -> TopicFilter {
        let Some(_) = self.authorizer() else { return TopicFilter::default() };
        self.check_stated(Operation::Describe, ResourceKind::Topic);
        let (broker, image) = (Arc::clone(&self.broker), Arc::clone(&self.image));
        let (principal, host) = (self.principal.clone(), self.peer.ip().to_canonical());
        TopicFilter(Some(Arc::new(move |topic| {
            let who = Requester { principal: &principal, host };
            let topic = Resource::Topic(topic);
            broker.config.authorizer.as_ref().is_none_or(|authorizer| {
                authorizer.allows(&image.acls, who, Operation::Describe, topic)
            })
        })))
    }

    /// The authorizer, if there is one.
    pub fn authorizer(&self) -> Option<&Authorizer> {
        self.broker.config.authorizer.as_ref()
    }

    fn requester(&self) -> Requester<'_> {
        Requester { principal: &self.principal, host: self.peer.ip().to_canonical() }
    }

    /// The table of APIs tells the truth.
    fn check_stated(&self, operation: Operation, kind: ResourceKind) {
        debug_assert!(
            apis::find(self.api.key, self.listener.is_controller)
                .is_none_or(|api| api.authorizes.contains(&(kind, operation))),
            "{} asks for {operation:?} on {kind:?}, which its row does not say",
            self.api.name
        );
    }
}

/// A refusal in Kafka's words (Kafka 4.4 `Errors`).
pub(super) fn refused(kind: ResourceKind, code: ErrorCode) -> Refusal {
    let what = match kind {
        ResourceKind::Topic => "Topic",
        ResourceKind::Group => "Group",
        ResourceKind::Cluster => "Cluster",
        ResourceKind::TransactionalId => "Transactional Id",
        ResourceKind::DelegationToken | ResourceKind::User => "Delegation Token",
    };
    Refusal::new(code, format!("{what} authorization failed."))
}
