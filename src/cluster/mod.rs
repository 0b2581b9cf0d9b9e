//! How the cluster speaks to us: the objects that it keeps for us.

pub mod kolibri_message;
