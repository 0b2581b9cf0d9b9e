//! Stub until the branch with the schema is merged.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Stub.
#[derive(kube::CustomResource, Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "nutritionfacts.learningequality.org",
    version = "v1alpha1",
    kind = "KolibriMessage",
    plural = "kolibrimessages",
    namespaced
)]
pub struct KolibriMessageSpec {}
