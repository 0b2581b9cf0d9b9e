//! Messages to administrators: from files, ConfigMaps and objects to the reply of each client.
//!
//! `files` and `watched` fill each `source`, `documents` parses texts into messages or errors, `collection` combines all
//! sources, `catalogue` selects the messages for a client, and `follow` keeps it up to date and saves it in the store.

mod catalogue;
mod collection;
mod documents;
mod files;
mod follow;
mod source;
mod watched;

pub use self::{
    catalogue::{Catalogue, Sender},
    collection::Collection,
    documents::Complaint,
    files::read,
    follow::{Current, Messages},
    source::{Content, Part, Source, Unknown},
    watched::{Object, Objects, Verdict, Verdicts, Watched},
};
