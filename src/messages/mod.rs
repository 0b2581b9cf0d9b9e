//! Messages to administrators: from files to what each sender gets.
//!
//! `files` reads texts, `documents` makes messages or complaints of them, `collection` is what all sources hold together,
//! `catalogue` chooses for a sender, and `follow` keeps it up to date and remembers it in the store.

mod catalogue;
mod collection;
mod documents;
mod files;
mod follow;

pub use self::{
    catalogue::{Catalogue, Sender},
    collection::Collection,
    documents::Complaint,
    files::{File, Source, read},
    follow::{Current, Messages},
};
