//! A listener, as its connections and the request log know it.

/// A listener, as its connections know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerInfo {
    /// Its name: Metadata answers with the endpoints of this name.
    pub name: String,
    /// Whether it is the controller's: it answers another set of APIs.
    pub is_controller: bool,
}
