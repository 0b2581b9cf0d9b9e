//! Messages to administrators: from files, ConfigMaps and objects to what each sender gets.
//!
//! `files` and `watched` fill each `source`, `documents` makes messages or complaints of texts, `collection` is what all
//! sources hold together, `catalogue` chooses for a sender, and `follow` keeps it up to date and remembers it in the store.

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
    source::{Content, Part, Source},
    watched::{Object, Objects, Verdict, Verdicts, Watched},
};
