//! What only a file does.

use nutritionfacts::{
    config::sections,
    store::{OpenError, Store, Write},
};

use crate::rows::{Bench, by_url, now, ping, write};

#[tokio::test]
async fn a_second_server_on_the_file_is_refused() {
    let bench = Bench::sqlite().await;
    let error = Store::open(&by_url(&bench.url)).await.unwrap_err();
    assert!(matches!(error, OpenError::Locked { .. }), "{error}");
    assert!(error.to_string().contains("test.db.lock"));
    let Bench { store, url, folder: _folder } = bench;
    drop(store);
    Store::open(&by_url(&url)).await.unwrap();
}

#[tokio::test]
async fn what_was_written_is_there_after_opening_again() {
    let Bench { store, url, folder } = Bench::sqlite().await;
    store.migrate(now()).await.unwrap();
    write(&store, &[ping("i", 0)], Write::New).await.unwrap();
    // No good-bye, as after a crash.
    drop(store);
    let store = Store::open(&by_url(&url)).await.unwrap();
    store.migrate(now()).await.unwrap();
    let bench = Bench { store, url, folder };
    assert_eq!(bench.count("pingbacks").await, 1);
}

#[tokio::test]
async fn urls_that_name_no_file_are_refused() {
    for url in ["sqlite://", "sqlite://:memory:", "sqlite://a.db?mode=ro", "sqlite:a.db"] {
        assert!(matches!(Store::open(&by_url(url)).await, Err(OpenError::SqlitePath)), "{url}");
    }
    for url in ["mysql://h/d", "", "/a.db"] {
        assert!(matches!(Store::open(&by_url(url)).await, Err(OpenError::Scheme)), "{url}");
    }
    let error = Store::open(&by_url("postgres://u:p/w@h:x/d")).await.unwrap_err();
    assert!(!format!("{error:?}").contains("p/w"));
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let url = format!("sqlite://{}", folder.path().join("file/sub/x.db").display());
    let error = Store::open(&by_url(&url)).await.unwrap_err();
    assert!(matches!(&error, OpenError::File { path, .. } if path.ends_with("sub")), "{error:?}");
}

#[test]
fn nothing_named_means_embedded() {
    let store = sections::Store::default();
    assert!(store.url.is_none() && store.host.is_none());
}
